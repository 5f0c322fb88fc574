"""A Symbol chain for replays: a scripted ledger, and small nodes before it that speak the REST interface of catapult-rest."""
