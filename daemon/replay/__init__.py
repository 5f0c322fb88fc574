"""Plays stories through the real daemon: small nodes of ours that speak the real protocols, and their scripts."""
