"""The gate: per wallet, whether its signers may go on; closed by findings, opened by people alone."""
