"""`drain`: no more than so much of what was held may be gone within a window."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from connectors.config import Duration, format_duration
from daemon.interval import EXACT, NOTHING, ONE, ZERO, Interval, plain, total
from daemon.levels import Of, Subject
from daemon.model import Judgement, Owner, Tier, Verdict, WalletState
from daemon.policy.rule import Closes, Picture, Rule, judgement, percent
from daemon.track import Highest
from daemon.windows import Window

ALERT = "PyrometerDrain"


class Drain(Rule):
    """Breach when more than `max_share` of the most that customers' wallets held within `window` is gone.

    It is judged by what is held, not by what moved, so that it needs no movements and knows of every way out. What has
    left as announced (daemon/announcements.py) is not missed. Exactly the limit is no breach.
    """

    kind: Literal["drain"]
    looks_back: ClassVar[bool] = True
    window: Duration = Field(
        ge=timedelta(seconds=1),
        le=timedelta(days=31),
        description="how far back, such as 10m; another window, another rule",
    )
    max_share: Decimal = Field(gt=0, lt=1, description="the largest share that may go, such as 0.10")
    of: Of = Field(
        Of.ASSET, description="asset: all wallets together; tier: those of each tier; wallet: each for itself"
    )
    against: Literal["itself", "hot"] = Field(
        "itself",
        description="what the share is of: of the same holdings; or hot: with of asset, of what the hot tier held",
    )
    assets: tuple[str, ...] = Field((), description="names of assets; `*` matches any text; default: every asset")
    wallets: tuple[str, ...] = Field((), description="with of wallet: names, as above; default: every wallet")
    hysteresis: Decimal = Field(
        Decimal("0.5"),
        ge=0,
        lt=1,
        description="it is over only when no more than max_share × (1 − this) went in a window",
    )

    @model_validator(mode="after")
    def _wallets_one_by_one(self) -> "Drain":
        if self.wallets and self.of is not Of.WALLET:
            raise ValueError("wallets can be named with `of: wallet` only")
        if self.against == "hot" and self.of is not Of.ASSET:
            raise ValueError("against: hot is for `of: asset` only: what leaves the hot tier for another is not lost")
        return self

    @property
    def clear_limit(self) -> Decimal:
        return EXACT.multiply(self.max_share, EXACT.subtract(ONE, self.hysteresis))


def windows_of(rules: Iterable[Rule]) -> frozenset[tuple[Of, timedelta]]:
    """How far back which sums are looked at by these rules."""
    drains = [rule for rule in rules if isinstance(rule, Drain)]
    hot = {(Of.TIER, rule.window) for rule in drains if rule.against == "hot"}
    return frozenset((rule.of, rule.window) for rule in drains) | hot


def judge(rule: Drain, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per subject: an asset, an asset in a tier, or one in a wallet. Customers' holdings alone count."""
    subjects = _subjects(rule, picture, policy=policy)
    yield from picture.memory.verdicts(
        policy,
        lambda subject: _verdict(rule, picture, policy=policy, subject=subject, names=subjects.wallets[subject]),
        of=subjects.ordered,
        each=[_held_now(picture, subjects), *((picture.windows, windows) for windows in subjects.windows)],
        all_rest_on=(rule,),
    )


@dataclass(frozen=True, slots=True)
class _Subjects:
    """The subjects of a rule in order, their assets, the wallets that each sums over, its window, and as a second row
    the windows that those are compared with, where they are others."""

    of: Of
    ordered: Sequence[Subject]
    assets: Sequence[str]
    wallets: Mapping[Subject, Sequence[str]]
    windows: Sequence[Sequence[Window]]


def _subjects(rule: Drain, picture: Picture, *, policy: str) -> _Subjects:
    """Anew only when wallets or tiers change: a wallet can hold the same assets for as long as it is configured so."""
    states = picture.wallets.values()
    rests_on = (rule, picture.assets, *(state.wallet for state in states), *(state.tier for state in states))
    return picture.memory.value((policy, "subjects"), lambda: _all_subjects(rule, picture), rests_on=rests_on)


