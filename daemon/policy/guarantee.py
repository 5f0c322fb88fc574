"""`guarantee`: own assets of the same kind and quantity, set aside and cold, stand behind what customers have hot."""

from collections.abc import Iterator
from itertools import chain as concatenated
from typing import Literal

from pydantic import Field

from daemon.coverage import Cover, guarantee
from daemon.interval import EXACT
from daemon.model import Move, Owner, Tier, Verdict
from daemon.policy.cover import CoverRule, HotTiers, chains_of, shortfall, verdict_on
from daemon.policy.rule import Picture
from daemon.policy.stopping import holders
from daemon.policy.transfers import TO_COLD, TO_GUARANTEE, coin, drawn, purses

ALERT = "PyrometerGuaranteeShort"


class Guarantee(CoverRule):
    """Breach, per asset and in coins, when what is set aside and cold is below `limit` × what customers have hot."""

    kind: Literal["guarantee"]
    assets: tuple[str, ...] = Field((), description="only these; default: every asset")
    tiers: HotTiers = Field((Tier.HOT,), min_length=1, description="what counts as hot: hot, warm or both")


def judge(rule: Guarantee, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per asset: a kind stands behind itself only. Payment Services Act 63-11-2 (Japan)."""
    by_asset = picture.exposure.by_asset
    assets = rule.assets or sorted(by_asset)
    yield from picture.memory.verdicts(
        policy,
        lambda asset: _verdict(rule, picture, policy=policy, asset=asset),
        of=assets,
        each=[(by_asset, assets)],
        all_rest_on=(rule,),
    )


def _verdict(rule: Guarantee, picture: Picture, *, policy: str, asset: str) -> Verdict:
    cover = _cover(rule, picture, asset=asset)
    return verdict_on(
        cover,
        rule,
        policy=policy,
        subject=asset,
        alert=ALERT,
        measured=f"Own {asset} set aside, over the {asset} of customers that are hot",
        moves=_moves(rule, picture, asset=asset, cover=cover),
        chains=chains_of(picture, [asset]),
        wallets=holders(rule, picture, scope=asset),
    )


def _cover(rule: Guarantee, picture: Picture, *, asset: str) -> Cover:
    known = picture.coverage.guarantee.get(asset) if rule.tiers == (Tier.HOT,) else None
    return known or guarantee(picture.exposure, asset, tiers=rule.tiers)


def _moves(rule: Guarantee, picture: Picture, *, asset: str, cover: Cover) -> Iterator[Move]:
    """The company's own coins into the guarantee; for what they don't suffice, customers' hot ones into cold."""
    lacking = shortfall(cover, limit=rule.clear_limit)
    if lacking is None:
        return
    own = concatenated(
        purses(picture, owner=Owner.COMPANY, asset=asset),
        purses(picture, owner=Owner.GUARANTEE, asset=asset, tiers=(Tier.HOT, Tier.WARM)),
    )
    moves, lacking = drawn(own, needed=lacking, worth=coin, to=TO_GUARANTEE)
    yield from moves
    hot = purses(picture, owner=Owner.CUSTOMER, asset=asset, tiers=rule.tiers)
    yield from drawn(hot, needed=EXACT.divide(lacking, rule.clear_limit), worth=coin, to=TO_COLD)[0]
