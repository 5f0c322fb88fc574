"""The eleven sections of a day's report as one JSON-ready object. Pure: the same evidence gives the same text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from daemon.coverage import Coverage
from daemon.feeds.values import Stated
from daemon.history.closing import JSON, bounds, moment, sha256
from daemon.history.figure import Judged, Key, exact
from daemon.history.snapshot import rounded
from daemon.interval import EXACT, NOTHING, ZERO, Interval, total
from daemon.model import Exposure, Owner, Tier
from daemon.reporting import alerts, changes, outflows
from daemon.reporting.closed import Closed, interval
from daemon.reporting.evidence import Evidence, Span
from daemon.store import ClosingRow

FORMAT = "pyrometer-report/1"
LATE = 600
"""Seconds after the cut-off from which a closing counts as late."""
SHARE_ALERTS = alerts.named("HotShareHigh")
COVER_ALERTS = alerts.named("GuaranteeShort", "BackingShort", "ReserveShort")
NO_CLOSING = "The day has no closing: nobody ran at its cut-off and until the next one."


def report_of(evidence: Evidence, *, entity: str, currency: str, previous: str | None) -> JSON:
    """The whole report; `previous` is the hash of the one of the day before, None where this is the first."""
    worth = None if evidence.closing is None else Worth.of(evidence.closing[1])
    return {
        "format": FORMAT,
        "header": _header(evidence, entity=entity, currency=currency, previous=previous),
        "assets": None if worth is None else _assets(worth),
        "hot_share": _hot_share(evidence, worth),
        "exposure": None if worth is None else _exposure(evidence, worth),
        "breaks": alerts.breaks(evidence),
        "breaches": alerts.breaches(evidence),
        "alerts": alerts.told(evidence),
        "wallet_changes": changes.of(evidence),
        "unmatched_outflows": outflows.of(evidence),
        "liabilities_root": _root(worth),
        "sign_off": {"prepared_by": None, "reviewed_by": None, "date": None},
    }


@dataclass(frozen=True, slots=True)
class Worth:
    """What the readings of a closing come to: on chain alone, and with custodians."""

    closed: Closed
    chained: Exposure
    whole: Exposure
    coverage: Coverage

    @classmethod
    def of(cls, closed: Closed) -> Worth:
        whole = closed.exposure()
        return cls(closed, closed.exposure(custody=False), whole, closed.coverage(whole))


# 1. The header.


def _header(evidence: Evidence, *, entity: str, currency: str, previous: str | None) -> JSON:
    raw: JSON = {} if evidence.closing is None else evidence.closing[1].raw
    hours = evidence.hours()
    return {
        "entity": entity,
        "currency": currency,
        "day": evidence.day.isoformat(),
        "timezone": evidence.days.timezone,
        "from": moment(evidence.start),
        "cut_off": moment(evidence.end),
        "opening": _closing(evidence.opening),
        "closing": _closing(evidence.closing),
        "program": raw.get("program"),
        "config_sha256": raw.get("config_sha256"),
        "unread_growth": raw.get("unread_growth"),
        "chains": raw.get("chains", {}),
        "sources": raw.get("sources", []),
        "presets": sorted({one["policy"].partition("/")[0] for one in raw.get("rules", []) if "/" in one["policy"]}),
        "rules": raw.get("rules", []),
        "grain_seconds": None if evidence.grain is None else round(evidence.grain.total_seconds()),
        "hours": [_span(one) for one in hours],
        "gaps": [*_gaps(evidence, hours)],
        "previous_sha256": previous,
    }


def _closing(closing: tuple[ClosingRow, Closed] | None) -> JSON | None:
    if closing is None:
        return None
    row, raw = closing[0], closing[1].raw
    digest = sha256(row.body)
    return {"at": raw["at"], "late_seconds": raw["late_seconds"], "complete": raw["complete"], "sha256": digest}


def _gaps(evidence: Evidence, hours: Iterable[Span]) -> Iterator[str]:
    """In words, why the day is not wholly known; nothing when it is."""
    if evidence.closing is None:
        yield NO_CLOSING
    else:
        raw = evidence.closing[1].raw
        if raw["late_seconds"] > LATE:
            yield f"The closing was taken {raw['late_seconds']} s after the cut-off, at the first complete picture."
        if not raw["complete"]:
            yield "The closing has holes: a part of the accounts was not read when it was taken."
    for one in hours:
        unknown = 0 if one.figure is None else one.figure.unknown
        if one.missing or unknown:
            yield (
                f"{moment(one.start)} to {moment(one.end)}: {unknown} s unknown, {one.missing} s without any snapshot."
            )
    for (policy, subject), said in sorted(evidence.judged.items()):
        if said.unknown:
            yield f"{policy} on {subject} was unknown for {said.unknown} s."


# 2. Per asset.


def _assets(worth: Worth) -> list[JSON]:
    readings: dict[str, list[JSON]] = {}
    for asset, reading in _readings(worth.closed):
        readings.setdefault(asset, []).append(reading)
    return [
        {"asset": asset, **_asset(worth, asset), "readings": readings.get(asset, [])}
        for asset in sorted(worth.closed.inventory.assets)
    ]


def _asset(worth: Worth, asset: str) -> JSON:
    closed, chained = worth.closed, worth.chained
    custody = [one for one in closed.custody if one.asset == asset]
    held = worth.coverage.backing.get(asset)
    return {
        "price": _with_age(closed.prices.get(asset), closed),
        "liabilities": _with_age(closed.liabilities.get(asset), closed),
        **{tier.value: bounds(_sum(chained, asset, owner=Owner.CUSTOMER, tiers=(tier,))) for tier in Tier},
        "custody": bounds(total(one.amount.value for one in custody)),
        "custodians": [
            {"custodian": one.custodian, "tier": one.tier.value, **(_with_age(one.amount, closed) or {})}
            for one in custody
        ],
        "company": bounds(_sum(chained, asset, owner=Owner.COMPANY)),
        "guarantee": bounds(_sum(chained, asset, owner=Owner.GUARANTEE)),
        "customers": bounds(_sum(worth.whole, asset, owner=Owner.CUSTOMER)),
        "surplus": None if held is None else less(held.part, held.whole),
    }


def _readings(closed: Closed) -> Iterator[tuple[str, JSON]]:
    decimals = {(one.chain, one.contract): one.decimals for one in closed.inventory.asset_of}
    for name, wallet in sorted(closed.raw["wallets"].items()):
        for reading in wallet["readings"]:
            yield (
                reading["asset"],
                {
                    "wallet": name,
                    "chain": wallet["chain"],
                    "tier": wallet["tier"],
                    "owner": wallet["owner"],
                    "decimals": decimals[wallet["chain"], reading["contract"]],
                    **{key: value for key, value in reading.items() if key != "asset"},
                    "readings_sha256": wallet["readings_sha256"],
                },
            )


def _sum(exposure: Exposure, asset: str, *, owner: Owner, tiers: Iterable[Tier] = Tier) -> Interval:
    found = (exposure.holdings.get((asset, tier, owner)) for tier in tiers)
    return total(held.amount for held in found if held is not None)


def less(one: Interval, other: Interval) -> JSON:
    """one − other with bounds; unlike an Interval it may be negative, and its `low` may be unknown."""
    low = None if other.high is None else EXACT.subtract(one.low, other.high)
    value = None if one.value is None or other.value is None else EXACT.subtract(one.value, other.value)
    high = None if one.high is None else EXACT.subtract(one.high, other.low)
    return {name: None if x is None else exact(x) for name, x in (("low", low), ("value", value), ("high", high))}


def _with_age(stated: Stated | None, closed: Closed) -> JSON | None:
    """What a source stated, and how old that was at the closing; None where nobody stated anything."""
    if stated is None:
        return None
    age = datetime.fromisoformat(closed.raw["at"]) - stated.at
    at = moment(stated.at)
    return {**bounds(stated.value), "source": stated.source, "at": at, "age_seconds": round(age.total_seconds())}


# 3. The hot share.


def _hot_share(evidence: Evidence, worth: Worth | None) -> JSON:
    regulatory = None
    if worth is not None and worth.closed.trailing:
        regulatory = _shares(worth.closed.exposure(prices=worth.closed.trailing))
    return {
        "spot": None if worth is None else _shares(worth.whole),
        "regulatory": regulatory,
        "regulatory_note": None if regulatory else "No trailing prices are kept, so that there is the spot valuation.",
        "limits": _judged(evidence, worth, of=SHARE_ALERTS),
        "steps": [_span(one) for one in evidence.steps()],
    }


def _shares(exposure: Exposure) -> JSON:
    return {
        scope: {**bounds(rounded(share)), "causes": list(exposure.causes[scope])}
        for scope, share in sorted(exposure.hot_share.items())
    }


def _judged(evidence: Evidence, worth: Worth | None, *, of: frozenset[str]) -> list[JSON]:
    """What the rules said at the closing, and for how many seconds of the day they said what."""
    seconds = evidence.judged
    day = round((evidence.end - evidence.start).total_seconds())
    found = [] if worth is None else [one for one in worth.closed.raw["verdicts"] if one["alert"] in of]
    return [
        {
            **one,
            "measured": _rounded(one["measured"]),
            "seconds": _seconds(seconds.get((one["policy"], one["subject"]), Judged()), day=day),
        }
        for one in sorted(found, key=_place)
    ]


def _rounded(measured: Mapping[str, str | None] | None) -> JSON | None:
    return None if measured is None else bounds(rounded(interval(measured)))


def _place(verdict: JSON) -> Key:
    return verdict["policy"], verdict["subject"]


def _seconds(said: Judged, *, day: int) -> JSON:
    missing = max(0, day - said.ok - said.breach - said.unknown)
    return {"ok": said.ok, "breach": said.breach, "unknown": said.unknown, "missing": missing}


def _span(one: Span) -> JSON:
    figure = one.figure
    seen = {"low": None, "value": None, "high": None}
    return {
        "from": moment(one.start),
        "to": moment(one.end),
        **(seen if figure is None else bounds(Interval(figure.low, figure.value, figure.high))),
        "known": 0 if figure is None else figure.known,
        "unknown": 0 if figure is None else figure.unknown,
        "missing": one.missing,
    }


# 4. Exposure against coverage.


def _exposure(evidence: Evidence, worth: Worth) -> JSON:
    exposure, coverage = worth.whole, worth.coverage
    guarantee = total(
        held.value
        for (_, tier, owner), held in exposure.holdings.items()
        if (tier, owner) == (Tier.COLD, Owner.GUARANTEE)
    )
    raw = worth.closed.raw
    fund = NOTHING if raw["fund"] is None else interval(raw["fund"])
    insurance = interval(raw["insurance"])
    behind = guarantee + fund + insurance
    return {
        "hot": bounds(exposure.value),
        "guarantee": bounds(guarantee),
        "fund": raw["fund"],
        "insurance": raw["insurance"],
        "volume": raw["volume"],
        "covered": bounds(behind),
        "gap": _at_least_nothing(less(exposure.value, behind)),
        "per_asset": {
            name: {
                asset: {
                    "part": bounds(one.part),
                    "whole": bounds(one.whole),
                    "ratio": None if one.ratio is None else bounds(rounded(one.ratio)),
                    "causes": list(one.causes),
                }
                for asset, one in sorted(covers.items())
            }
            for name, covers in (("guarantee", coverage.guarantee), ("backing", coverage.backing))
        },
        "rules": _judged(evidence, worth, of=COVER_ALERTS),
    }


def _at_least_nothing(raw: Mapping[str, str | None]) -> JSON:
    return {name: None if x is None else exact(max(ZERO, Decimal(x))) for name, x in raw.items()}


# 10. The liabilities' Merkle root.


def _root(worth: Worth | None) -> JSON:
    root = None if worth is None else worth.closed.raw["merkle_root"]
    return {"merkle_root": root, "note": None if root else "No source of liabilities has stated a Merkle root."}
