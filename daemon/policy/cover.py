"""What the rules on coverage have in common: what stands behind must reach `limit` times what it stands behind."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from daemon.coverage import Cover
from daemon.interval import EXACT, ONE, Interval
from daemon.model import Judgement, Move, Tier, Verdict
from daemon.policy.rule import Picture, Rule, judgement, percent


class CoverRule(Rule):
    """Common keys of the rules on coverage; exactly the limit is no breach."""

    limit: Decimal = Field(Decimal(1), gt=0, le=100, description="the least that must stand behind, as a ratio")
    hysteresis: Decimal = Field(
        Decimal(0), ge=0, le=1, description="it is over only at limit × (1 + hysteresis) or more"
    )

    @property
    def clear_limit(self) -> Decimal:
        return EXACT.multiply(self.limit, EXACT.add(ONE, self.hysteresis))


def _hot_tiers(tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
    if len(set(tiers)) != len(tiers):
        raise ValueError("expected each tier once")
    if Tier.COLD in tiers:
        raise ValueError("expected hot, warm or both: cold is where the rest is kept")
    return tiers


HotTiers = Annotated[tuple[Tier, ...], AfterValidator(_hot_tiers)]


def verdict_on(
    cover: Cover,
    rule: CoverRule,
    *,
    policy: str,
    subject: str,
    alert: str,
    measured: str,
    moves: Iterator[Move],
    chains: tuple[str, ...],
    wallets: tuple[str, ...] = (),
    evidence: Mapping[str, Any] | None = None,
) -> Verdict:
    """What the rule says of a cover; `measured` names the ratio for people, `moves` are made of a breach alone."""
    found, ratio = reaches(cover, limit=rule.limit), cover.ratio
    return Verdict(
        policy=policy,
        subject=subject,
        alert=alert,
        severity=rule.severity,
        judgement=found,
        summary=f"{measured}: {relation(found, ratio, limit=rule.limit)}",
        cleared=reaches(cover, limit=rule.clear_limit) is Judgement.OK,
        measured=ratio,
        limit=rule.limit,
        causes=cover.causes,
        moves=tuple(moves) if found is Judgement.BREACH else (),
        evidence=evidence or {},
        chains=chains,
        wallets=wallets,
    )


def reaches(cover: Cover, *, limit: Decimal) -> Judgement:
    """Whether the part is at least limit × the whole: multiplied, not divided, because the whole may be nothing."""
    needed = cover.whole.times(Interval.exactly(limit))
    return judgement(
        breach=cover.part.most is not None and cover.part.most < needed.low,
        ok=needed.most is not None and cover.part.low >= needed.most,
    )


def shortfall(cover: Cover, *, limit: Decimal) -> Decimal | None:
    """What the part lacks to limit × the whole, with the worst case for what is unread; None when nobody knows."""
    if cover.whole.most is None:
        return None
    return EXACT.subtract(EXACT.multiply(limit, cover.whole.most), cover.part.low)


def relation(found: Judgement, ratio: Interval | None, *, limit: Decimal) -> str:
    """`95 %, short of the limit of 100 %`, for people."""
    if ratio is None:
        return "nothing to cover"
    word = {Judgement.BREACH: "short of", Judgement.OK: "no less than", Judgement.UNKNOWN: "unknown against"}[found]
    return f"{percent(ratio, beside=limit)}, {word} the limit of {percent(Interval.exactly(limit))}"


def chains_of(picture: Picture, assets: Iterable[str]) -> tuple[str, ...]:
    """The chains that these assets live on, whose blocks are evidence."""
    chains = {token.chain for asset in assets for token in picture.assets.get(asset, ())}
    return tuple(sorted(chains & picture.chains.keys()))


def all_chains(picture: Picture) -> tuple[str, ...]:
    """The chains that any asset lives on."""
    rests_on = (picture.assets, *picture.chains)
    return picture.memory.value("chains", lambda: chains_of(picture, picture.assets), rests_on=rests_on)
