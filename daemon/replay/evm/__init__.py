"""The scripted EVM chain and its small nodes."""
