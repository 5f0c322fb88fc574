"""Bitcoin benchmarks: a real mainnet block read with a million watched scripts, and what watching them costs.

Processor time, ours and the other measured in turns, the best of some rounds for each.
"""

import gc
import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from connectors.base import Tip
from connectors.bitcoin.block import BlockEvents, read_block
from connectors.bitcoin.coins import Coin, CoinSet
from connectors.bitcoin.forms import BITCOIN
from tests.unit.bitcoin.mainnet import FULL, bitcoinlib_parser, find_block

WATCHED, FEW = 1_000_000, 1_000
CEILING = 300  # bytes per watched script
ROUNDS = 30
LIBRARY_ROUNDS = 3
LENGTHS = (22, 22, 23, 25, 34)  # P2WPKH twice, P2SH, P2PKH, P2TR
TIP = Tip(0, "00" * 32, datetime(2024, 1, 1, tzinfo=UTC))


async def btc_block_vs_bitcoinlib() -> dict[str, object]:
    """Milliseconds of processor for a block of 3,315 transactions: ours also matches 1,000,000 scripts and coins."""
    return _on_the_block("btc_block_vs_bitcoinlib", _against_bitcoinlib)


async def btc_block_cost() -> dict[str, object]:
    """The same block with 1,000,000 watched scripts and coins (ours) and with 1,000 (peer).

    `ratio` is ours over peer here: how many times as much the thousandfold watch costs.
    """
    return _on_the_block("btc_block_cost", _many_against_few)


async def btc_block_verified() -> dict[str, object]:
    """What verifying the merkle root adds: with it (ours) and without (peer); `ratio` is ours over peer."""
    return _on_the_block("btc_block_verified", _verified_against_believed)


async def btc_memory() -> dict[str, object]:
    """Bytes of resident memory per watched script beyond its coin, every script being an account with a balance.

    `peer` is the ceiling, 300 bytes. What the coin alone takes is measured where all scripts share one account.
    """
    start = _resident()
    alone = CoinSet(_scripts(WATCHED))
    watched = _resident()
    alone.load(TIP, _coins(alone))
    loaded = _resident()
    shared = CoinSet(dict.fromkeys(alone.scripts, 0))
    before = _resident()
    shared.load(TIP, _coins(shared))
    coin = (_resident() - before) / WATCHED
    ours = (loaded - start) / WATCHED - coin
    detail = {"watched": round((watched - start) / WATCHED), "coin": round(coin)}
    return _result("btc_memory", ours=ours, peer=CEILING, ratio=CEILING / ours, unit="bytes per script") | detail


def _on_the_block(bench: str, measure: Callable[[bytes], tuple[float, float, float]]) -> dict[str, object]:
    """Milliseconds and their ratio by `measure`, or the reason why there are none."""
    path = find_block(FULL)
    if path is None:
        return {"bench": bench, "skipped": f"{FULL} is missing: point PYROMETER_BLOCKS at a folder that holds it"}
    ours, peer, ratio = measure(path.read_bytes())
    return _result(bench, ours=ours * 1e3, peer=peer * 1e3, ratio=ratio, unit="ms of CPU per block")


def _against_bitcoinlib(raw: bytes) -> tuple[float, float, float]:
    coins, parse = _coin_set(WATCHED), bitcoinlib_parser()
    peer = min(_seconds(lambda: parse(raw)) for _ in range(LIBRARY_ROUNDS))
    ours = min(_seconds(lambda: _read(raw, coins)) for _ in range(ROUNDS))
    return ours, peer, peer / ours


def _many_against_few(raw: bytes) -> tuple[float, float, float]:
    many, few = _coin_set(WATCHED), _coin_set(FEW)
    return _in_turns(lambda: _read(raw, many), lambda: _read(raw, few))


def _verified_against_believed(raw: bytes) -> tuple[float, float, float]:
    coins = _coin_set(WATCHED)
    return _in_turns(lambda: _read(raw, coins, verify=True), lambda: _read(raw, coins))


def _in_turns(ours: Callable[[], object], peer: Callable[[], object]) -> tuple[float, float, float]:
    rounds = [(_seconds(ours), _seconds(peer)) for _ in range(ROUNDS)]
    one, other = (min(column) for column in zip(*rounds, strict=True))
    return one, other, one / other


def _scripts(number: int) -> dict[bytes, int]:
    """Random scripts of the usual lengths, each an account of its own."""
    chance = random.Random(number)
    return {chance.randbytes(LENGTHS[at % len(LENGTHS)]): at for at in range(number)}


def _coins(watched: CoinSet) -> Iterator[tuple[bytes, Coin]]:
    chance = random.Random(1)
    for at, script in enumerate(watched.scripts):
        yield chance.randbytes(36), Coin(script, 100_000 + at, 800_000, coinbase=False)


def _coin_set(number: int) -> CoinSet:
    """As many watched scripts, each with a coin."""
    coins = CoinSet(_scripts(number))
    coins.load(TIP, _coins(coins))
    return coins


def _read(raw: bytes, coins: CoinSet, *, verify: bool = False) -> BlockEvents:
    return read_block(raw, form=BITCOIN, outpoints=coins.outpoints, scripts=coins.scripts, verify=verify)


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _resident() -> int:
    """Bytes of memory that this process occupies (Linux, proc_pid_statm(5))."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _result(bench: str, *, ours: float, peer: float, ratio: float, unit: str) -> dict[str, object]:
    return {"bench": bench, "ours": round(ours, 2), "peer": round(peer, 2), "ratio": round(ratio, 2), "unit": unit}
