"""`hot_share`: no more than so much of the customers' assets may be hot."""

from collections.abc import Iterator
from decimal import ROUND_UP, Decimal
from typing import Literal

from pydantic import Field

from daemon.exposure import ALL
from daemon.interval import EXACT, ONE, ZERO, Interval
from daemon.model import Judgement, Move, Owner, Tier, Verdict, WalletState
from daemon.policy.rule import Picture, Rule, judgement, percent


class HotShare(Rule):
    """Breach when hot / (hot + warm + cold) of customers' assets exceeds `limit`; exactly the limit is not a breach."""

    kind: Literal["hot_share"]
    limit: Decimal = Field(gt=0, lt=1, description="the largest allowed share, such as 0.05")
    scope: Literal["all", "asset", "both"] = Field(
        "all", description="all: one test on the value of everything; asset: one test per asset, in units; both"
    )
    assets: tuple[str, ...] = Field((), description="with scope asset: only these; default: every asset")
    hysteresis: Decimal = Field(
        Decimal("0.02"), ge=0, lt=1, description="it is over only below limit × (1 − hysteresis)"
    )

    @property
    def clear_limit(self) -> Decimal:
        return EXACT.multiply(self.limit, EXACT.subtract(ONE, self.hysteresis))


def judge(rule: HotShare, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per scope that the rule names."""
    for scope, share in picture.exposure.hot_share.items():
        if scope == ALL and rule.scope in ("all", "both"):
            yield _verdict(rule, picture, policy=policy, scope=scope, share=share)
        if scope != ALL and rule.scope in ("asset", "both") and (not rule.assets or scope in rule.assets):
            yield _verdict(rule, picture, policy=policy, scope=scope, share=share)


def _verdict(rule: HotShare, picture: Picture, *, policy: str, scope: str, share: Interval) -> Verdict:
    verdict = judgement(breach=share.above(rule.limit), ok=share.within(rule.limit))
    limit = percent(Interval.exactly(rule.limit))
    what = "customers' assets" if scope == ALL else f"customers' {scope}"
    relation = {Judgement.BREACH: "over", Judgement.OK: "within", Judgement.UNKNOWN: "unknown against"}[verdict]
    chains = {
        state.wallet.chain
        for state in picture.wallets.values()
        if scope == ALL or scope in state.holdings or scope in state.doubtful
    }
    return Verdict(
        policy=policy,
        subject=scope,
        alert="PyrometerHotShareHigh",
        severity=rule.severity,
        judgement=verdict,
        summary=f"The hot share of {what} is {percent(share, beside=rule.limit)}, {relation} the limit of {limit}",
        cleared=share.within(rule.clear_limit),
        measured=share,
        limit=rule.limit,
        causes=picture.exposure.causes[scope],
        moves=tuple(_moves(rule, picture, scope=scope)) if verdict is Judgement.BREACH else (),
        evidence={"blocks": picture.blocks(chains)},
    )


def _moves(rule: HotShare, picture: Picture, *, scope: str) -> Iterator[Move]:
    """Transfers out of the hot tier that bring the share to where the finding clears, largest holdings first.

    A move changes the hot part but not the whole, so excess = hot − clear_limit × whole, with the worst case for what
    is unread.
    """
    hot, rest = _hot_and_rest(picture, scope=scope)
    if hot.high is None or rest.high is None:
        return
    most_hot = hot.high if hot.value is None else hot.value
    least_whole = EXACT.add(most_hot, rest.low if rest.value is None else rest.value)
    excess = EXACT.subtract(most_hot, EXACT.multiply(rule.clear_limit, least_whole))
    for size, wallet, asset in sorted(_hot_holdings(picture, scope=scope), key=lambda found: -found[0]):
        if excess <= 0:
            return
        holding = wallet.holdings[asset].amount.low
        part = min(excess, size)
        coins = (
            holding if part == size else _rounded_up(EXACT.divide(EXACT.multiply(holding, part), size), most=holding)
        )
        yield Move(wallet.wallet.name, asset, coins)
        excess = EXACT.subtract(excess, part)


def _hot_and_rest(picture: Picture, *, scope: str) -> tuple[Interval, Interval]:
    hot = rest = Interval.exactly(ZERO)
    for (asset, tier, owner), held in picture.exposure.holdings.items():
        if owner is not Owner.CUSTOMER or scope not in (ALL, asset):
            continue
        measured = held.value if scope == ALL else held.amount
        if tier is Tier.HOT:
            hot = hot + measured
        else:
            rest = rest + measured
    return hot, rest


def _hot_holdings(picture: Picture, *, scope: str) -> Iterator[tuple[Decimal, WalletState, str]]:
    """(size in the scope's measure, wallet, asset) of everything hot that is known for certain."""
    for state in picture.wallets.values():
        if state.tier is not Tier.HOT or state.wallet.owner is not Owner.CUSTOMER:
            continue
        for asset, held in state.holdings.items():
            size = held.value.low if scope == ALL else held.amount.low
            if scope in (ALL, asset) and size > 0:
                yield size, state, asset


def _rounded_up(coins: Decimal, *, most: Decimal) -> Decimal:
    """To six places, upwards: moving this much is enough, and a person can type it."""
    return min(coins.quantize(Decimal("0.000001"), rounding=ROUND_UP, context=EXACT), most)
