"""NEM, read from nodes that speak NIS1 (the REST interface of nis-client 0.6)."""
