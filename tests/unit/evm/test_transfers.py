"""What a transaction or a log comes to as a movement."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Address, Party, Stage
from connectors.evm import answers
from connectors.evm.address import ZERO
from connectors.evm.answers import Event, Receipt, Sent
from connectors.evm.transfers import MOST_PAID, TRANSFER_EVENT, Deed, Flow, rest, transfer_of
from tests.unit.evm.crafted import (
    COIN,
    COLD,
    HOT,
    SAFE,
    STRANGER,
    THIEF,
    USDT,
    log,
    name_of,
    teller,
    tip,
    transaction,
    transferring,
    word,
)

TELLER = teller()
ROUTER, POOL = Address("0x" + "70" * 20), Address("0x" + "71" * 20)


def sent(sender: str, *, to: str | None, value: int = 0, data: str = "0x") -> Sent:
    return answers.sent(transaction(1, sender, to=to, value=value, data=data))


def event(**fields: object) -> Event | None:
    return answers.event({**log(1, HOT, THIEF, units=5), **fields}, at=name_of(1))


def flows_of(*flows: tuple[Address, Address, int]) -> Deed:
    return Deed("0x1", USDT, tuple(Flow(*flow) for flow in flows))


# ── logs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("indexed", range(4))
def test_a_transfer_is_read_whichever_values_are_indexed(indexed: int) -> None:
    words = [word(HOT), word(THIEF), word(5)]
    topics = [TRANSFER_EVENT, *("0x" + one for one in words[:indexed])]
    found = event(topics=topics, data="0x" + "".join(words[indexed:]))
    assert found is not None
    assert transfer_of(found) == Flow(HOT, THIEF, 5)


@pytest.mark.parametrize(
    "fields",
    [
        {"data": "0x"},
        {"data": "0x" + word(5) + word(6)},
        {"topics": [TRANSFER_EVENT]},
        {"topics": [TRANSFER_EVENT, "0x" + "ff" * 32, "0x" + word(THIEF)]},
    ],
    ids=["no data", "too much data", "no accounts", "no address"],
)
def test_a_log_that_is_no_transfer_of_three_values_moves_nothing(fields: dict[str, object]) -> None:
    found = event(**fields)
    assert found is not None
    assert transfer_of(found) is None


def test_a_log_that_a_reorg_took_back_and_one_with_half_a_word_are_passed_over() -> None:
    assert event(removed=True) is None
    assert event(data="0x05") is None


@pytest.mark.parametrize(
    "fields",
    [
        {"blockHash": name_of(2)},
        {"data": None},
        {"data": "0xg"},
        {"topics": None},
        {"topics": ["0x1"]},
        {"address": "x"},
    ],
    ids=repr,
)
def test_a_log_that_no_node_can_mean_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        event(**fields)


def test_only_transfers_of_watched_accounts_and_contracts_of_more_than_nothing_count() -> None:
    events = [
        answers.event(one, at=name_of(1))
        for one in (
            log(1, HOT, THIEF, units=5),
            log(1, STRANGER, THIEF, units=9),
            log(2, STRANGER, THIEF, units=9),
            log(3, HOT, THIEF, units=0),
            log(4, HOT, THIEF, units=3, address="0x" + "ee" * 20),
        )
    ]
    found = TELLER.transfers(one for one in events if one is not None)
    assert found == {(f"0x{1:064x}", USDT): (Flow(HOT, THIEF, 5), Flow(STRANGER, THIEF, 9))}


# ── what waits ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_call_data_of_transfer_and_of_transfer_from_says_whom_it_pays() -> None:
    contract = str(USDT.contract)
    (paid,) = TELLER.waiting(sent(HOT, to=contract, data=transferring(THIEF, 7)))
    assert (paid.token, paid.flows) == (USDT, (Flow(HOT, THIEF, 7),))
    (taken,) = TELLER.waiting(sent(THIEF, to=contract, data="0x23b872dd" + word(COLD) + word(THIEF) + word(8)))
    assert taken.flows == (Flow(COLD, THIEF, 8),)


@pytest.mark.parametrize(
    "data",
    ["0x", "0xa9059cbb", transferring(THIEF, 7)[:-2], "0x23b872dd" + word(HOT) + word(THIEF), "0xa9059cbb" + "ff" * 64],
    ids=["none", "selector", "a byte short", "two of three", "no address"],
)
def test_call_data_that_asks_for_no_transfer_is_none(data: str) -> None:
    assert TELLER.waiting(sent(HOT, to=str(USDT.contract), data=data)) == ()


def test_a_transfer_call_to_a_contract_that_is_not_watched_is_none() -> None:
    assert TELLER.waiting(sent(HOT, to=STRANGER, data=transferring(THIEF, 7))) == ()


def test_ether_and_a_token_call_in_one_transaction_are_both_told() -> None:
    deeds = TELLER.waiting(sent(HOT, to=str(USDT.contract), value=3, data=transferring(THIEF, 7)))
    assert [deed.token for deed in deeds] == [USDT, COIN]


def test_what_strangers_pay_each_other_is_nothing_to_us() -> None:
    assert TELLER.waiting(sent(STRANGER, to=THIEF, value=3)) == ()


def test_a_creation_that_waits_pays_the_zero_address_as_long_as_nobody_knows_whom() -> None:
    (deed,) = TELLER.waiting(sent(HOT, to=None, value=3))
    assert deed.flows == (Flow(HOT, ZERO, 3),)


# ── what is mined ───────────────────────────────────────────────────────────────────────────────────────────────────


def mined(one: Sent, *, succeeded: bool = True, fee: int = 10, created: Address | None = None) -> Deed:
    deed = TELLER.mined(one, Receipt(succeeded, fee, created, []))
    assert deed is not None
    return deed


def test_of_one_that_fails_the_fee_leaves_and_the_value_stays() -> None:
    one = TELLER.movement(mined(sent(HOT, to=THIEF, value=5), succeeded=False), stage=Stage.MINED, tip=tip(1))
    assert one is not None
    assert (one.changes, one.destinations, one.fee) == (((HOT, -10),), (), 10)


def test_one_that_creates_a_contract_pays_it() -> None:
    one = TELLER.movement(mined(sent(HOT, to=None, value=5), created=POOL), stage=Stage.MINED, tip=tip(1))
    assert one is not None
    assert one.destinations == (Party(POOL, 5),)


def test_a_strangers_fee_is_no_change_of_ours_but_is_told() -> None:
    one = TELLER.movement(mined(sent(STRANGER, to=HOT, value=5)), stage=Stage.MINED, tip=tip(1))
    assert one is not None
    assert (one.changes, one.fee) == (((HOT, 5),), 10)


def test_where_nothing_is_paid_and_nothing_costs_there_is_no_movement() -> None:
    assert TELLER.movement(mined(sent(STRANGER, to=HOT, value=5), succeeded=False), stage=Stage.MINED) is None
    assert TELLER.movement(mined(sent(HOT, to=THIEF), fee=0), stage=Stage.MINED) is None


def test_of_receipts_blobs_and_the_data_of_an_l2_cost_as_well() -> None:
    one = sent(HOT, to=THIEF)
    raw = {"transactionHash": one.hash, "blockHash": name_of(1), "status": "0x1", "contractAddress": None}
    raw |= {"gasUsed": "0x5", "effectiveGasPrice": "0x2", "blobGasUsed": "0x3", "blobGasPrice": "0x7", "l1Fee": "0x64"}
    assert answers.receipt(raw, of=one, at=name_of(1)).fee == 5 * 2 + 3 * 7 + 100


@pytest.mark.parametrize(
    "fields",
    [
        {"transactionHash": "0x1"},
        {"blockHash": name_of(2)},
        {"gasUsed": None},
        {"effectiveGasPrice": 5},
        {"status": "ok"},
    ],
    ids=repr,
)
def test_a_receipt_that_no_node_can_mean_is_refused(fields: dict[str, object]) -> None:
    one = sent(HOT, to=THIEF)
    raw = {"transactionHash": one.hash, "blockHash": name_of(1), "status": "0x1", "gasUsed": "0x1"}
    with pytest.raises(ValueError, match=r"\w"):
        answers.receipt({**raw, "effectiveGasPrice": "0x1", **fields}, of=one, at=name_of(1))


# ── with whom ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_destination_is_who_has_it_in_the_end_and_no_router() -> None:
    one = TELLER.movement(flows_of((HOT, ROUTER, 100), (ROUTER, POOL, 98), (ROUTER, COLD, 2)), stage=Stage.MINED)
    assert one is not None
    assert dict(one.changes) == {HOT: -100, COLD: 2}
    assert one.destinations == (Party(POOL, 98),)


def test_what_others_move_in_the_same_transaction_is_neither_source_nor_destination() -> None:
    one = TELLER.movement(flows_of((HOT, THIEF, 5), (STRANGER, POOL, 9)), stage=Stage.MINED)
    assert one is not None
    assert (one.destinations, one.sources) == ((Party(THIEF, 5),), (Party(HOT, 5),))


def test_what_is_minted_comes_from_the_zero_address_and_what_is_burnt_goes_there() -> None:
    minted = TELLER.movement(flows_of((ZERO, HOT, 5)), stage=Stage.MINED)
    burnt = TELLER.movement(flows_of((HOT, ZERO, 5)), stage=Stage.MINED)
    assert minted is not None and burnt is not None
    assert (minted.changes, minted.sources) == (((HOT, 5),), (Party(ZERO, 5),))
    assert (burnt.changes, burnt.destinations) == (((HOT, -5),), (Party(ZERO, 5),))


def test_of_a_payout_of_ours_to_many_all_are_named_up_to_what_a_block_holds() -> None:
    flows = [(SAFE, Address(f"0x{0xF000 + number:040x}"), number + 1) for number in range(MOST_PAID + 20)]
    one = TELLER.movement(flows_of(*flows), stage=Stage.MINED)
    assert one is not None
    assert len(one.destinations) == MOST_PAID
    assert one.destinations[0].units == MOST_PAID + 20
    assert one.changes == ((SAFE, -sum(range(MOST_PAID + 21))),)


accounts = st.sampled_from([HOT, COLD, SAFE, STRANGER, THIEF, ROUTER, ZERO])


@given(st.lists(st.tuples(accounts, accounts, st.integers(1, 100)), max_size=12), st.integers(0, 9), accounts)
def test_changes_are_the_sum_of_what_is_paid_and_nobody_gains_by_the_whole(
    flows: list[tuple[Address, Address, int]], fee: int, payer: Address
) -> None:
    deed = replace(flows_of(*flows), token=COIN, fee=fee, payer=payer)
    one = TELLER.movement(deed, stage=Stage.MINED)
    naive = {
        account: sum(units for _, to, units in flows if to == account)
        - sum(units for source, _, units in flows if source == account)
        - (fee if payer == account else 0)
        for account in (HOT, COLD, SAFE)
    }
    changes = {} if one is None else dict(one.changes)
    assert {account: units for account, units in changes.items() if units} == {
        account: units for account, units in naive.items() if units
    }
    if one is not None:
        assert not {party.name for party in one.destinations} & set(naive)
        lost = sum(units for _, units in one.changes) + (fee if payer in naive else 0)
        assert sum(party.units for party in one.destinations) >= -lost


# ── the rest ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_rest_names_its_block_and_nobody() -> None:
    one = rest({HOT: -9, COLD: 2}, token=COIN, tip=tip(7))
    assert (one.transaction, one.tip, one.fee) == (f"block:{name_of(7)}", tip(7), None)
    assert one.destinations == (Party("unknown", 7),)
    assert one.sources == (Party(HOT, 9),)


def test_a_rest_that_moves_among_us_leaves_to_nobody() -> None:
    one = rest({HOT: 9, COLD: -9}, token=COIN, tip=tip(7))
    assert (one.destinations, one.sources) == ((), (Party(COLD, 9),))


def test_a_rest_that_is_taken_back_is_in_no_block() -> None:
    one = rest({HOT: 9}, token=COIN, tip=tip(7), stage=Stage.EVICTED)
    assert (one.stage, one.tip, one.sources) == (Stage.EVICTED, None, (Party("unknown", 9),))
