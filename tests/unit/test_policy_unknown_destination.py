"""The rule `unknown_destination`: whom wallets of which tier may pay, and what only looks like it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.base import Movement, Stage
from daemon.model import Judgement, Tier
from daemon.policy.unknown_destination import UnknownDestination
from tests.build import ETH, ETHER, USDT, address, failed, inventory, movement, tip, wallet
from tests.unit.detected import Watched, of, stages
from tests.unit.test_announcements import plan

INVENTORY = inventory(
    wallet("hot", Tier.HOT, 1),
    wallet("vault", Tier.COLD, 2, 3),
    wallet("warm", Tier.WARM, 5),
    assets={"ETH": [ETH], "USDT": [USDT]},
)
HELD = {(number, token): 100 * ETHER for number in (1, 2, 3, 5) for token in (ETH, USDT)}
BROKER = "0xaabbccddee" + "01" * 13 + "5566"
FAKE = "0xaabbccddee" + "ff" * 13 + "5566"
STRANGER = "0x" + "9" * 40


def watched(**keys: object) -> Watched:
    rule = UnknownDestination.model_validate({"kind": "unknown_destination", **keys})
    return Watched(rule, inv=INVENTORY, allowed={BROKER: "broker"}, held=HELD)


def planned(*to: str, at_most: str = "1") -> Watched:
    """With a transfer of the vault's to these that two people stand for."""
    watch = watched()
    watch.pipeline.detecting.announced.put([plan(at_most=at_most, destinations=to, wallet="vault")])
    return watch


def paid(payer: int, *to: str, name: str = "a", **keys: object) -> Movement:
    """One ether to each, with a fee."""
    sums = -len(to) * ETHER - 10**15
    made = movement(name, {payer: sums}, destinations=[(one, ETHER) for one in to], fee=10**15)
    return replace(made, **keys)  # type: ignore[arg-type]


@pytest.mark.parametrize(("payer", "wallet_name"), [(2, "vault"), (5, "warm")])
async def test_a_cold_or_warm_wallet_that_pays_a_stranger_is_told_while_that_is_pending(
    payer: int, wallet_name: str
) -> None:
    watch = watched()
    found = of(await watch.see(paid(payer, STRANGER), seconds=5), wallet_name)
    assert watch.told == [f"firing {wallet_name}"]
    assert (found.alert, found.judgement) == ("PyrometerUnknownDestination", Judgement.BREACH)
    assert found.summary == (
        f"{wallet_name} pays 1 ETH to {STRANGER}, neither in the inventory nor among the destinations; "
        "transaction a, pending since 12:00:05 UTC"
    )
    assert (found.wallets, found.grounds) == ((wallet_name,), ("a",))


@pytest.mark.parametrize(
    "payment",
    [
        paid(2, BROKER),
        movement("a", {2: -ETHER - 10**15, 1: ETHER}, fee=10**15),
        movement("a", {2: -ETHER - 10**15, 3: ETHER}, fee=10**15),
    ],
    ids=["a broker", "another wallet", "another account"],
)
async def test_the_same_payment_to_somebody_known_is_not_told(payment: Movement) -> None:
    watch = watched()
    report = await watch.see(payment, seconds=5)
    assert watch.told == []
    assert of(report, "vault").judgement is Judgement.OK


async def test_a_hot_wallet_may_pay_strangers() -> None:
    watch = watched()
    assert of(await watch.see(paid(1, STRANGER), seconds=5), "hot").judgement is Judgement.OK
    assert watch.told == []


@pytest.mark.parametrize(("payer", "wallet_name"), [(1, "hot"), (2, "vault")])
async def test_what_looks_like_a_known_destination_is_told_of_any_tier(payer: int, wallet_name: str) -> None:
    watch = watched()
    found = of(await watch.see(paid(payer, FAKE), seconds=5), wallet_name)
    assert watch.told == [f"firing {wallet_name}"]
    assert f"1 ETH to {FAKE}, which looks like broker {BROKER} but is not it; " in found.summary
    [shown] = found.evidence["transactions"]
    assert shown["look_alike"] == {
        "destination": FAKE,
        "looks_like": BROKER,
        "known_as": "broker",
        "agree_first": 10,
        "agree_last": 4,
    }


async def test_what_looks_like_one_of_our_own_accounts_is_told() -> None:
    watch = watched()
    fake = str(address(3)).replace("0000000", "1111111", 5).replace("1111111", "0000000", 1)
    found = of(await watch.see(paid(1, fake), seconds=5), "hot")
    assert f"looks like vault {address(3)}" in found.summary


