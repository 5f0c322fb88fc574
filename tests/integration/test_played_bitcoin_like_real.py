"""Contract: the small Bitcoin nodes answer their client's requests in the shape in which bcoin and ElectrumX do."""

from __future__ import annotations

import re
import string
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.replay.bitcoin.played import PlayedBitcoin
from daemon.replay.bitcoin.wrapped import BitcoinNode
from tests.integration.electrumx import ElectrumX
from tests.integration.purse import Lock
from tests.integration.regtest import Regtest, connected, eventually, prepared
from tests.played_bitcoin import CUSTOMER, HOT, WHOLE, ground
from tests.unit.replay.bitcoin.asking import Core, Electrum, electrum, name_of, urls

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

BEGIN = datetime(2024, 5, 31, tzinfo=UTC)
STRANGER = "11" * 32
HASH = re.compile(r"[0-9a-f]{64}")
NEW = Lock("p2wpkh", 78)


@dataclass(frozen=True, slots=True)
class Story:
    """What words in a request stand for, on one chain: USED was paid in a block and again since; NEW never was."""

    words: Mapping[str, object]

    def told(self, params: object) -> object:
        if isinstance(params, list):
            return [self.told(one) for one in params]
        if isinstance(params, str) and params in self.words:
            return self.words[params]
        return string.Template(params).substitute(self.words) if isinstance(params, str) else params


def story(*, height: int, tip: str, mined: str, pending: str, used: bytes) -> Story:
    words: dict[str, object] = {"HEIGHT": height, "BEYOND": height + 1, "TIP": tip, "MINED": mined, "PENDING": pending}
    words |= {"USED": used.hex(), "USED_NAME": name_of(used), "NEW": NEW.script.hex(), "NEW_NAME": name_of(NEW.script)}
    return Story(words)


@dataclass(frozen=True, slots=True)
class Both:
    """The story on our chain and on the real one, and how to ask their nodes."""

    played: PlayedBitcoin
    ours: Story
    real: Story
    our_core: Core
    real_core: Core
    our_electrum: Electrum
    real_electrum: Electrum


@pytest.fixture(scope="module")
def shared() -> Iterator[Regtest]:
    yield from prepared()


@pytest.fixture
async def both(shared: Regtest, tmp_path: Path) -> AsyncIterator[Both]:
    chain = ground({HOT: 10 * WHOLE}, time=BEGIN).opened(nodes=2)
    server = ElectrumX(shared.node.url, folder=tmp_path)
    server.start()
    try:
        async with connected(shared), chain as played, BitcoinNode(shared.node.url) as node:
            real, ours = await _really(shared), _played(played)
            async with (
                electrum(urls(played)[1]) as our_electrum,
                electrum(f"tcp://127.0.0.1:{server.port}") as real_electrum,
            ):
                await real_electrum.ask("server.version", "test", ["1.4", "1.4"])
                await our_electrum.ask("server.version", "test", ["1.4", "1.4"])
                await _caught_up(real_electrum, story=real)
                yield Both(played, ours, real, Core(urls(played)[0]), Core(node.url), our_electrum, real_electrum)
    finally:
        server.stop()


