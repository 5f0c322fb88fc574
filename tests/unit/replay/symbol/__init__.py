"""The player and its small nodes, without a network."""