async def test_a_look_alike_from_a_hot_wallet_is_not_told_where_that_is_not_wanted() -> None:
    watch = watched(look_alikes_of_all_tiers="false")
    report = await watch.see(paid(1, FAKE), seconds=5)
    assert watch.told == []
    assert "hot" not in {verdict.subject for verdict in report.verdicts}


async def test_named_wallets_are_judged_instead_of_tiers() -> None:
    watch = watched(wallets=["h*"], look_alikes_of_all_tiers="false")
    await watch.see(paid(1, STRANGER), paid(2, STRANGER, name="b"), seconds=5)
    assert watch.told == ["firing hot"]


async def test_one_stranger_among_the_known_is_told_and_named() -> None:
    watch = watched()
    found = of(await watch.see(paid(2, BROKER, STRANGER), seconds=5), "vault")
    assert f"vault pays 1 ETH to {STRANGER}, neither" in found.summary


async def test_a_look_alike_is_named_before_other_strangers() -> None:
    watch = watched()
    found = of(await watch.see(paid(2, STRANGER, FAKE), seconds=5), "vault")
    assert f"vault pays another unknown destination, 1 ETH to {FAKE}, which looks like" in found.summary


async def test_what_nobody_can_name_is_an_unknown_destination() -> None:
    watch = watched()
    block = movement("block:0xa", {2: -ETHER}, destinations=[("unknown", ETHER)], block=tip(1))
    found = of(await watch.see(block, seconds=5), "vault")
    assert watch.told == ["firing vault"]
    assert "1 ETH to unknown" in found.summary


async def test_what_leaves_beyond_the_listed_destinations_is_told_of_a_vault() -> None:
    watch = watched()
    beyond = movement("a", {2: -3 * ETHER}, destinations=[(BROKER, ETHER)], fee=10**15)
    found = of(await watch.see(beyond, seconds=5), "vault")
    assert "vault pays 1.999 ETH to nobody knows whom, neither in the inventory" in found.summary


async def test_a_fee_alone_is_no_payment() -> None:
    watch = watched()
    await watch.see(movement("a", {2: -(10**15)}, fee=10**15), seconds=5)
    assert watch.told == []


async def test_pending_first_and_mined_later_is_one_finding_that_ends_an_hour_after() -> None:
    watch = watched(clear_after="0s")
    pending = await watch.see(paid(2, STRANGER), seconds=5)
    mined = await watch.see(replace(paid(2, STRANGER), stage=Stage.MINED, tip=tip(1)), seconds=20)
    assert stages(mined, "vault") == {"a": "mined"}
    assert [one.id for one in mined.findings] == [one.id for one in pending.findings]
    assert of(await watch.see(seconds=3619), "vault").judgement is Judgement.BREACH
    assert of(await watch.see(seconds=3620), "vault").judgement is Judgement.OK
    assert watch.told == ["firing vault", "resolved vault"]


async def test_replaced_by_a_payment_to_another_stranger_the_finding_follows() -> None:
    watch = watched(clear_after="0s")
    before = await watch.see(paid(2, STRANGER), seconds=5)
    gone = paid(2, STRANGER, stage=Stage.REPLACED, replaced_by="b")
    after = await watch.see(gone, paid(2, FAKE, name="b"), seconds=6)
    assert stages(after, "vault") == {"b": "pending"}
    assert [one.id for one in after.findings] == [one.id for one in before.findings]
    assert watch.told == ["firing vault"]


@pytest.mark.parametrize("stage", [Stage.REPLACED, Stage.EVICTED])
async def test_taken_back_it_is_over(stage: Stage) -> None:
    watch = watched(clear_after="0s")
    await watch.see(paid(2, STRANGER, stage=Stage.MINED, tip=tip(1)), seconds=5)
    report = await watch.see(paid(2, STRANGER, stage=stage), seconds=6)
    assert of(report, "vault").judgement is Judgement.OK
    assert watch.told == ["firing vault", "resolved vault"]


async def test_a_chain_that_is_not_read_is_unknown_and_never_ok() -> None:
    watch = watched()
    await watch.see(seconds=1)
    report = await watch.take(failed(5), seconds=100)
    assert of(report, "vault").judgement is Judgement.UNKNOWN
    assert of(report, "vault").causes == ("chain:ethereum",)


