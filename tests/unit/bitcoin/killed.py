"""A process that keeps a book in a file and is killed: `python -m tests.unit.bitcoin.killed FILE SEED`, for ever."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import structlog

from tests.unit.bitcoin.chain import ChainSource, MemoryChain
from tests.unit.bitcoin.keeping import Running
from tests.unit.bitcoin.wallets import ALICE, BOB, GAP, RECEIVE, funded, spend_of_alice


def walk(seed: int) -> Iterator[MemoryChain]:
    """The same chain after each of its steps, without end; the same steps for the same seed."""
    chance = random.Random(seed)
    chain, used = funded(), 1
    while True:
        yield chain
        if chance.random() < 0.3:
            chain.drop(chance.randint(1, 5))
        for _ in range(chance.randint(1, 5)):
            if chance.random() < 0.2 and used + GAP < len(RECEIVE):
                chain.pay((RECEIVE[used], 3), (ALICE, 100))
                used += 1
            spend_of_alice(chain, chance.choice([ALICE, BOB, RECEIVE[0]]))


async def main(path: Path, *, seed: int) -> None:
    """Tells each block that it has read."""
    steps = walk(seed)
    chain = next(steps)
    with Running(path, ChainSource(chain)) as book:
        while True:
            await book.at(chain.tip.hash)
            sys.stdout.write(json.dumps(chain.tip.hash) + "\n")
            sys.stdout.flush()
            next(steps)


if __name__ == "__main__":
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    asyncio.run(main(Path(sys.argv[1]), seed=int(sys.argv[2])))
