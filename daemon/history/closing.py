"""The end of a day: the raw readings that everything in its report is reckoned from, as one JSON text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from connectors.base import Address, Tip, Token
from connectors.errors import Reason
from daemon.control import WalletControl, by_name
from daemon.feeds.values import Feeds, SourceState, Stated
from daemon.history.days import Days
from daemon.history.figure import exact
from daemon.interval import Interval
from daemon.ledger import Key, Ledger, Total, WalletKey
from daemon.model import ChainState, Judgement, Report, Verdict, Wallet
from daemon.setup import Setup

JSON = dict[str, Any]

NATIVE = "native"


@dataclass(frozen=True, slots=True)
class Stand:
    """What stands in the ledger at one moment, under one configuration; copies, which nothing changes any more."""

    setup: Setup
    config_sha256: str
    totals: Mapping[WalletKey, Total]
    units: Mapping[str, Mapping[Key, int]]
    unread: Mapping[str, Mapping[Key, Reason]]
    controls: Mapping[str, WalletControl]
    """Of the wallets on chains of which it is told who controls accounts."""


@dataclass(frozen=True, slots=True)
class Captured:
    """All that makes a closing: the report as it was judged, and the readings behind it."""

    day: date
    days: Days
    report: Report
    stand: Stand
    complete: bool
    program: str


def stand_of(ledger: Ledger, *, setup: Setup, config_sha256: str) -> Stand:
    """Costs a copy of the readings, some tens of milliseconds for a million accounts."""
    units = {name: dict(book.units) for name, book in ledger.books.items()}
    unread = {name: dict(book.unread) for name, book in ledger.books.items()}
    told = (name for name, wallet in setup.inventory.wallets.items() if wallet.chain in setup.controlling)
    controls = {name: ledger.controls.of(name) for name in told}
    return Stand(setup, config_sha256, ledger.totals().wallets, units, unread, controls)


def same_picture(report: Report, ledger: Ledger, *, setup: Setup) -> bool:
    """Whether the report was judged from what the ledger holds now: no block has come between, and no reload."""
    wallets, books = setup.inventory.wallets, ledger.books
    return (
        report.wallets.keys() == wallets.keys()
        and all(state.wallet is wallets[name] for name, state in report.wallets.items())
        and report.chains.keys() == books.keys()
        and all((one.tip, one.seen) == (books[name].tip, books[name].seen) for name, one in report.chains.items())
    )


def body_of(captured: Captured) -> str:
    """The closing as text. Sorts and hashes every account: for a million that takes seconds, so not on the loop."""
    report, stand, day = captured.report, captured.stand, captured.day
    setup = stand.setup
    cut_off = captured.days.end(day)
    body: JSON = {
        "format": "pyrometer-closing/1",
        "entity": report.entity,
        "currency": report.currency,
        "day": day.isoformat(),
        "timezone": captured.days.timezone,
        "from": moment(captured.days.start(day)),
        "cut_off": moment(cut_off),
        "at": moment(report.at),
        "late_seconds": round((report.at - cut_off).total_seconds()),
        "complete": captured.complete,
        "program": captured.program,
        "config_sha256": stand.config_sha256,
        "unread_growth": exact(setup.growth),
        "chains": {name: _chain(state) for name, state in report.chains.items()},
        "assets": {asset: [_token(token) for token in tokens] for asset, tokens in setup.inventory.assets.items()},
        "wallets": {
            name: _wallet(state.wallet, tier=state.tier, stand=stand) for name, state in report.wallets.items()
        },
        "rules": [{"policy": policy, **rule.model_dump(mode="json")} for policy, rule in setup.policies],
        "verdicts": [_verdict(item) for item in report.verdicts],
        "unmatched_outflows": [_unmatched(item) for item in report.verdicts if _is_unmatched(item)],
        **_feeds(report.feeds, owed=report.coverage.backing),
    }
    return canonical(body)


def canonical(body: object) -> str:
    """JSON in one way only: sorted keys, no white space, ASCII, a line end; what is hashed is this text in UTF-8."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), default=str) + "\n"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def moment(at: datetime) -> str:
    """RFC 3339 in UTC, to the microsecond where there is one."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def bounds(interval: Interval) -> JSON:
    """Exact: low, value (null when not all of it is known), high (null when nobody knows)."""
    return {
        "low": exact(interval.low),
        "value": None if interval.value is None else exact(interval.value),
        "high": None if interval.high is None else exact(interval.high),
    }


def _chain(state: ChainState) -> JSON:
    return {
        **_tip(state.tip),
        "seen": None if state.seen is None else moment(state.seen),
        "reader": state.reader,
        "reason": None if state.reason is None else state.reason.value,
        "detail": state.detail,
        "unread": sum(state.unread.values()),
    }


def _tip(tip: Tip | None) -> JSON:
    if tip is None:
        return {"height": None, "hash": None, "time": None}
    return {"height": tip.height, "hash": tip.hash, "time": moment(tip.time)}


def _token(token: Token) -> JSON:
    return {"chain": token.chain, "contract": token.contract, "decimals": token.decimals}


def _wallet(wallet: Wallet, *, tier: str, stand: Stand) -> JSON:
    tokens = stand.setup.inventory.watches[wallet.chain].tokens
    return {
        "chain": wallet.chain,
        "tier": str(tier),
        "owner": wallet.owner.value,
        "custodian": wallet.custodian,
        "accounts": len(wallet.accounts),
        "accounts_sha256": _digest(wallet.accounts),
        "readings": [_reading(wallet.name, token, stand=stand) for token in tokens],
        "readings_sha256": _digest(_lines(wallet, tokens=tokens, stand=stand)),
        "control": _control(stand.controls.get(wallet.name)),
    }


def _control(known: WalletControl | None) -> JSON | None:
    """None where nobody tells who controls accounts. Of plain accounts there is nothing to tell."""
    if known is None:
        return None
    accounts = {
        one.account: {
            "facts": {}
            if one.control is None
            else {name: list(values) for name, values in by_name(one.control).items()},
            "unread": one.unread or None,
        }
        for one in known.accounts
    }
    return {"awaited": known.awaited, "accounts": accounts}


def _reading(wallet: str, token: Token, *, stand: Stand) -> JSON:
    found = stand.totals.get((wallet, token), Total())
    return {
        "asset": stand.setup.inventory.asset_of[token],
        "contract": token.contract,
        "units": str(found.known),
        "unread_units": str(found.lost),
        "accounts": found.pairs,
        "unread": found.unread,
        "never_read": found.never,
    }


def _lines(wallet: Wallet, *, tokens: Iterable[Token], stand: Stand) -> Iterator[str]:
    """`account token units` of every account and token, `unread` where there is no current reading."""
    units, unread = stand.units[wallet.chain], stand.unread[wallet.chain]
    for token in tokens:
        label = token.contract or NATIVE
        for account in wallet.accounts:
            key: Key = (Address(account), token)
            said = "unread" if key in unread else str(units.get(key, "unread"))
            yield f"{account} {label} {said}"


def _digest(lines: Iterable[str]) -> str:
    """SHA-256 of the lines in the order of their bytes, each with a line end."""
    digest = hashlib.sha256()
    for line in sorted(one.encode() for one in lines):
        digest.update(line + b"\n")
    return digest.hexdigest()


def _verdict(item: Verdict) -> JSON:
    return {
        "policy": item.policy,
        "subject": item.subject,
        "alert": item.alert,
        "severity": item.severity.value,
        "verdict": item.judgement.value,
        "summary": item.summary,
        "measured": None if item.measured is None else bounds(item.measured),
        "limit": None if item.limit is None else exact(item.limit),
        "causes": list(item.causes),
    }


def _is_unmatched(item: Verdict) -> bool:
    return item.alert == "PyrometerUnmatchedOutflow" and item.judgement is Judgement.BREACH


def _unmatched(item: Verdict) -> JSON:
    """What stands unmatched of a wallet at the end of the day: how many payments, and the newest of them."""
    return {"policy": item.policy, "subject": item.subject, **item.evidence}


def _feeds(feeds: Feeds, *, owed: Iterable[str]) -> JSON:
    return {
        "prices": {asset: _stated(one) for asset, one in feeds.prices.items()},
        "trailing": {asset: _stated(one) for asset, one in feeds.trailing.items()},
        "owed": sorted(owed),
        "liabilities": {asset: _stated(one) for asset, one in feeds.liabilities.items()},
        "custody": [
            {"custodian": one.custodian, "asset": one.asset, "tier": one.tier.value, **_stated(one.amount)}
            for one in feeds.custody
        ],
        "fund": None if feeds.fund is None else _stated(feeds.fund),
        "insurance": bounds(feeds.insurance),
        "volume": None if feeds.volume is None else _stated(feeds.volume),
        "merkle_root": feeds.merkle_root,
        "sources": [_source(one) for one in feeds.sources],
    }


def _stated(one: Stated) -> JSON:
    return {**bounds(one.value), "source": one.source, "at": moment(one.at)}


def _source(state: SourceState) -> JSON:
    return {
        "feed": state.feed.value,
        "name": state.name,
        "at": None if state.at is None else moment(state.at),
        "reason": None if state.reason is None else state.reason.value,
        "detail": state.detail,
        "since": None if state.since is None else moment(state.since),
        "max_age_seconds": None if state.max_age is None else round(state.max_age.total_seconds()),
        "withheld": dict(state.withheld),
    }
