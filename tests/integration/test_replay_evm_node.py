"""The node over real HTTP: as web3 reads it, going dark and coming back."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import aiohttp
import pytest
from eth_typing import ChecksumAddress, HexAddress, HexStr
from web3 import AsyncHTTPProvider, AsyncWeb3
from web3.exceptions import BlockNotFound

from daemon.replay.evm.ledger import EvmLedger, Transfer
from daemon.replay.evm.node import Node
from daemon.replay.evm.rpc import TokenContract

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
ALICE, BOB = ("0x" + digit * 40 for digit in "12")
TOKEN = "0x" + "7" * 40
ABI = [
    {
        "name": name,
        "type": "function",
        "stateMutability": "view",
        "inputs": inputs,
        "outputs": [{"name": "", "type": kind}],
    }
    for name, inputs, kind in (
        ("balanceOf", [{"name": "owner", "type": "address"}], "uint256"),
        ("decimals", [], "uint8"),
        ("symbol", [], "string"),
        ("totalSupply", [], "uint256"),
    )
]
CALL = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}


def chain() -> EvmLedger:
    ledger = EvmLedger({(ALICE, None): 10**20, (ALICE, TOKEN): 5_000_000}, time=MIDNIGHT)
    ledger.mine([Transfer(ALICE, BOB, 10**18), Transfer(ALICE, BOB, 1, TOKEN)], time=MIDNIGHT + timedelta(minutes=1))
    return ledger


def node(ledger: EvmLedger | None = None) -> Node:
    return Node(ledger or chain(), chain_id=31337, tokens={TOKEN: TokenContract("USDC", 6)})


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[AsyncWeb3[AsyncHTTPProvider]]:
    """web3 that asks once and does not retry."""
    provider = AsyncHTTPProvider(url, exception_retry_configuration=None)
    try:
        yield AsyncWeb3(provider)
    finally:
        await provider.disconnect()


def account(address: str) -> ChecksumAddress:
    """All digits: its lower case is its checksum form."""
    return ChecksumAddress(HexAddress(HexStr(address)))


async def answers(url: str) -> bool:
    """Whether somebody serves at that address, on a new connection."""
    async with aiohttp.ClientSession() as session:
        try:
            async with session.post(url, json=CALL) as response:
                return response.status == 200
        except aiohttp.ClientConnectionError:
            return False


async def test_web3_reads_blocks_and_balances() -> None:
    """web3's own formatters accept every field."""
    ledger = chain()
    async with node(ledger) as served, connected(served.url) as web3:
        assert await web3.eth.chain_id == 31337
        assert await web3.is_connected()
        block = await web3.eth.get_block("latest")
        assert block["hash"].to_0x_hex() == ledger.tip.hash
        assert block["timestamp"] == int(ledger.tip.time.timestamp())
        assert len(block["transactions"]) == 2
        assert await web3.eth.get_balance(account(BOB), block["hash"]) == 10**18
        assert await web3.eth.get_balance(account(BOB), 0) == 0


async def test_web3_reads_a_token_as_any_erc20() -> None:
    async with node() as served, connected(served.url) as web3:
        token = web3.eth.contract(address=account(TOKEN), abi=ABI)
        assert await token.functions.symbol().call() == "USDC"
        assert await token.functions.decimals().call() == 6
        assert await token.functions.totalSupply().call() == 5_000_000
        assert await token.functions.balanceOf(ALICE).call(block_identifier=0) == 5_000_000
        assert await token.functions.balanceOf(ALICE).call() == 4_999_999


async def test_web3_knows_a_missing_block() -> None:
    async with node() as served, connected(served.url) as web3:
        with pytest.raises(BlockNotFound):
            await web3.eth.get_block(99)


async def test_what_is_mined_is_served_at_once() -> None:
    ledger = chain()
    async with node(ledger) as served, connected(served.url) as web3:
        assert await web3.eth.block_number == 1
        ledger.mine(time=MIDNIGHT + timedelta(minutes=2))
        assert await web3.eth.block_number == 2


async def test_a_thousand_balances_fit_in_one_batch() -> None:
    async with node() as served, aiohttp.ClientSession() as session:
        batch = [
            {"jsonrpc": "2.0", "id": number, "method": "eth_getBalance", "params": [BOB, "latest"]}
            for number in range(1000)
        ]
        async with session.post(served.url, json=batch) as response:
            found = await response.json()
        assert [answer["id"] for answer in found] == list(range(1000))
        assert {answer["result"] for answer in found} == {hex(10**18)}


async def test_notifications_are_answered_with_no_content() -> None:
    async with node() as served, aiohttp.ClientSession() as session:
        notice = {key: value for key, value in CALL.items() if key != "id"}
        async with session.post(served.url, json=notice) as response:
            assert (response.status, await response.read()) == (204, b"")


async def test_it_says_json_whatever_was_sent() -> None:
    async with (
        node() as served,
        aiohttp.ClientSession() as session,
        session.post(served.url, data=b"{nope") as response,
    ):
        assert (response.status, response.content_type) == (200, "application/json")
        assert json.loads(await response.read())["error"]["code"] == -32700


async def test_a_dark_node_refuses_connections_and_comes_back_at_the_same_address() -> None:
    async with node() as served:
        url = served.url
        assert await answers(url)
        await served.go_dark()
        assert served.dark
        assert not await answers(url)
        await served.come_back()
        assert served.url == url
        assert await answers(url)


async def test_going_dark_breaks_connections_that_are_open() -> None:
    """A reader with a connection kept alive notices too."""
    async with node() as served, aiohttp.ClientSession() as session:
        async with session.post(served.url, json=CALL) as response:
            assert response.status == 200
        await served.go_dark()
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.post(served.url, json=CALL)


async def test_a_dark_nodes_port_is_nobody_elses() -> None:
    async with node() as served:
        await served.go_dark()
        port = urlsplit(served.url).port
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))


async def test_switching_twice_changes_nothing() -> None:
    async with node() as served:
        await served.come_back()
        assert await answers(served.url)
        await served.go_dark()
        await served.go_dark()
        await served.come_back()
        assert await answers(served.url)


async def test_a_chain_goes_on_while_its_node_is_dark() -> None:
    ledger = chain()
    async with node(ledger) as served, connected(served.url) as web3:
        await served.go_dark()
        ledger.mine(time=MIDNIGHT + timedelta(minutes=2))
        await served.come_back()
        assert await web3.eth.block_number == 2


@pytest.mark.parametrize("dark", [False, True])
async def test_leaving_it_frees_the_port(dark: bool) -> None:
    async with node() as served:
        port = urlsplit(served.url).port
        if dark:
            await served.go_dark()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))


async def test_two_nodes_have_two_ports() -> None:
    async with node() as one, node() as other:
        assert one.url != other.url
