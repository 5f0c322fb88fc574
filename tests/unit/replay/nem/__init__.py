"""The played NEM chain."""
