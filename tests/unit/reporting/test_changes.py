"""Sections 8 and 9: who else controls wallets than the day before, and what left without leave."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from daemon.reporting import changes, outflows
from daemon.reporting.evidence import Evidence, gather
from daemon.store.repository import SqlStore
from tests.kept import DAYS, GRAIN, SECOND

JSON = dict[str, Any]
SAFE = "0x" + "5a" * 20
HOT = "eth-hot"


@pytest.fixture
async def evidence(store: SqlStore) -> Evidence:
    return await gather(store.archive, SECOND, days=DAYS, grain=GRAIN)


def wallet(evidence: Evidence) -> str:
    assert evidence.closing is not None
    names: dict[str, JSON] = evidence.closing[1].raw["wallets"]
    return min(names)


def told(evidence: Evidence, *, before: JSON | None, after: JSON | None) -> JSON:
    """Section 8, where the first wallet was and is controlled so."""
    assert evidence.opening is not None
    assert evidence.closing is not None
    name = wallet(evidence)
    sides = []
    for (row, closed), control in ((evidence.opening, before), (evidence.closing, after)):
        raw = copy.deepcopy(closed.raw)
        for other in raw["wallets"].values():
            other["control"] = {"awaited": 0, "accounts": {}}
        raw["wallets"][name]["control"] = control
        sides.append((row, replace(closed, raw=raw)))
    return changes.of(replace(evidence, opening=sides[0], closing=sides[1]))


def safe(*owners: str, threshold: int = 2, nonce: int = 7, unread: str | None = None) -> JSON:
    facts = {"kind": ["safe"], "threshold": [str(threshold)], "owner": list(owners), "nonce": [str(nonce)]}
    return {"awaited": 0, "accounts": {SAFE: {"facts": facts, "unread": unread}}}


PLAIN: JSON = {"awaited": 0, "accounts": {}}


async def test_a_closing_tells_who_controls_the_accounts_of_a_chain_that_tells_it(evidence: Evidence) -> None:
    assert evidence.closing is not None
    assert all(one["control"] == PLAIN for one in evidence.closing[1].raw["wallets"].values())
    found = changes.of(evidence)
    assert found["compared"]
    assert found["control"] == found["control_unknown"] == []


async def test_owners_and_thresholds_that_are_others_are_told_and_the_order_and_the_nonce_are_not(
    evidence: Evidence,
) -> None:
    found = told(evidence, before=safe("0xa", "0xb"), after=safe("0xc", "0xa", threshold=1, nonce=8))
    name = wallet(evidence)
    assert found["control"] == [
        {"wallet": name, "account": SAFE, "what": "threshold", "before": ["2"], "after": ["1"]},
        {"wallet": name, "account": SAFE, "what": "owner", "before": ["0xa", "0xb"], "after": ["0xa", "0xc"]},
    ]
    assert told(evidence, before=safe("0xa", "0xb"), after=safe("0xb", "0xa", nonce=9))["control"] == []


async def test_a_plain_account_that_gains_code_is_told_as_another_kind(evidence: Evidence) -> None:
    found = told(evidence, before=PLAIN, after=safe("0xa"))
    assert {"what": "kind", "before": ["single"], "after": ["safe"]}.items() <= found["control"][0].items()


@pytest.mark.parametrize("after", [None, safe("0xa", unread="timeout"), {"awaited": 1, "accounts": {}}])
async def test_what_could_not_be_read_is_unknown_and_no_change(evidence: Evidence, after: JSON | None) -> None:
    found = told(evidence, before=safe("0xa"), after=after)
    assert found["control_unknown"] == [wallet(evidence)]
    assert [one for one in found["control"] if after is None or after["accounts"]] == []


async def test_a_closing_of_an_earlier_version_is_read_and_says_nothing_of_control(evidence: Evidence) -> None:
    assert evidence.opening is not None
    raw = copy.deepcopy(evidence.opening[1].raw)
    for one in raw["wallets"].values():
        del one["control"]
    found = changes.of(replace(evidence, opening=(evidence.opening[0], replace(evidence.opening[1], raw=raw))))
    assert found["control"] == []
    assert found["control_unknown"] == sorted(raw["wallets"])


def closed_with(evidence: Evidence, **more: object) -> Evidence:
    assert evidence.closing is not None
    row, closed = evidence.closing
    return replace(evidence, closing=(row, replace(closed, raw={**closed.raw, **more})))


RULE = {"policy": "theft/unmatched-outflow", "kind": "unmatched_outflow"}


async def test_without_a_rule_nobody_looked(evidence: Evidence) -> None:
    found = outflows.of(evidence)
    assert not found["known"]
    assert found["note"] == outflows.NO_RULE


async def test_what_stands_unmatched_at_the_closing_is_told_with_its_transactions(evidence: Evidence) -> None:
    standing = {"policy": RULE["policy"], "subject": HOT, "payments": 1, "transactions": [{"transaction": "ab"}]}
    found = outflows.of(closed_with(evidence, rules=[RULE], unmatched_outflows=[standing]))
    assert found["known"]
    assert found["standing"] == [standing]
    assert found["note"] == ""


async def test_a_wallet_of_which_it_could_not_be_told_makes_the_section_unknown(evidence: Evidence) -> None:
    verdict = {"policy": RULE["policy"], "subject": HOT, "alert": "PyrometerUnmatchedOutflow", "verdict": "unknown"}
    found = outflows.of(closed_with(evidence, rules=[RULE], verdicts=[{**verdict, "summary": "feed:approvals"}]))
    assert not found["known"]
    assert found["unknown"] == [{"policy": RULE["policy"], "wallet": HOT, "why": "feed:approvals"}]


async def test_without_a_closing_nothing_is_known(evidence: Evidence) -> None:
    assert outflows.of(replace(evidence, closing=None))["note"] == outflows.NO_CLOSING
