"""What was: snapshots of the totals through the day, and the raw readings at the end of each."""
