"""A Symbol chain for replays: a scripted ledger, and small nodes before it that speak REST as catapult-rest does."""
