"""The played Bitcoin chain: its ledger and its nodes."""
