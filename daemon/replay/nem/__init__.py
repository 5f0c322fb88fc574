"""A played NEM chain: a scripted ledger, and small nodes before it that speak the REST interface of NIS1."""
