"""`backing`: what is kept for customers, on chain and by custodians, covers what they are owed."""

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field

from daemon.coverage import Cover, backing
from daemon.exposure import ALL
from daemon.model import Move, Owner, Tier, Verdict
from daemon.policy.cover import CoverRule, chains_of, shortfall, verdict_on
from daemon.policy.customers import Prices, ValuedAt, held_of, owed_of, whole
from daemon.policy.rule import Picture
from daemon.policy.stopping import holders
from daemon.policy.transfers import MONEY_PLACES, TO_CUSTOMERS, coin, drawn, finest, from_outside, purses

ALERT = "PyrometerBackingShort"


class Backing(CoverRule):
    """Breach when customers' assets in all tiers, custodians' included, are less than `limit` × what they are owed."""

    kind: Literal["backing"]
    scope: Literal["all", "asset", "both"] = Field(
        "asset", description="asset: one test per asset, in coins; all: one test on the value of everything; both"
    )
    assets: tuple[str, ...] = Field((), description="only these; default: every asset that liabilities are stated of")


def judge(rule: Backing, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict on the value of everything, one per asset, or both, as the scope says."""
    assets = rule.assets or tuple(picture.coverage.backing)
    if rule.scope in ("all", "both"):
        yield _verdict(rule, picture, policy=policy, scope=ALL, assets=assets)
    if rule.scope in ("asset", "both"):
        yield from picture.memory.verdicts(
            policy,
            lambda asset: _verdict(rule, picture, policy=policy, scope=asset, assets=(asset,)),
            of=assets,
            each=[(picture.exposure.by_asset, assets), (picture.feeds.liabilities, assets)],
            all_rest_on=(rule,),
        )


def _verdict(rule: Backing, picture: Picture, *, policy: str, scope: str, assets: tuple[str, ...]) -> Verdict:
    cover = _in_value(picture, assets) if scope == ALL else picture.coverage.backing.get(scope)
    if cover is None:
        cover = backing(picture.exposure, scope, liabilities=picture.feeds.liabilities)
    what = "assets" if scope == ALL else scope
    return verdict_on(
        cover,
        rule,
        policy=policy,
        subject=scope,
        alert=ALERT,
        measured=f"Customers' {what} that are kept, over what customers are owed",
        moves=_moves(rule, picture, scope=scope, assets=assets, cover=cover),
        chains=chains_of(picture, assets),
        wallets=holders(rule, picture, scope=scope),
        evidence={"stated": _stated(picture, assets)},
    )


def _in_value(picture: Picture, assets: tuple[str, ...]) -> Cover:
    prices = Prices.at(ValuedAt.SPOT, picture)
    kept, owed = (
        whole(picture, assets, part=part, key=("backing", name, *assets), prices=prices)
        for name, part in (
            ("kept", lambda asset: held_of(picture, asset, tiers=tuple(Tier), prices=prices)),
            ("owed", lambda asset: owed_of(picture, asset, prices=prices)),
        )
    )
    return Cover(kept.measured, owed.measured, tuple(sorted(kept.causes | owed.causes)))


def _moves(rule: Backing, picture: Picture, *, scope: str, assets: tuple[str, ...], cover: Cover) -> Iterator[Move]:
    """The company's own assets to the customers; what they don't suffice for has to be bought."""
    lacking = shortfall(cover, limit=rule.clear_limit)
    if lacking is None:
        return
    worth = Prices.at(ValuedAt.SPOT, picture).least if scope == ALL else coin
    own = [purse for asset in assets for purse in purses(picture, owner=Owner.COMPANY, asset=asset)]
    moves, lacking = drawn(own, needed=lacking, worth=worth, to=TO_CUSTOMERS)
    yield from moves
    if lacking and scope == ALL:
        yield from_outside(picture.currency, lacking, places=MONEY_PLACES, to=TO_CUSTOMERS)
    elif lacking:
        yield from_outside(scope, lacking, places=finest(picture, scope), to=TO_CUSTOMERS)


def _stated(picture: Picture, assets: tuple[str, ...]) -> Mapping[str, str]:
    """When which source stated what is owed."""
    owing = picture.feeds.liabilities

    def told() -> Mapping[str, str]:
        stated = sorted((owing[asset] for asset in assets if asset in owing), key=lambda one: one.at, reverse=True)
        return {one.source: one.at.isoformat() for one in stated}

    return told() if len(assets) == 1 else picture.memory.value(("stated", *assets), told, rests_on=(owing,))
