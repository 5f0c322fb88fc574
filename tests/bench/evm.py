"""EVM benchmarks: the connector against what people write with web3.py, on one anvil, in one run."""

import asyncio
import time
from datetime import UTC, datetime

from web3 import AsyncHTTPProvider, AsyncWeb3

from connectors import CONNECTORS
from connectors.base import Address, Token, Watch
from connectors.evm.config import EvmConfig
from tests.integration.anvil import AnvilNode

ACCOUNTS = 5000
AT_ONCE = 50
ROUNDS = 3


async def evm_balances_vs_web3() -> dict[str, object]:
    """Microseconds per native balance of 5,000: a complete reading by the connector, and get_balance 50 at a time.

    Ours includes the head, the check of the block and the update; the best of some rounds counts for both.
    """
    accounts = tuple(Address(f"0x{0xBE7C0000 + number:040x}") for number in range(ACCOUNTS))
    async with AnvilNode() as node:
        await node.set_balances({account: number for number, account in enumerate(accounts)})
        await node.mine()
        ours = min([await _ours(node.url, accounts=accounts) for _ in range(ROUNDS)])
        peer = min([await _web3(node.url, accounts=accounts) for _ in range(ROUNDS)])
    return {
        "bench": "evm_balances_vs_web3",
        "ours": round(ours, 1),
        "peer": round(peer, 1),
        "ratio": round(peer / ours, 1),
        "unit": "µs per balance",
    }


async def _ours(url: str, *, accounts: tuple[Address, ...]) -> float:
    config = EvmConfig.model_validate({"kind": "evm", "chain_id": 1, "endpoints": [url]})
    watch = Watch("eth", accounts, (Token("eth", None, 18),))
    async with CONNECTORS["evm"].connect(config, chain="eth", now=lambda: datetime.now(UTC)) as connector:
        started = time.perf_counter()
        update = await connector.read(watch)
        seconds = time.perf_counter() - started
    if [one.units for one in update.held] != list(range(len(accounts))):
        raise RuntimeError(f"a wrong reading: {update.failure}")
    return seconds / len(accounts) * 1e6


async def _web3(url: str, *, accounts: tuple[Address, ...]) -> float:
    provider = AsyncHTTPProvider(url, exception_retry_configuration=None)
    web3 = AsyncWeb3(provider)
    gate = asyncio.Semaphore(AT_ONCE)
    addresses = [web3.to_checksum_address(account) for account in accounts]

    async def balance(number: int) -> int:
        async with gate:
            return await web3.eth.get_balance(addresses[number])

    started = time.perf_counter()
    units = await asyncio.gather(*(balance(number) for number in range(len(accounts))))
    seconds = time.perf_counter() - started
    await provider.disconnect()
    if units != list(range(len(accounts))):
        raise RuntimeError("a wrong reading by web3")
    return seconds / len(accounts) * 1e6
