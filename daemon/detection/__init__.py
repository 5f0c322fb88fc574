"""What payments look suspicious: from movements, one by one, to cases that rules judge."""