def _all_subjects(rule: Drain, picture: Picture) -> _Subjects:
    found: dict[Subject, list[str]] = {}
    for name, state in picture.wallets.items():
        if state.wallet.owner is not Owner.CUSTOMER or not _named(name, rule.wallets):
            continue
        part = "" if rule.of is Of.ASSET else state.tier.value if rule.of is Of.TIER else name
        for asset in chain(state.holdings, state.doubtful):
            if _named(asset, rule.assets):
                found.setdefault(Subject(rule.of, asset, part), []).append(name)
    ordered = sorted(found)
    hot = [Subject(Of.TIER, subject.asset, Tier.HOT.value) for subject in ordered]
    rows = [ordered, hot] if rule.against == "hot" else [ordered]
    return _Subjects(
        of=rule.of,
        ordered=ordered,
        assets=[subject.asset for subject in ordered],
        wallets=found,
        windows=[[Window(subject, rule.window) for subject in row] for row in rows],
    )


def _held_now(picture: Picture, subjects: _Subjects) -> tuple[Mapping[Any, object], Sequence[Any]]:
    """What of each subject is another object as soon as it holds something else."""
    if subjects.of is not Of.WALLET:
        return picture.exposure.by_asset, subjects.assets
    sure = {name: state.holdings for name, state in picture.wallets.items()}
    doubtful = {name: state.doubtful for name, state in picture.wallets.items()}
    found = [sure[name].get(asset) or doubtful[name][asset] for _, asset, name in subjects.ordered]
    return dict(zip(subjects.ordered, found, strict=True)), subjects.ordered


