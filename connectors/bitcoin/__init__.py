"""Bitcoin and its family: every coin of what is watched, exactly."""
