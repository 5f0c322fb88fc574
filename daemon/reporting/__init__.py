"""The daily report: eleven sections of one day, from the store alone, each day bound to the one before by its hash."""