async def _really(chain: Regtest) -> Story:
    (used,) = chain.locks("p2wpkh")
    mined = await chain.pay([(used.script, WHOLE)])
    await chain.node.mine()
    pending = await chain.pay([(used.script, WHOLE // 2)])
    height, tip = await chain.node.head()
    return story(height=height, tip=tip, mined=mined[::-1].hex(), pending=pending[::-1].hex(), used=used.script)


def _played(chain: PlayedBitcoin) -> Story:
    mined = chain.pay(HOT, CUSTOMER, units=WHOLE, fee=20_000)
    chain.mine(time=BEGIN + timedelta(minutes=10))
    pending = chain.pay(HOT, CUSTOMER, units=WHOLE // 2, fee=20_000)
    used = chain.ledger.script(CUSTOMER)
    return story(height=chain.height, tip=chain.ledger.tip.hash, mined=mined, pending=pending, used=used)


async def _caught_up(server: Electrum, *, story: Story) -> None:
    """It has read the chain and the mempool."""

    async def so() -> bool:
        seen = await server.ask("blockchain.scripthash.get_history", story.words["USED_NAME"])
        return [one["tx_hash"] for one in seen] == [story.words["MINED"], story.words["PENDING"]]

    await eventually(so, within=30.0)


def shape(value: object) -> object:
    """Keys and kinds of value, of a list those of all its members; of an error its code."""
    if isinstance(value, dict):
        if value.keys() == {"code", "message"}:
            return {"code": value["code"], "message": type(value["message"]).__name__}
        return {key: shape(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return sorted({repr(shape(entry)) for entry in value})
    if isinstance(value, str):
        return "hash" if HASH.fullmatch(value) else "hex" if set(value) <= set("0123456789abcdef") else "text"
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


CORE = {
    "hash of a block": ("getblockhash", ["HEIGHT"]),
    "hash of the first block": ("getblockhash", [0]),
    "height that is not yet": ("getblockhash", ["BEYOND"]),
    "newest hash": ("getbestblockhash", []),
    "count": ("getblockcount", []),
    "header": ("getblockheader", ["TIP", False]),
    "block": ("getblock", ["TIP", 0]),
    "mempool": ("getrawmempool", [False]),
    "mempool by default": ("getrawmempool", []),
    "pending transaction": ("getrawtransaction", ["PENDING"]),
    "mined transaction": ("getrawtransaction", ["MINED"]),
    "scan": ("scantxoutset", ["start", ["raw(${USED})"]]),
    "scan of nothing": ("scantxoutset", ["start", ["raw(${NEW})"]]),
    "status of no scan": ("scantxoutset", ["status"]),
    "abortion of no scan": ("scantxoutset", ["abort"]),
    "scan of nonsense": ("scantxoutset", ["start", ["wpkh(nonsense)"]]),
    "unknown action": ("scantxoutset", ["begin"]),
    "unknown method": ("nope", []),
}


async def test_core_s_answers_have_the_shape_of_bcoin_s(both: Both) -> None:
    for name, (method, params) in CORE.items():
        ours = await both.our_core.ask(method, *_each(both.ours, params))
        real = await both.real_core.ask(method, *_each(both.real, params))
        assert shape(ours) == shape(real), name


async def test_the_first_block_is_the_same_byte_for_byte(both: Both) -> None:
    told = []
    for core in (both.our_core, both.real_core):
        first = await core.ask("getblockhash", 0)
        told.append((first, await core.ask("getblockheader", first, False), await core.ask("getblock", first, 0)))
    assert told[0] == told[1]


SINCE_FORKED = {
    # Bitcoin Core's documentation of getblockchaininfo (28 and later); bcoin tells soft forks as Core did before 0.19.
    "getblockchaininfo": {
        "params": [],
        "ours": {"bits", "target", "time", "initialblockdownload", "size_on_disk", "warnings"},
        "bcoin": {"softforks", "bip9_softforks", "pruneheight"},
    },
    # Bitcoin Core's documentation of getmempoolentry; bcoin has the fields of before 0.17.
    "getmempoolentry": {
        "params": ["PENDING"],
        "ours": {"vsize", "weight", "wtxid", "fees", "spentby", "bip125-replaceable", "unbroadcast"},
        "bcoin": {
            *("size", "fee", "modifiedfee", "startingpriority", "currentpriority"),
            *("descendantfees", "ancestorfees"),
        },
    },
}


@pytest.mark.parametrize("method", SINCE_FORKED)
async def test_where_bcoin_is_older_what_both_have_is_of_one_shape(both: Both, method: str) -> None:
    """The rest is Bitcoin Core's own documentation."""
    known = SINCE_FORKED[method]
    ours = await both.our_core.ask(method, *_each(both.ours, known["params"]))
    asked = await both.real_core.ask(method, *_each(both.real, known["params"]))
    real = {key: value for key, value in asked.items() if key != "initialblockdownload"}  # the wrapper's own
    assert ours.keys() - real.keys() == known["ours"]
    assert real.keys() - ours.keys() == known["bcoin"]
    common = ours.keys() & real.keys()
    assert shape({key: ours[key] for key in common}) == shape({key: real[key] for key in common})


DIFFERENCES = {
    # src/rpc/blockchain.cpp and mempool.cpp: RPC_INVALID_ADDRESS_OR_KEY; bcoin has one code for several troubles.
    "unknown block": ("getblock", [STRANGER, 0], -5, -1),
    "unknown header": ("getblockheader", [STRANGER, False], -5, -1),
    "unknown transaction": ("getrawtransaction", [STRANGER], -5, -1),
    "transaction that is not pending": ("getmempoolentry", ["MINED"], -5, -1),
}


async def test_where_it_differs_from_bcoin_it_is_as_core(both: Both) -> None:
    """When bcoin changes its mind, this says which difference is gone."""
    for name, (method, params, our_code, bcoin_s) in DIFFERENCES.items():
        ours = await both.our_core.ask(method, *_each(both.ours, params))
        real = await both.real_core.ask(method, *_each(both.real, params))
        assert (ours["code"], real["code"]) == (our_code, bcoin_s), name


SCRIPT = "blockchain.scripthash"
ELECTRUM = {
    "ping": ("server.ping", []),
    "features": ("server.features", []),
    "newest header": ("blockchain.headers.subscribe", []),
    "header": ("blockchain.block.header", ["HEIGHT"]),
    "header that is not yet": ("blockchain.block.header", ["BEYOND"]),
    "header of no height": ("blockchain.block.header", [-1]),
    "headers": ("blockchain.block.headers", ["HEIGHT", 2]),
    "headers beyond": ("blockchain.block.headers", ["BEYOND", 2]),
    "status": (f"{SCRIPT}.subscribe", ["USED_NAME"]),
    "status of a new script": (f"{SCRIPT}.subscribe", ["NEW_NAME"]),
    "status of nonsense": (f"{SCRIPT}.subscribe", ["12"]),
    "balance": (f"{SCRIPT}.get_balance", ["USED_NAME"]),
    "balance of a new script": (f"{SCRIPT}.get_balance", ["NEW_NAME"]),
    "history": (f"{SCRIPT}.get_history", ["USED_NAME"]),
    "history of a new script": (f"{SCRIPT}.get_history", ["NEW_NAME"]),
    "pending": (f"{SCRIPT}.get_mempool", ["USED_NAME"]),
    "nothing pending": (f"{SCRIPT}.get_mempool", ["NEW_NAME"]),
    "coins": (f"{SCRIPT}.listunspent", ["USED_NAME"]),
    "no coins": (f"{SCRIPT}.listunspent", ["NEW_NAME"]),
    "mined transaction": ("blockchain.transaction.get", ["MINED"]),
    "pending transaction": ("blockchain.transaction.get", ["PENDING"]),
    "unknown transaction": ("blockchain.transaction.get", [STRANGER]),
    "transaction of nonsense": ("blockchain.transaction.get", ["12"]),
    "unknown method": ("blockchain.nope", []),
    "too few parameters": ("blockchain.block.header", []),
}


async def test_the_electrum_server_s_answers_have_the_shape_of_electrumx_s(both: Both) -> None:
    for name, (method, params) in ELECTRUM.items():
        ours = await both.our_electrum.ask(method, *_each(both.ours, params))
        real = await both.real_electrum.ask(method, *_each(both.real, params))
        assert _without_hosts(shape(ours)) == _without_hosts(shape(real)), name


async def test_the_electrum_servers_tell_the_same_story_in_the_same_numbers(both: Both) -> None:
    """USED was paid one coin in the newest block, and half a one since."""
    told = []
    for server, known in ((both.our_electrum, both.ours), (both.real_electrum, both.real)):
        balance = await server.ask(f"{SCRIPT}.get_balance", known.words["USED_NAME"])
        (pending,) = await server.ask(f"{SCRIPT}.get_mempool", known.words["USED_NAME"])
        assert pending["tx_hash"] == known.words["PENDING"]
        told.append((balance, pending["height"], pending["fee"]))
    assert told[0][1:] == told[1][1:]
    assert told[0][0]["unconfirmed"] == told[1][0]["unconfirmed"] == WHOLE // 2


async def test_notices_have_the_shape_of_electrumx_s(both: Both, shared: Regtest) -> None:
    """As of a block that brings the subscriber money."""
    for server, known in ((both.our_electrum, both.ours), (both.real_electrum, both.real)):
        await server.ask("blockchain.headers.subscribe")
        await server.ask(f"{SCRIPT}.subscribe", known.words["USED_NAME"])
    await shared.node.mine()
    await _noticed(both.real_electrum)
    both.played.mine(time=BEGIN + timedelta(minutes=20))
    await _noticed(both.our_electrum)
    notices = [dict(server.notices) for server in (both.our_electrum, both.real_electrum)]
    assert shape(notices[0]) == shape(notices[1])


async def _noticed(server: Electrum) -> None:
    async def so() -> bool:
        await server.ask("server.ping")
        return len({method for method, _ in server.notices}) == 2

    await eventually(so, within=30.0)


def _each(known: Story, params: object) -> list[object]:
    told = known.told(params)
    assert isinstance(told, list)
    return told


def _without_hosts(value: object) -> object:
    """Where a server can be reached is its own affair."""
    return {key: entry for key, entry in value.items() if key != "hosts"} if isinstance(value, dict) else value
