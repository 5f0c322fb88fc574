"""A played Bitcoin chain: a ledger of real serialised blocks, and small nodes that speak of it."""
