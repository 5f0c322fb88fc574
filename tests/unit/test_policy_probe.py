"""The rule `probe`: small, then large, to the same new payee; and everything that only looks so."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.base import Movement, Party, Stage, Tip, Token
from daemon.model import Judgement, Tier
from daemon.policy.probe import Probe
from tests.build import ETH, USDT, complete, inventory, movement, tip, wallet
from tests.unit.detected import Watched, of, stages, whole

INVENTORY = inventory(
    wallet("hot", Tier.HOT, 1),
    wallet("other", Tier.HOT, 2),
    assets={"ETH": [ETH], "USDT": [USDT]},
)
HELD = {
    (1, ETH): whole("45000"),
    (1, USDT): whole("260000000", token=USDT),
    (2, ETH): whole("1000"),
    (2, USDT): 0,
}
THIEF, BROKER = "0x" + "7" * 40, "0x" + "b" * 40


def watched(**keys: object) -> Watched:
    rule = Probe.model_validate({"kind": "probe", "large_share": "0.01", "clear_after": "0s", **keys})
    return Watched(rule, inv=INVENTORY, allowed={BROKER: "broker"}, held=HELD)


def pay(
    name: str,
    coins: str,
    *,
    to: str = THIEF,
    payer: int = 1,
    token: Token = ETH,
    stage: Stage = Stage.PENDING,
    block: Tip | None = None,
) -> Movement:
    units = whole(coins, token=token)
    fee = 10**14 if token == ETH else 0
    made = movement(name, {payer: -units - fee}, destinations=[(to, units)], fee=fee, token=token, block=block)
    return made if block else replace(made, stage=stage)


@pytest.mark.parametrize(
    ("token", "large", "share"), [(ETH, "3800", "8.44 %"), (USDT, "7600000", "2.92 %")], ids=["ether", "a token"]
)
async def test_a_small_payment_and_then_a_large_one_is_told_from_the_large_one_on(
    token: Token, large: str, share: str
) -> None:
    watch = watched()
    assert of(await watch.see(pay("test", "0.84"), seconds=0), "hot").judgement is Judgement.OK
    found = of(await watch.see(pay("large", large, token=token), seconds=1620), "hot")
    assert watch.told == ["firing hot"]
    assert (found.alert, found.judgement) == ("PyrometerProbe", Judgement.BREACH)
    asset = "ETH" if token == ETH else "USDT"
    assert found.summary == (
        f"hot pays {large} {asset}, {share} of what it held, to {THIEF}, 27m after a first payment of 0.84 ETH; "
        "transaction large, pending since 12:27:00 UTC"
    )
    [shown] = found.evidence["transactions"]
    assert shown["probe"] == {"transaction": "test", "amount": "0.84 ETH", "at": "2026-11-23T12:00:00+00:00"}
    assert (found.wallets, found.grounds) == (("hot",), ("large",))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pay("test", "0.84", to=BROKER), pay("large", "3800", to=BROKER)),
        (pay("test", "0.84", to=BROKER), pay("large", "3800")),
        (pay("test", "45.1"), pay("large", "3800")),
        (pay("test", "0.84"), pay("large", "449")),
        (pay("large", "3800"), pay("test", "0.84")),
        (pay("same", "0.84"), pay("same", "7600000", token=USDT)),
    ],
    ids=["allowed", "to another", "not small", "not large", "the large one first", "one transaction"],
)
async def test_nearly_the_same_is_not_told(first: Movement, second: Movement) -> None:
    watch = watched()
    await watch.see(first, seconds=0)
    report = await watch.see(second, seconds=1620)
    assert watch.told == []
    assert of(report, "hot").judgement is Judgement.OK


@pytest.mark.parametrize(("coins", "told"), [("45", True), ("45.000000000000000001", False)])
async def test_the_share_of_a_small_payment_is_exact(coins: str, *, told: bool) -> None:
    watch = watched()
    await watch.see(pay("test", coins), seconds=0)
    await watch.see(pay("large", "3800"), seconds=60)
    assert (watch.told == ["firing hot"]) is told


@pytest.mark.parametrize(("coins", "told"), [("450", True), ("449.999999999999999999", False)])
async def test_the_share_of_a_large_payment_is_exact(coins: str, *, told: bool) -> None:
    watch = watched()
    await watch.see(pay("test", "0.84"), seconds=0)
    await watch.see(pay("large", coins), seconds=60)
    assert (watch.told == ["firing hot"]) is told


@pytest.mark.parametrize(("hours", "told"), [(24, True), (24.01, False)])
async def test_a_large_payment_counts_within_a_day_of_the_first(hours: float, *, told: bool) -> None:
    watch = watched()
    await watch.see(pay("test", "0.84"), seconds=0)
    await watch.see(pay("large", "3800"), seconds=hours * 3600)
    assert (watch.told == ["firing hot"]) is told


async def test_whoever_was_paid_before_is_not_new() -> None:
    watch = watched(within="1h")
    await watch.see(pay("old", "0.84"), seconds=0)
    await watch.see(pay("test", "0.84"), seconds=7200)
    await watch.see(pay("large", "3800"), seconds=7260)
    assert watch.told == []


async def test_the_first_payment_may_come_from_another_wallet_and_the_payer_of_the_large_one_is_named() -> None:
    watch = watched()
    await watch.see(pay("test", "0.84", payer=2), seconds=0)
    await watch.see(pay("large", "3800"), seconds=60)
    assert watch.told == ["firing hot"]


async def test_every_large_payment_after_the_probe_is_in_the_evidence_of_one_finding() -> None:
    watch = watched()
    await watch.see(pay("test", "0.84"), seconds=0)
    for number in range(3):
        report = await watch.see(pay(f"large-{number}", "3800"), seconds=60 + number)
    assert list(stages(report, "hot")) == ["large-2", "large-1", "large-0"]
    assert watch.told == ["firing hot"]


async def test_pending_first_and_mined_later_is_one_finding_that_ends_an_hour_after() -> None:
    watch = watched()
    await watch.see(pay("test", "0.84"), seconds=0)
    before = await watch.see(pay("large", "3800"), seconds=60)
    after = await watch.see(pay("large", "3800", block=tip(2)), seconds=70)
    assert stages(after, "hot") == {"large": "mined"}
    assert [one.id for one in after.findings] == [one.id for one in before.findings]
    assert of(await watch.see(seconds=3669), "hot").judgement is Judgement.BREACH
    assert of(await watch.see(seconds=3670), "hot").judgement is Judgement.OK
    assert watch.told == ["firing hot", "resolved hot"]


async def test_mined_at_once_its_share_is_of_what_was_held_before() -> None:
    """The block has taken it already: 45,000 less 44,550 are left, of which it would be more than all."""
    watch = watched()
    await watch.see(pay("test", "0.84"), seconds=0)
    left = {**HELD, (1, ETH): whole("450")}
    update = replace(complete(2, left), movements=(pay("large", "44550", block=tip(2)),))
    found = of(await watch.take(update, seconds=60), "hot")
    assert "hot pays 44550 ETH, 99 % of what it held" in found.summary


async def test_a_large_payment_that_is_replaced_is_over_and_what_replaces_it_goes_on() -> None:
    watch = watched()
    await watch.see(pay("test", "0.84"), seconds=0)
    before = await watch.see(pay("large", "3800"), seconds=60)
    gone = pay("large", "3800", stage=Stage.REPLACED)
    after = await watch.see(gone, pay("faster", "3799"), seconds=61)
    assert stages(after, "hot") == {"faster": "pending"}
    assert [one.id for one in after.findings] == [one.id for one in before.findings]
    assert watch.told == ["firing hot"]


async def test_a_probe_that_is_replaced_at_a_higher_fee_is_still_one() -> None:
    watch = watched()
    await watch.see(pay("test", "0.84"), seconds=0)
    await watch.see(pay("faster", "0.84"), pay("test", "0.84", stage=Stage.REPLACED), seconds=1)
    found = of(await watch.see(pay("large", "3800"), seconds=60), "hot")
    assert found.evidence["transactions"][0]["probe"]["transaction"] == "faster"


async def test_a_probe_that_a_reorganisation_undoes_takes_the_finding_with_it_and_back_again() -> None:
    watch = watched()
    await watch.see(pay("test", "0.84", block=tip(2)), seconds=0)
    await watch.see(pay("large", "3800"), seconds=60)
    report = await watch.see(pay("test", "0.84", stage=Stage.EVICTED), seconds=61)
    assert of(report, "hot").judgement is Judgement.OK
    report = await watch.see(pay("test", "0.84", block=tip(3)), seconds=62)
    assert of(report, "hot").judgement is Judgement.BREACH  # it was first seen before the large one
    assert watch.told == ["firing hot", "resolved hot", "firing hot"]


async def test_one_whose_block_is_undone_waits_again_and_is_the_same_finding() -> None:
    watch = watched()
    await watch.see(pay("test", "0.84", block=tip(2)), seconds=0)
    await watch.see(pay("large", "3800", block=tip(3)), seconds=60)
    await watch.see(pay("large", "3800"), pay("test", "0.84"), seconds=61)
    await watch.see(pay("large", "3800", block=tip(4)), pay("test", "0.84", block=tip(4)), seconds=70)
    assert watch.told == ["firing hot"]


async def test_two_hundred_payees_of_one_transaction_are_new_and_their_large_payments_told() -> None:
    watch = watched()
    many = [f"0x{number:040x}" for number in range(1000, 1100)]
    batch = replace(pay("batch", "10"), destinations=tuple(Party(one, whole("0.1")) for one in many))
    await watch.see(batch, seconds=0)
    await watch.see(pay("large", "3800", to=many[57]), seconds=60)
    assert watch.told == ["firing hot"]


async def test_while_nobody_knows_what_the_wallet_held_it_is_unknown_and_never_ok() -> None:
    rule = Probe.model_validate({"kind": "probe"})
    watch = Watched(rule, inv=INVENTORY)
    await watch.see(pay("test", "0.84"), seconds=0)
    report = await watch.see(pay("large", "3800"), seconds=60)
    assert of(report, "hot").judgement is Judgement.UNKNOWN
    assert of(report, "hot").causes == ("chain:ethereum",)


async def test_what_a_wallet_held_is_asked_again_once_it_was_read() -> None:
    rule = Probe.model_validate({"kind": "probe"})
    watch = Watched(rule, inv=INVENTORY)
    await watch.see(pay("test", "0.84"), seconds=0)
    await watch.see(pay("large", "3800"), seconds=1)
    found = of(await watch.take(complete(2, HELD), seconds=2), "hot")
    assert found.judgement is Judgement.BREACH
    assert "3800 ETH, 8.44 % of what it held" in found.summary


async def test_an_account_that_is_unread_leaves_it_unknown_only_where_it_matters() -> None:
    inv = inventory(wallet("hot", Tier.HOT, 1, 2))
    rule = Probe.model_validate({"kind": "probe", "large_share": "0.01"})

    async def judged(unread: str, large: str) -> Judgement:
        watch = Watched(rule, inv=inv, held={(1, ETH): whole("1000"), (2, ETH): whole(unread)})
        watch.pipeline.ledger.apply(complete(2, {(1, ETH): whole("1000")}, unread=[(2, ETH)]))
        await watch.see(pay("test", "0.84"), seconds=2)
        return of(await watch.see(pay("large", large), seconds=3), "hot").judgement

    assert await judged("1", "500") is Judgement.BREACH
    assert await judged("1000", "29") is Judgement.UNKNOWN  # 29 of 1,000 to 3,000
    assert await judged("1000", "30") is Judgement.BREACH
    assert await judged("1000", "9") is Judgement.OK


async def test_a_reload_with_other_shares_judges_anew_what_is_remembered() -> None:
    watch = watched(small_share="0.00001")
    await watch.see(pay("test", "0.84"), seconds=0)
    await watch.see(pay("large", "3800"), seconds=60)
    assert watch.told == []
    watch.reload(rule=Probe.model_validate({"kind": "probe", "clear_after": "0s"}))
    await watch.see(seconds=61)
    assert watch.told == ["firing hot"]


def test_the_defaults_are_those_that_are_documented() -> None:
    rule = Probe(kind="probe")
    assert (rule.within, rule.keep) == (timedelta(days=1), timedelta(hours=1))
    assert (rule.small_share, rule.large_share) == (Decimal("0.001"), Decimal("0.05"))