async def test_a_destination_that_a_reload_allows_is_none_any_more_and_the_other_way_round() -> None:
    watch = watched(clear_after="0s")
    await watch.see(paid(2, STRANGER), seconds=5)
    watch.reload(allowed={STRANGER: "partner"})
    assert of(await watch.see(seconds=6), "vault").judgement is Judgement.OK
    watch.reload(allowed={})
    assert of(await watch.see(seconds=7), "vault").judgement is Judgement.BREACH
    assert watch.told == ["firing vault", "resolved vault", "firing vault"]


async def test_what_looks_like_a_destination_that_was_paid_three_times_is_told_and_after_two_it_is_not() -> None:
    usual, fake = "0x1234567890" + "02" * 13 + "abcd", "0x1234567890" + "03" * 13 + "abcd"
    watch = watched()
    for number in range(2):
        await watch.see(paid(1, usual, name=f"usual-{number}"), seconds=number)
    assert of(await watch.see(paid(1, fake, name="early"), seconds=3), "hot").judgement is Judgement.OK
    await watch.see(paid(1, usual, name="usual-2"), seconds=4)
    found = of(await watch.see(paid(1, fake, name="late"), seconds=5), "hot")
    assert f"looks like the usual destination {usual} but is not it" in found.summary
    assert stages(await watch.see(seconds=6), "hot") == {"late": "pending"}


async def test_a_reload_forgets_no_usual_destination() -> None:
    usual, fake = "0x1234567890" + "02" * 13 + "abcd", "0x1234567890" + "03" * 13 + "abcd"
    watch = watched()
    for number in range(3):
        await watch.see(paid(1, usual, name=f"usual-{number}"), seconds=number)
    watch.reload(allowed={})
    assert of(await watch.see(paid(1, fake), seconds=5), "hot").judgement is Judgement.BREACH


def test_a_payment_stays_a_finding_for_an_hour_unless_it_is_said() -> None:
    assert UnknownDestination(kind="unknown_destination").keep == timedelta(hours=1)


@pytest.mark.parametrize("to", [STRANGER, FAKE], ids=["a stranger", "what looks like a broker"])
async def test_whom_an_announced_transfer_names_is_known_for_it(to: str) -> None:
    watch = planned(to)
    report = await watch.see(paid(2, to), seconds=5)
    assert watch.told == []
    assert of(report, "vault").judgement is Judgement.OK


@pytest.mark.parametrize(
    ("payments", "fires"),
    [
        ([paid(5, STRANGER)], "warm"),
        ([paid(2, STRANGER), paid(2, STRANGER, name="b")], "vault"),
        ([paid(2, "0x" + "8" * 40)], "vault"),
    ],
    ids=["another wallet's payment", "a second payment", "another stranger"],
)
async def test_whom_an_announced_transfer_names_is_known_for_nothing_else(
    payments: Sequence[Movement], fires: str
) -> None:
    watch = planned(STRANGER)
    for seconds, payment in enumerate(payments, 5):
        report = await watch.see(payment, seconds=seconds)
    assert watch.told == [f"firing {fires}"]
    assert list(stages(report, fires)) == [payments[-1].transaction]


async def test_what_goes_beyond_an_announced_transfer_is_told_with_how_much() -> None:
    watch = planned(STRANGER, at_most="0.75")
    found = of(await watch.see(paid(2, STRANGER), seconds=5), "vault")
    assert f"vault pays 1 ETH to {STRANGER}, 0.25 more than was announced, neither in " in found.summary
    (told,) = found.evidence["transactions"]
    assert (told["announced"], told["unknown"]) == ("0.75", 1)


async def test_a_stranger_who_is_paid_beside_an_announced_one_is_told_alone() -> None:
    watch = planned(STRANGER)
    other = "0x" + "8" * 40
    found = of(await watch.see(paid(2, STRANGER, other), seconds=5), "vault")
    assert watch.told == ["firing vault"]
    assert f"vault pays 1 ETH to {other}, neither in the inventory" in found.summary
    assert STRANGER not in found.summary


async def test_an_announced_transfer_makes_no_destination_one_that_may_be_paid_later() -> None:
    """Not even a payee that wallets have paid by announcements three times."""
    watch = planned(STRANGER, at_most="3")
    for seconds in (5, 6, 7):
        await watch.see(paid(2, STRANGER, name=f"a{seconds}"), seconds=seconds)
    assert watch.told == []
    await watch.see(paid(2, STRANGER, name="b"), seconds=8)
    assert watch.told == ["firing vault"]
