"""How one node is asked for what waits, and what is remembered of it."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.base import Stage
from connectors.errors import BadAnswer, ConnectorError, NodeError, Reason, Unavailable
from connectors.evm import mempool
from connectors.evm.mempool import Mempool
from connectors.evm.pending import Asking, Pool, Waiting
from connectors.transport import REAL
from tests.unit.evm.crafted import COLD, HOT, STRANGER, THIEF, Script, block, node_of, teller, transaction

PAID = transaction(1, HOT, to=THIEF, value=5)
NO_SUCH = NodeError("node: no such method (-32601)", code=-32601)


class Filtering:
    """A node's filter of pending transactions; `lost` it is forgotten."""

    def __init__(self, script: Script) -> None:
        self.new: list[str] = []
        self.made = 0
        self.lost = False
        self._script = script
        script.edit = self.edit

    def edit(self, method: str, params: Any, result: object) -> object:  # noqa: ANN401 - JSON
        if method.startswith("txpool_"):
            return NO_SUCH
        if method == "eth_newPendingTransactionFilter":
            self.made += 1
            self.lost = False
            return hex(self.made)
        if method == "eth_getFilterChanges":
            if self.lost or params[0] != hex(self.made):
                return NodeError("node: filter not found (-32000)", code=-32000)
            new, self.new = self.new, []
            return new
        return result

    def come(self, *transactions: dict[str, Any]) -> None:
        self._script.pool += transactions
        self.new += [one["hash"] for one in transactions]


def asking(script: Script, *, pool: Pool, more: Script | None = None) -> Asking:
    nodes = [node_of(script, name="a"), *([] if more is None else [node_of(more, name="b")])]
    return Asking(nodes, chain="eth", teller=teller(), pool=pool, timing=REAL)


def chain(*pool: dict[str, Any]) -> Script:
    script = Script(pool=list(pool))
    script.add(block(9))
    return script


# ── ways ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_short_list_is_whole() -> None:
    listing = await Mempool(node_of(chain(PAID))).look()
    assert ([one["hash"] for one in listing.transactions], listing.whole) == ([PAID["hash"]], True)


async def test_while_the_list_is_short_its_length_is_not_asked_for_again() -> None:
    script = chain(PAID)
    pool = Mempool(node_of(script))
    for _ in range(3):
        await pool.look()
    assert script.asked == ["txpool_status", *["txpool_content"] * 3]
    script.pool = [transaction(number, HOT, to=THIEF) for number in range(501)]
    await pool.look()
    await pool.look()
    assert script.asked[-2:] == ["txpool_status", "txpool_content"]


async def test_a_long_list_is_not_asked_for_and_a_filter_tells_what_is_new() -> None:
    script = chain()
    filtering = Filtering(script)
    script.edit = lambda method, params, result: (
        {"pending": hex(5000), "queued": "0x0"} if method == "txpool_status" else filtering.edit(method, params, result)
    )
    pool = Mempool(node_of(script))
    await pool.look()
    filtering.come(PAID)
    assert [one["hash"] for one in (await pool.look()).transactions] == [PAID["hash"]]
    assert (await pool.look()).transactions == []
    assert "txpool_content" not in script.asked


async def test_a_filter_that_is_forgotten_is_made_anew() -> None:
    script = chain()
    filtering = Filtering(script)
    pool = Mempool(node_of(script))
    await pool.look()
    filtering.lost = True
    await pool.look()
    filtering.come(PAID)
    assert len((await pool.look()).transactions) == 1
    assert filtering.made == 2


async def test_of_many_new_ones_some_are_asked_for_with_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mempool, "MOST_ASKED", 3)
    script = chain()
    filtering = Filtering(script)
    pool = Mempool(node_of(script))
    await pool.look()
    filtering.come(*(transaction(number, HOT, to=THIEF, value=1) for number in range(7)))
    assert [len((await pool.look()).transactions) for _ in range(4)] == [3, 3, 1, 0]


async def test_one_that_is_mined_meanwhile_does_not_wait() -> None:
    script = chain()
    filtering = Filtering(script)
    pool = Mempool(node_of(script))
    await pool.look()
    filtering.come({**PAID, "blockHash": "0x" + "11" * 32})
    assert (await pool.look()).transactions == []


