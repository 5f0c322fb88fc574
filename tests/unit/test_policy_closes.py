"""Whose signers each rule stops, and on what grounds it stops them again."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from daemon.ledger import Ledger
from daemon.levels import Of, Subject
from daemon.model import Owner, Tier, Verdict
from daemon.policy import RuleConfig, judge
from daemon.policy.presets import CHECKOUT
from daemon.policy.rule import Closes, Picture, Rule
from daemon.windows import Highest, Window
from tests.build import ETH, ETHER, USDT, at, complete, inventory, picture, wallet

INV = inventory(
    wallet("hot", Tier.HOT, 1),
    wallet("cold", Tier.COLD, 2),
    wallet("own", Tier.HOT, 3, owner=Owner.COMPANY),
    assets={"ETH": [ETH], "USDT": [USDT]},
)


def rule(kind: str, **keys: object) -> Rule:
    given: dict[str, object] = {"kind": kind, **keys}
    found: Rule = TypeAdapter(RuleConfig).validate_python(given)
    return found


def seen(left: int = 100) -> Picture:
    """Of 200 ether that customers held until noon, so many are left in each of two wallets."""
    ledger = Ledger(INV)
    units = {(number, token): left * ETHER for number in (1, 2, 3) for token in (ETH, USDT)}
    ledger.apply(complete(1, units))
    found = picture(ledger, INV, seconds=1)
    parts = [(Of.ASSET, ""), (Of.TIER, "hot"), (Of.WALLET, "hot")]
    windows = {
        Window(Subject(of, "ETH", name), WINDOW): Highest(Decimal(200 if of is Of.ASSET else 100), at(0), at(0))
        for of, name in parts
    }
    return replace(found, windows=windows, at=at(2000))


OF_KIND: Mapping[str, Mapping[str, object]] = {
    "drain": {"window": "10m", "max_share": "0.1"},
    "hot_share": {"limit": 0.05},
    "reserve": {"required": "1 JPY"},
    "price_deviation": {"max_deviation": 0.05},
}
"""What a kind of rule can't do without."""

WINDOW = rule("drain", window="10m", max_share="0.1").window  # type: ignore[attr-defined]


def verdicts(one: Rule, *, left: int = 100) -> dict[str, Verdict]:
    return {verdict.subject: verdict for verdict in judge([("r", one)], seen(left))}


def drain(**keys: object) -> Rule:
    return rule("drain", window="10m", max_share="0.1", closes="wallets", **keys)


@pytest.mark.parametrize(
    ("one", "subject", "wallets"),
    [
        (drain(), "ETH", ("hot", "cold")),
        (drain(of="tier"), "hot/ETH", ("hot",)),
        (drain(of="wallet"), "hot/ETH", ("hot",)),
        (drain(against="hot"), "ETH", ("hot", "cold")),
        (rule("hot_share", limit=0.05, closes="wallets"), "all", ("hot", "cold")),
        (rule("hot_share", limit=0.05, scope="asset", closes="wallets"), "USDT", ("hot", "cold")),
        (rule("guarantee", closes="wallets"), "ETH", ("hot", "cold")),
        (rule("backing", assets=["ETH"], closes="wallets"), "ETH", ("hot", "cold")),
        (rule("disagreement", closes="wallets"), "ethereum", ("hot", "cold", "own")),
        (rule("drift", closes="wallets"), "ethereum", ("hot", "cold", "own")),
        (rule("wallet_band", wallets=["hot"], asset="ETH", floor=5), "hot", ("hot",)),
    ],
)
def test_a_verdict_names_the_wallets_whose_signers_should_stop(one: Rule, subject: str, wallets: Sequence[str]) -> None:
    assert verdicts(one)[subject].wallets == wallets


@pytest.mark.parametrize("kind", ["drain", "hot_share", "guarantee", "disagreement"])
def test_a_rule_that_stops_nobody_names_no_holders(kind: str) -> None:
    assert {verdict.wallets for verdict in verdicts(rule(kind, **OF_KIND.get(kind, {}))).values()} == {()}


@pytest.mark.parametrize(
    ("left", "grounds"),
    [
        (100, ()),
        (90, ()),
        (89, ("over 10 %",)),
        (80, ("over 10 %",)),
        (79, ("over 10 %", "over 20 %")),
        (50, ("over 10 %", "over 20 %", "over 40 %")),
        (0, ("over 10 %", "over 20 %", "over 40 %", "over 80 %")),
    ],
)
def test_a_drain_has_another_ground_each_time_that_what_is_gone_doubles(left: int, grounds: Sequence[str]) -> None:
    assert verdicts(drain(), left=left)["ETH"].grounds == grounds


@pytest.mark.parametrize("kind", ["reserve", "feed_stale", "price_deviation", "blind"])
def test_a_rule_that_concerns_no_wallets_can_close_none_or_all(kind: str) -> None:
    keys = OF_KIND.get(kind, {})
    with pytest.raises(ValidationError, match="closes: expected none or all"):
        rule(kind, **keys, closes="wallets")
    assert rule(kind, **keys, closes="all").closes is Closes.ALL


def test_a_rule_closes_nothing_unless_it_says_so() -> None:
    assert rule("hot_share", limit=0.05).closes is Closes.NONE


def test_of_the_presets_theft_alone_closes_gates() -> None:
    """A ratio that the law asks for is often cured by the very transfers that a gate would stop."""
    closing = set()
    for file in CHECKOUT.glob("*.yaml"):
        rules = yaml.safe_load(file.read_text())["rules"]
        closing |= {(file.stem, one["closes"]) for one in rules if "closes" in one}
    assert closing == {("theft", "wallets")}
