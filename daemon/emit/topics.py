"""What each MQTT topic is to say of a report: pure, and rendered only when it is sent.

Bodies are made by the renderer that the API has, so that both say the same in the same words.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from daemon.emit import rendering
from daemon.emit.moments import moment
from daemon.gate.state import GateState
from daemon.model import AssetExposure, Finding, Report, WalletState
from daemon.policy.blocks import with_blocks

STATUS, ONLINE, OFFLINE = "status", b"online", b"offline"
LARGEST = 64 * 1024
"""Bytes of a message; a finding whose evidence makes it larger goes without it."""

Render = Callable[[datetime, int | None], bytes]
"""From the time at which it is sent, and the seconds after which the broker forgets it."""


@dataclass(frozen=True, slots=True)
class Topic:
    """What one topic is to say now, and how it is written when it is sent.

    `says` is the same as before while nothing has changed but blocks and ages. `urgent` is what must be told at once
    when it changes, None where nothing is. What `ages` is forgotten by the broker when it is not sent anew.
    """

    says: object
    render: Render
    urgent: object = None
    ages: bool = True


def topics(report: Report) -> dict[str, Topic]:
    """By name, which comes after the prefix; what must be known first comes first."""
    return {
        **gates(report),
        **{f"finding/{_level(item.id)}": _finding(item, report=report) for item in report.findings},
        STATUS: Topic(ONLINE, lambda _now, _lives: ONLINE),
        "exposure": Topic((report.exposure, _reasons(report), report.currency), partial(_exposure, report)),
        **{
            f"asset/{_level(name)}": _asset(name, part, report=report)
            for name, part in report.exposure.by_asset.items()
        },
        **{f"wallet/{_level(name)}": _wallet(name, state, report=report) for name, state in report.wallets.items()},
    }


def gates(report: Report) -> dict[str, Topic]:
    """Of the topics those that signers read."""
    return {f"gate/{_level(name)}": _gate(gate, report=report) for name, gate in report.gates.items()}


def _level(name: str) -> str:
    """A name as one level of a topic: it can hold neither a separator nor a wildcard."""
    return quote(name, safe="")


def _gate(gate: GateState, *, report: Report) -> Topic:
    return Topic(says=(gate,), urgent=(gate,), render=partial(_gate_body, gate, report))


def _gate_body(gate: GateState, report: Report, now: datetime, lives: int | None) -> bytes:
    """For a signer: good until it `expires`, and no longer, whatever was read before."""
    return _json(
        {
            "wallet": gate.wallet,
            **rendering.gate(gate),
            "expires": moment(now + timedelta(seconds=lives or 0)),
            **_made(report, now=now),
        }
    )


def _finding(item: Finding, *, report: Report) -> Topic:
    verdict = item.verdict
    return Topic(
        says=(item,),
        urgent=(item.state, verdict.alert, verdict.severity, verdict.judgement),
        ages=False,  # a breach is not over because nobody looks any more
        render=partial(_finding_body, item, report),
    )


def _finding_body(item: Finding, report: Report, now: datetime, _lives: int | None) -> bytes:
    whole = replace(item, verdict=with_blocks(item.verdict, report.chains))
    body = {**rendering.finding(whole), **_made(report, now=now)}
    text = _json(body)
    return text if len(text) <= LARGEST else _json({**body, "evidence": {"left_out": f"{len(text)} bytes"}})


def _exposure(report: Report, now: datetime, _lives: int | None) -> bytes:
    told = {**rendering.exposure(report.exposure), "currency": report.currency}
    return _json({**told, "chains": rendering.chains(report, now=now), **_made(report, now=now)})


def _asset(name: str, part: AssetExposure, *, report: Report) -> Topic:
    covers = (report.coverage.guarantee.get(name), report.coverage.backing.get(name))
    return Topic((part, covers, report.currency), partial(_asset_body, name, part, report))


def _asset_body(name: str, part: AssetExposure, report: Report, now: datetime, _lives: int | None) -> bytes:
    """As in the exposure, with what stands behind the asset, and the chains of the wallets that have it."""
    chains = {one.wallet.chain for one in report.wallets.values() if name in one.holdings or name in one.doubtful}
    covers = {"guarantee": report.coverage.guarantee.get(name), "backing": report.coverage.backing.get(name)}
    return _json(
        {
            "asset": name,
            "currency": report.currency,
            "hot_share": None if part.share is None else rendering.interval(part.share),
            "causes": [*part.causes, *part.unpriced],
            "holdings": rendering.groups(part.holdings),
            "coverage": {kind: rendering.cover(one) for kind, one in covers.items() if one is not None},
            "chains": {chain: rendering.chain(report.chains[chain], now=now) for chain in sorted(chains)},
            **_made(report, now=now),
        }
    )


def _wallet(name: str, state: WalletState, *, report: Report) -> Topic:
    why = report.chains[state.wallet.chain].reason
    return Topic((state, why, report.gates.get(name), report.currency), partial(_wallet_body, name, state, report))


def _wallet_body(name: str, state: WalletState, report: Report, now: datetime, _lives: int | None) -> bytes:
    """As in the API, but for the single accounts, of which there may be a million."""
    block = rendering.chain(report.chains[state.wallet.chain], now=now)
    told = {"wallet": name, "currency": report.currency, **rendering.wallet(state, report=report)}
    return _json({**told, "block": block, **_made(report, now=now)})


def _made(report: Report, *, now: datetime) -> dict[str, Any]:
    """Whose it is, when it was judged, and how long ago that was when it was sent."""
    return {"entity": report.entity, "at": moment(report.at), "age_seconds": rendering.age(report.at, now)}


def _reasons(report: Report) -> dict[str, object]:
    return {name: chain.reason for name, chain in report.chains.items()}


def _json(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
