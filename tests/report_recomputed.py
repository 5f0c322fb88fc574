"""An examiner's recomputation: every figure of a JSON report from the raw rows of the database, by fractions.

It imports nothing of the program. `python tests/report_recomputed.py DATABASE REPORT.json` prints what differs.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

JSON = dict[str, Any]
Bounds = tuple[Fraction | None, Fraction | None, Fraction | None]
"""low, value, high."""
NONE: Bounds = (Fraction(0), Fraction(0), Fraction(0))
SHARES = ("PyrometerHotShareHigh",)
COVERS = ("PyrometerGuaranteeShort", "PyrometerBackingShort", "PyrometerReserveShort")
PLENTY = Context(prec=400)
WORDS = frozenset(
    (
        "source",
        "at",
        "from",
        "to",
        "age_seconds",
        "causes",
        "wallet",
        "chain",
        "tier",
        "owner",
        "policy",
        "subject",
        "alert",
        "severity",
        "verdict",
        "summary",
        "regulatory_note",
        "custodian",
        "asset",
        "contract",
        "late_seconds",
        "complete",
    )
)
"""What stands beside the figures and is none."""


def differences(database: Path, report: JSON) -> list[str]:
    """One line for every figure that is not what the raw rows give; nothing when all are."""
    expected = dict(leaves(recomputed(database, day=report["header"]["day"])))
    found = dict(_figures(report))
    lines = [
        f"{path}: reported {found.get(path)}, found {value}"
        for path, value in expected.items()
        if found.get(path) != value
    ]
    return lines + [
        f"{path}: reported {found[path]}, nothing to find it from" for path in found if path not in expected
    ]


def _figures(report: JSON) -> Iterator[tuple[str, object]]:
    """Every number of the report that is derived; raw rows that it only repeats are compared by their digests."""
    parts: JSON = {name: report[name] for name in ("assets", "exposure", "hot_share")}
    parts["hours"] = report["header"]["hours"]
    parts["closings"] = {name: report["header"][name] for name in ("opening", "closing")}
    parts["previous"] = report["header"]["previous_sha256"]
    for path, value in leaves(parts):
        if not WORDS.intersection(path.split("/")):
            yield path, value


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from leaves(one, f"{path}/{key}")
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from leaves(one, f"{path}/{number}")
    else:
        yield path, value


# The raw rows.


def _closing(database: sqlite3.Connection, day: str) -> tuple[str, JSON] | None:
    row = database.execute("select body from pyrometer_closings where day = ?", (day,)).fetchone()
    if row is None:
        return None
    text = zlib.decompress(row[0]).decode()
    return text, json.loads(text)


def _snapshots(database: sqlite3.Connection, start: datetime, end: datetime) -> tuple[int, list[tuple[datetime, JSON]]]:
    """Those of the finest grain that there is."""
    grain = database.execute("select min(grain) from pyrometer_snapshots").fetchone()[0]
    rows = database.execute(
        "select at, body from pyrometer_snapshots where grain = ? and at >= ? and at < ? order by at",
        (grain, f"{start:%Y-%m-%d %H:%M:%S.%f}", f"{end:%Y-%m-%d %H:%M:%S.%f}"),
    )
    found = [(datetime.fromisoformat(at).replace(tzinfo=UTC), json.loads(zlib.decompress(body))) for at, body in rows]
    return grain, found


# Arithmetic with bounds.


def add(one: Bounds, other: Bounds) -> Bounds:
    low, value, high = (None if a is None or b is None else a + b for a, b in zip(one, other, strict=True))
    return low, value, high


def times(one: Bounds, other: Bounds) -> Bounds:
    if NONE in (one, other):
        return NONE
    low, value, high = (None if a is None or b is None else a * b for a, b in zip(one, other, strict=True))
    return low, value, high


def less(one: Bounds, other: Bounds) -> Bounds:
    def minus(a: Fraction | None, b: Fraction | None) -> Fraction | None:
        return None if a is None or b is None else a - b

    return minus(one[0], other[2]), minus(one[1], other[1]), minus(one[2], other[0])


def over(part: Fraction | None, whole: Fraction | None) -> Fraction | None:
    return None if part is None or whole is None else part / whole if whole else Fraction(0)


def share(hot: Bounds, rest: Bounds) -> Bounds:
    """hot / (hot + rest): low where the rest is most, high where it is least."""
    least, most = add(hot, (rest[2], None, None))[0], add((rest[0], None, None), (hot[2], None, None))[0]
    value = over(hot[1], add(hot, rest)[1])
    return (
        over(hot[0], least) if least is not None else Fraction(0),
        value,
        over(hot[2], most) if most is not None else Fraction(1),
    )


def read(raw: Mapping[str, str | None]) -> Bounds:
    low, value, high = (None if raw[name] is None else Fraction(raw[name] or "") for name in ("low", "value", "high"))
    return low, value, high


def text(number: Fraction | None, places: int | None = None) -> str | None:
    """The decimal text: exact, or rounded half-even to so many places."""
    if number is None:
        return None
    exact = PLENTY.divide(Decimal(number.numerator), Decimal(number.denominator))
    if places is not None:
        exact = exact.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN, context=PLENTY)
    shown = f"{exact:f}"
    return (shown.rstrip("0").rstrip(".") or "0") if "." in shown else shown


def shown(bounds: Bounds, places: int | None = None) -> JSON:
    return {name: text(one, places) for name, one in zip(("low", "value", "high"), bounds, strict=True)}


# The report.


def recomputed(path: Path, *, day: str) -> JSON:
    """The derived figures of a day, in the shape of the report."""
    with sqlite3.connect(path) as database:
        closing = _closing(database, day)
        assert closing is not None, "the day has no closing"
        before = f"{datetime.fromisoformat(day) - timedelta(days=1):%Y-%m-%d}"
        opening = _closing(database, before)
        body = closing[1]
        start, end = (datetime.fromisoformat(body[name]) for name in ("from", "cut_off"))
        grain, snapshots = _snapshots(database, start, end)
        previous = database.execute("select body from pyrometer_reports where day = ?", (before,)).fetchone()
    holdings = _holdings(body)
    return {
        "assets": [_asset(body, asset, holdings) for asset in sorted(body["assets"])],
        "exposure": {
            **_exposure(body, holdings),
            "rules": _judged(body, snapshots, COVERS, holdings=holdings, span=end - start),
        },
        "hot_share": {
            "spot": _shares(body, holdings, prices=body["prices"]),
            "regulatory": _shares(body, holdings, prices=body["trailing"]) if body["trailing"] else None,
            "limits": _judged(body, snapshots, SHARES, holdings=holdings, span=end - start),
            "steps": _spans(snapshots, start, end, max(600, grain)),
        },
        "hours": _spans(snapshots, start, end, 3600),
        "closings": {name: _digest(one) for name, one in (("opening", opening), ("closing", closing))},
        "previous": None if previous is None else hashlib.sha256(zlib.decompress(previous[0])).hexdigest(),
    }


def _digest(closing: tuple[str, JSON] | None) -> JSON | None:
    return None if closing is None else {"sha256": hashlib.sha256(closing[0].encode()).hexdigest()}


Holdings = dict[tuple[str, str, str], Bounds]


def _holdings(body: JSON) -> Holdings:
    """Whole coins on chain by asset, tier and owner."""
    growth = Fraction(body["unread_growth"])
    decimals = {
        (asset, one["chain"], one["contract"]): one["decimals"]
        for asset, tokens in body["assets"].items()
        for one in tokens
    }
    found: Holdings = {}
    for wallet in body["wallets"].values():
        stale = body["chains"][wallet["chain"]]["reason"] is not None
        for one in wallet["readings"]:
            unit = Fraction(1, 10 ** decimals[one["asset"], wallet["chain"], one["contract"]])
            known, lost = int(one["units"]), int(one["unread_units"])
            known, lost = (0, known + lost) if stale else (known, lost)
            unread = one["accounts"] if stale else one["unread"]
            high = None if one["never_read"] else known * unit + lost * unit * (1 + growth)
            bounds = (known * unit, None if unread else known * unit, high)
            key = (one["asset"], wallet["tier"], wallet["owner"])
            found[key] = add(found.get(key, NONE), bounds)
    return found


def _sum(holdings: Holdings, *, asset: str, owner: str, tiers: Sequence[str] = ("hot", "warm", "cold")) -> Bounds:
    total = NONE
    for tier in tiers:
        total = add(total, holdings.get((asset, tier, owner), NONE))
    return total


def _with_custody(body: JSON, holdings: Holdings) -> Holdings:
    whole = dict(holdings)
    for one in body["custody"]:
        key = (one["asset"], one["tier"], "customer")
        whole[key] = add(whole.get(key, NONE), read(one))
    return whole


def _asset(body: JSON, asset: str, holdings: Holdings) -> JSON:
    custody = NONE
    for one in body["custody"]:
        custody = add(custody, read(one) if one["asset"] == asset else NONE)
    customers = _sum(_with_custody(body, holdings), asset=asset, owner="customer")
    owed = body["liabilities"].get(asset)
    price = body["prices"].get(asset)
    return {
        "price": None if price is None else shown(read(price)),
        "liabilities": None if owed is None else shown(read(owed)),
        **{
            tier: shown(_sum(holdings, asset=asset, owner="customer", tiers=(tier,)))
            for tier in ("hot", "warm", "cold")
        },
        "custody": shown(custody),
        "custodians": [shown(read(one)) for one in body["custody"] if one["asset"] == asset],
        "company": shown(_sum(holdings, asset=asset, owner="company")),
        "guarantee": shown(_sum(holdings, asset=asset, owner="guarantee")),
        "customers": shown(customers),
        "surplus": shown(less(customers, (Fraction(0), None, None) if owed is None else read(owed)))
        if asset in body["owed"]
        else None,
        "readings": [
            {
                **{key: one[key] for key in ("units", "unread_units", "accounts", "unread", "never_read")},
                "decimals": next(
                    token["decimals"]
                    for token in body["assets"][asset]
                    if (token["chain"], token["contract"]) == (wallet["chain"], one["contract"])
                ),
                "readings_sha256": wallet["readings_sha256"],
            }
            for _, wallet in sorted(body["wallets"].items())
            for one in wallet["readings"]
            if one["asset"] == asset
        ],
    }


def _price(prices: Mapping[str, JSON], asset: str) -> Bounds:
    return read(prices[asset]) if asset in prices else (Fraction(0), None, None)


def _shares(body: JSON, holdings: Holdings, *, prices: Mapping[str, JSON]) -> JSON:
    whole = _with_custody(body, holdings)
    hot, rest = NONE, NONE
    shares: JSON = {}
    for asset in sorted({asset for asset, _, owner in whole if owner == "customer"}):
        mine = _sum(whole, asset=asset, owner="customer", tiers=("hot",))
        other = _sum(whole, asset=asset, owner="customer", tiers=("warm", "cold"))
        shares[asset] = shown(share(mine, other), 18)
        price = _price(prices, asset)
        hot = add(hot, times(mine, price))
        for tier in ("warm", "cold"):
            rest = add(rest, times(_sum(whole, asset=asset, owner="customer", tiers=(tier,)), price))
    return {"all": shown(share(hot, rest), 18), **shares}


def _exposure(body: JSON, holdings: Holdings) -> JSON:
    whole = _with_custody(body, holdings)
    hot, guarantee = NONE, NONE
    for (asset, tier, owner), held in whole.items():
        value = times(held, _price(body["prices"], asset))
        hot = add(hot, value if (tier, owner) == ("hot", "customer") else NONE)
        guarantee = add(guarantee, value if (tier, owner) == ("cold", "guarantee") else NONE)
    fund = NONE if body["fund"] is None else read(body["fund"])
    insurance = read(body["insurance"])
    behind = add(add(guarantee, fund), insurance)
    gap = tuple(None if one is None else max(Fraction(0), one) for one in less(hot, behind))
    return {
        "hot": shown(hot),
        "guarantee": shown(guarantee),
        "fund": None if body["fund"] is None else shown(fund),
        "insurance": shown(insurance),
        "volume": None if body["volume"] is None else shown(read(body["volume"])),
        "covered": shown(behind),
        "gap": shown((gap[0], gap[1], gap[2])),
        "per_asset": {
            "guarantee": {
                asset: _cover(
                    _sum(whole, asset=asset, owner="guarantee", tiers=("cold",)),
                    _sum(whole, asset=asset, owner="customer", tiers=("hot",)),
                )
                for asset in sorted({asset for asset, _, _ in whole})
            },
            "backing": {
                asset: _cover(_sum(whole, asset=asset, owner="customer"), _price(body["liabilities"], asset))
                for asset in body["owed"]
            },
        },
    }


def _cover(part: Bounds, whole: Bounds) -> JSON:
    ratio = None
    if whole != NONE:
        low = Fraction(0) if whole[2] is None else over(part[0], whole[2])
        ratio = shown((low, over(part[1], whole[1]), None if not whole[0] else over(part[2], whole[0])), 18)
    return {"part": shown(part), "whole": shown(whole), "ratio": ratio}


def _measured(body: JSON, verdict: JSON, holdings: Holdings) -> JSON | None:
    """What a rule measured at the closing, found anew where its parameters are the usual ones."""
    rule = next(one for one in body["rules"] if one["policy"] == verdict["policy"])
    subject = verdict["subject"]
    if verdict["alert"] == "PyrometerHotShareHigh" and (rule["of"], rule["tiers"]) == ("holdings", ["hot"]):
        prices = body["trailing" if rule["valuation"] == "trailing-year" else "prices"]
        return dict(_shares(body, holdings, prices=prices)[subject])
    covers = _exposure(body, holdings)["per_asset"]
    if verdict["alert"] == "PyrometerGuaranteeShort" and rule["tiers"] == ["hot"]:
        return covers["guarantee"][subject]["ratio"]  # type: ignore[no-any-return]
    if verdict["alert"] == "PyrometerBackingShort" and subject != "all":
        return covers["backing"][subject]["ratio"]  # type: ignore[no-any-return]
    return None if verdict["measured"] is None else shown(read(verdict["measured"]), 18)


def _judged(
    body: JSON,
    snapshots: Sequence[tuple[datetime, JSON]],
    alerts: Sequence[str],
    *,
    holdings: Holdings,
    span: timedelta,
) -> list[JSON]:
    rows = []
    for one in sorted(body["verdicts"], key=lambda verdict: (verdict["policy"], verdict["subject"])):
        if one["alert"] in alerts:
            said = [found["judged"].get(f"{one['policy']} {one['subject']}", [0, 0, 0]) for _, found in snapshots]
            ok, breach, unknown = (sum(column) for column in zip(*said, strict=True)) if said else (0, 0, 0)
            missing = round(span.total_seconds()) - ok - breach - unknown
            seconds = {"ok": ok, "breach": breach, "unknown": unknown, "missing": missing}
            rows.append({"limit": one["limit"], "measured": _measured(body, one, holdings), "seconds": seconds})
    return rows


def _spans(snapshots: Sequence[tuple[datetime, JSON]], start: datetime, end: datetime, step: int) -> list[JSON]:
    rows = []
    while start < end:
        after = min(start + timedelta(seconds=step), end)
        parts = [found["figures"]["hot_share all"] for at, found in snapshots if start <= at < after]
        known, unknown = sum(one[3] for one in parts), sum(one[4] for one in parts)
        highs = [one[2] for one in parts]
        rows.append(
            {
                "low": text(min((Fraction(one[0]) for one in parts), default=None)),
                "value": parts[-1][1] if parts else None,
                "high": None if None in highs or not highs else text(max(map(Fraction, highs))),
                "known": known,
                "unknown": unknown,
                "missing": round((after - start).total_seconds()) - known - unknown,
            }
        )
        start = after
    return rows


if __name__ == "__main__":
    found = differences(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()))
    sys.stdout.write("".join(f"{line}\n" for line in found) or "every figure is found again\n")
    sys.exit(1 if found else 0)
