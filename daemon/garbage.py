"""The garbage collector of a program that runs for months: while it walks through objects nobody judges."""

import gc

CONTAINERS = 20_000
"""New ones after which the youngest are looked through, which takes a millisecond or two; Python's own 700 cost a tenth
of all time under load. Few here are in cycles: nearly all are freed without the collector."""


def collect_seldom() -> None:
    """To be called when all that stays is there: libraries, inventory. It is not walked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(CONTAINERS, 10, 10)