def _named(name: str, patterns: tuple[str, ...]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def _verdict(rule: Drain, picture: Picture, *, policy: str, subject: Subject, names: Sequence[str]) -> Verdict:
    asset, wallets = subject.asset, [picture.wallets[name] for name in names]
    held = _held(subject, picture, wallets=wallets)
    highest = picture.windows.get(Window(subject, rule.window))
    compared = highest
    if rule.against == "hot":
        compared = picture.windows.get(Window(Subject(Of.TIER, asset, Tier.HOT.value), rule.window))
    gone = _gone(held, highest, compared=compared)
    watched = highest is not None and picture.at - highest.began >= rule.window
    verdict = judgement(breach=gone.above(rule.max_share), ok=gone.within(rule.max_share))
    chains = {state.wallet.chain for state in wallets}
    doubtful = {state.wallet.chain for state in wallets if asset in state.doubtful}
    return Verdict(
        policy=policy,
        subject=str(subject),
        alert=ALERT,
        severity=rule.severity,
        judgement=verdict,
        summary=_summary(rule, subject=subject, held=held, highest=highest, whole=compared, gone=gone),
        cleared=watched and gone.within(rule.clear_limit),
        measured=gone,
        limit=rule.max_share,
        causes=tuple(sorted(f"chain:{name}" for name in doubtful)),
        evidence=_evidence(rule, held=held, highest=highest, breach=verdict is Judgement.BREACH),
        chains=tuple(sorted(chains)),
        wallets=tuple(names) if rule.closes is Closes.WALLETS else (),
        grounds=_doublings(gone, limit=rule.max_share),
    )


def _doublings(gone: Interval, *, limit: Decimal) -> tuple[str, ...]:
    """How far over the limit it certainly is: another ground each time that the share doubles."""
    reached: list[str] = []
    while gone.low > limit and limit < ONE:
        reached.append(f"over {plain(EXACT.multiply(limit, Decimal(100)), places=80)} %")
        limit = EXACT.multiply(limit, Decimal(2))
    return tuple(reached)


def _held(subject: Subject, picture: Picture, *, wallets: list[WalletState]) -> Interval:
    if subject.of is Of.WALLET:
        return total((state.holdings.get(subject.asset) or state.doubtful[subject.asset]).amount for state in wallets)
    tiers = {state.tier for state in wallets}
    sums = (picture.exposure.holdings[subject.asset, tier, Owner.CUSTOMER] for tier in tiers)
    return total(holding.amount for holding in sums)


def _gone(held: Interval, highest: Highest | None, *, compared: Highest | None) -> Interval:
    """What is not there any more of the highest, as a share of what it is compared with, at most all of it.

    All or none of it where nothing is known to compare with.
    """
    if highest is None or compared is None or (not highest.coins and held.high is None):
        return Interval(ZERO, None, ONE)
    if not highest.coins:
        return NOTHING

    def share(still: Decimal, *, expected: Decimal) -> Decimal:
        lost = max(ZERO, EXACT.subtract(expected, still))
        if not lost:
            return ZERO
        return EXACT.divide(lost, compared.coins) if lost < compared.coins else ONE

    sure = _expected(highest, certain=held.value is not None)
    return Interval(
        ZERO if held.high is None else share(held.high, expected=_expected(highest)),
        None if held.value is None else share(held.value, expected=sure),
        share(held.low, expected=sure),
    )


def _expected(highest: Highest, *, certain: bool = True) -> Decimal:
    """The highest without what has left since as announced.

    Only as far as it is `certain` that this is gone from what is held: a part that is not read may still hold it, and
    then something else is missing.
    """
    return EXACT.subtract(highest.coins, highest.announced) if certain else highest.coins


def _summary(
    rule: Drain,
    *,
    subject: Subject,
    held: Interval,
    highest: Highest | None,
    whole: Highest | None,
    gone: Interval,
) -> str:
    whose = {
        Of.ASSET: f"customers' {subject.asset}",
        Of.TIER: f"customers' {subject.asset} in the {subject.name} tier",
        Of.WALLET: f"the {subject.asset} of {subject.name}",
    }[subject.of]
    length = format_duration(rule.window)
    against = " of {whole}"
    if rule.against == "hot":  # more may be lost than was hot
        whose, against = f"what was hot of {whose}", " lost, {whole} was hot"
    if highest is None or whole is None or (not highest.coins and held.high is None):
        return f"Nobody knows how much of {whose} has left within {length}: it was not read yet"
    verdict = judgement(breach=gone.above(rule.max_share), ok=gone.within(rule.max_share))
    relation = {Judgement.BREACH: "over", Judgement.OK: "within", Judgement.UNKNOWN: "unknown against"}[verdict]
    limit = percent(Interval.exactly(rule.max_share))
    nothing = gone.high == ZERO or highest.until is None
    since = "" if nothing else f" since {highest.until:%H:%M:%S} UTC"
    amounts = (
        "" if gone.high == ZERO else f" ({_lost(held, highest)}{against.format(whole=plain(whole.coins, places=6))})"
    )
    beyond = f" beyond the {plain(highest.announced, places=6)} that was announced" if highest.announced else ""
    return (
        f"{percent(gone, beside=rule.max_share)} of {whose}{amounts} has left{beyond}{since}, {relation} the limit of "
        f"{limit} within {length}"
    )


def _lost(held: Interval, highest: Highest) -> str:
    """In whole coins, for people."""

    def lost(still: Decimal, *, certain: bool = True) -> str:
        return plain(max(ZERO, EXACT.subtract(_expected(highest, certain=certain), still)), places=6)

    if held.value is not None:
        return lost(held.value)
    most = lost(held.low, certain=False)
    return f"up to {most}" if held.high is None else f"{lost(held.high)} to {most}"


def _evidence(rule: Drain, *, held: Interval, highest: Highest | None, breach: bool) -> dict[str, object]:
    evidence: dict[str, object] = {"window": format_duration(rule.window), "held_at_least": plain(held.low, places=80)}
    if held.high is not None:
        evidence["held_at_most"] = plain(held.high, places=80)
    if highest is not None:
        evidence["highest"] = plain(highest.coins, places=80)
        if breach:
            evidence["lost"] = _lost(held, highest)
        if highest.until is not None:
            evidence["highest_until"] = highest.until.isoformat()
        if highest.announced:
            evidence["announced"] = plain(highest.announced, places=80)
            evidence["announcements"] = list(highest.announcements)
        evidence["watched_since"] = highest.began.isoformat()
        if highest.watched is not None:
            evidence["not_watched"] = {"from": highest.watched.isoformat(), "until": highest.began.isoformat()}
    return evidence