async def test_the_next_block_is_the_last_way_and_without_it_there_is_none() -> None:
    script = chain()
    known = True

    def edit(method: str, _params: object, result: object) -> object:
        if method == "eth_getBlockByNumber":
            return block(10, PAID) if known else None
        return NO_SUCH if method.startswith(("txpool", "eth_new")) else result

    script.edit = edit
    pool = Mempool(node_of(script))
    listing = await pool.look()
    assert ([one["hash"] for one in listing.transactions], listing.whole) == ([PAID["hash"]], False)
    known = False
    assert (await pool.look()).transactions == ()
    assert not pool.offered
    script.asked.clear()
    await pool.look()
    assert script.asked == []


# ── what is remembered ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_payment_of_ours_waits_and_is_news_and_one_among_strangers_is_not() -> None:
    pool = Pool(enabled=True)
    script = chain(transaction(2, STRANGER, to=THIEF, value=5))
    await asking(script, pool=pool).look()
    assert not pool.waiting and not pool.news.is_set()
    script.pool.append(PAID)
    await asking(script, pool=pool).look()
    assert list(pool.waiting) == [PAID["hash"]]
    assert pool.news.is_set()


async def test_one_that_makes_no_sense_costs_none_of_the_others_and_is_counted() -> None:
    pool = Pool(enabled=True)
    node = node_of(chain({**PAID, "value": "much"}, transaction(2, COLD, to=THIEF, value=5)))
    await Asking([node], chain="eth", teller=teller(), pool=pool, timing=REAL).look()
    assert list(pool.waiting) == [f"0x{2:064x}"]
    assert node.transport.stats().errors == {Reason.BAD_ANSWER: 1}


async def test_one_with_the_same_sender_and_nonce_takes_the_others_place() -> None:
    pool = Pool(enabled=True)
    script = chain(PAID)
    looks = asking(script, pool=pool)
    await looks.look()
    script.pool = [transaction(2, HOT, to=HOT)]
    await looks.look()
    assert pool.waiting[PAID["hash"]].replaced_by == f"0x{2:064x}"


async def test_one_that_is_gone_is_missed_since_the_nodes_newest_block_until_it_is_there_again() -> None:
    pool = Pool(enabled=True)
    script = chain(PAID)
    looks = asking(script, pool=pool)
    await looks.look()
    script.pool = []
    await looks.look()
    assert pool.waiting[PAID["hash"]].absent_since == 9
    script.pool = [PAID]
    await looks.look()
    assert pool.waiting[PAID["hash"]].absent_since is None


@pytest.mark.parametrize("known", [True, False])
async def test_what_a_partial_list_lacks_is_asked_for_by_its_hash(known: bool) -> None:
    pool = Pool(enabled=False)
    pool.waiting[PAID["hash"]] = Waiting((HOT, 0), (), told=Stage.MINED)
    await asking(chain(*([PAID] if known else [])), pool=pool).look()
    assert pool.waiting[PAID["hash"]].absent_since == (None if known else 9)


async def test_where_mempools_are_not_to_be_asked_and_nothing_waits_no_node_is_asked() -> None:
    script = chain(PAID)
    await asking(script, pool=Pool(enabled=False)).look()
    assert script.asked == []


@pytest.mark.parametrize("error", [Unavailable("down"), BadAnswer("nonsense")], ids=repr)
async def test_a_node_that_fails_rests_nobody_and_the_next_one_is_asked(error: ConnectorError) -> None:
    pool = Pool(enabled=True)
    failing = chain()
    failing.edit = lambda *_: error
    looks = asking(failing, pool=pool, more=chain(PAID))
    await looks.look()
    assert list(pool.waiting) == [PAID["hash"]]


async def test_a_list_of_another_shape_is_a_bad_answer_and_the_next_node_is_asked() -> None:
    pool = Pool(enabled=True)
    odd = chain()
    odd.edit = lambda method, _, result: ["?"] if method == "txpool_content" else result
    await asking(odd, pool=pool, more=chain(PAID)).look()
    assert list(pool.waiting) == [PAID["hash"]]


async def test_a_node_that_failed_is_not_asked_before_it_has_told_balances_again() -> None:
    script = chain(PAID)
    node = node_of(script)
    node.transport.circuit.failed(Unavailable("down"))
    await Asking([node], chain="eth", teller=teller(), pool=Pool(enabled=True), timing=REAL).look()
    assert script.asked == []
