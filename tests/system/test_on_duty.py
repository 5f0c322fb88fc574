"""The whole stack, with the files that are handed out: a breach is followed all the way to people and signers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.paged import Paged, parts
from tests.integration.postgres import Postgres, started
from tests.integration.subscriber import Subscriber
from tests.system.daemon import until
from tests.system.stack import BREACH, Stack, running_stack

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

VERDICT = 'pyrometer_verdict{{policy="jp-psa/hot-share",subject="all",verdict="{}"}}'
HEADROOM = 'entity_scope:pyrometer_hot_share_headroom:ratio{scope="all"}'
LABELS = {
    "alertname": "PyrometerHotShareHigh",
    "policy": "jp-psa/hot-share",
    "subject": "all",
    "severity": "critical",
    "entity": "Example Exchange KK",
}
SUMMARY = "The hot share of customers' assets is 7.69 %, over the limit of 5 %"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    yield from started()


async def test_one_breach_all_the_way_and_back(tmp_path: Path, postgres: Postgres) -> None:
    """From a block to the metric, the rule, the route, people, signers and the API, under one name; then its end."""
    async with running_stack(tmp_path, postgres=postgres) as stack, stack.listening("reader") as house:
        await house.until(lambda: b'"gate":"open"' in house.holds.get("gate/eth-hot-1", b""))
        await _rules_are_well(stack)
        began = time.time()
        await stack.breach()
        height, block = await stack.anvil.head()

        (told,) = await _told(stack, "firing")
        finding = told["annotations"]["finding"]
        assert told["labels"] == LABELS
        assert told["annotations"]["summary"] == SUMMARY
        assert told["annotations"]["amount_to_move"] == "36.3 ETH from eth-hot-1 to tier cold"
        assert told["annotations"]["blocks"] == f"ethereum {height} {block}"
        await _everybody_was_woken(stack.pager)
        print(f"block to webhook: {stack.heard_at(finding) - began:.3f} s, of which up to 1 s until the next poll")  # noqa: T201

        (found,) = await stack.daemon.becomes("/api/v1/findings", lambda body: body)
        assert (found["id"], found["state"]) == (finding, "firing")
        assert found["evidence"]["blocks"]["ethereum"] == {"height": height, "hash": block}
        gate = await stack.daemon.get("/api/v1/gate/eth-hot-1")
        assert (gate["gate"], gate["findings"]) == ("closed", [finding])
        assert (await stack.daemon.get("/api/v1/gate/eth-back-1"))["gate"] == "open"

        await house.until(lambda: f"finding/{finding}" in house.holds)
        await _is_kept(stack, gate="closed", findings=[finding])

        await stack.prometheus.becomes(VERDICT.format("breach"), 1)
        await stack.prometheus.becomes('pyrometer_gate_open{wallet="eth-hot-1"}', 0)
        await stack.prometheus.becomes(f"{HEADROOM} < bool 0", 1)
        await stack.prometheus.becomes('pyrometer_findings{state="firing",severity="critical"}', 1)
        await stack.prometheus.becomes("sum(pyrometer_notifications_pending)", 0)
        assert await stack.rows("select id, state from pyrometer_findings") == [(finding, "firing")]

        await stack.cure()
        (over,) = await _told(stack, "resolved")
        assert (over["labels"], over["annotations"]["finding"]) == (LABELS, finding)
        assert over["fingerprint"] == told["fingerprint"]
        assert await stack.daemon.get("/api/v1/findings") == []
        await house.until(lambda: f"finding/{finding}" not in house.holds)
        await stack.prometheus.becomes(VERDICT.format("breach"), 0)
        await stack.prometheus.becomes(VERDICT.format("ok"), 1)
        await stack.prometheus.becomes(f"{HEADROOM} < bool 0", 0)
        assert not [one for one in await stack.alertmanager.alerts() if one["labels"] == LABELS]
        assert await stack.rows("select id, state from pyrometer_findings") == [(finding, "resolved")]

        # The breach is over, and signers are stopped until a person says otherwise.
        await _is_kept(stack, gate="closed", findings=[])
        await stack.open_gates("eth-hot-1", "eth-cold-1", reason="OPS-4711: moved back to the vault")
        await _is_kept(stack, gate="open", findings=[])
        await stack.prometheus.becomes('pyrometer_gate_open{wallet="eth-hot-1"}', 1)
        assert len(await _told(stack, "firing")) == len(await _told(stack, "resolved")) == 1


async def _rules_are_well(stack: Stack) -> None:
    """Prometheus scrapes everything, has every rule of ours, and could evaluate it."""
    await stack.prometheus.becomes("count(up)", 3)
    await stack.prometheus.becomes("min(up)", 1)
    await stack.prometheus.becomes("entity:pyrometer_replicas_judging:count", 1)
    groups = (await stack.prometheus.asked("rules"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}, [rule for rule in rules if rule["health"] != "ok"]
    firing = {rule["name"] for rule in rules if rule.get("state") == "firing"}
    assert firing == {"PyrometerPrometheusWatchdog"}
    await until(lambda: stack.pager.of("dead-mans-switch.example.internal/pyrometer"))


async def _told(stack: Stack, status: str) -> list[dict[str, Any]]:
    """What the incident tool was told of the breach, once there is something."""
    await until(lambda: stack.heard(status, **BREACH), what=stack.pager.told)
    return stack.heard(status, **BREACH)


async def _everybody_was_woken(pager: Paged) -> None:
    """The same screen by pager, chat and mail."""
    await until(lambda: pager.of("pagerduty") and pager.of("slack/treasury-page") and pager.mails, what=pager.told)
    (page,) = pager.of("pagerduty")
    (chat,) = pager.of("slack/treasury-page")
    (mail,) = pager.mails
    screens = (page["payload"]["custom_details"]["firing"], chat["attachments"][0]["text"], parts(mail)[0])
    assert len({screen.replace("\r\n", "\n").strip() for screen in screens}) == 1
    assert screens[0].startswith(SUMMARY)
    assert SUMMARY in page["payload"]["summary"]
    assert mail["To"] == "treasury@example.internal, compliance@example.internal"


async def _is_kept(stack: Stack, *, gate: str, findings: list[str]) -> None:
    """What somebody finds who subscribes now: signers the gate, others the findings beside it."""
    async with stack.listening("signer") as signer, stack.listening("reader") as house:
        await signer.until(lambda: f'"gate":"{gate}"'.encode() in signer.holds.get("gate/eth-hot-1", b""))
        assert signer.of("gate/eth-hot-1")[0].kept
        await house.until(lambda: "exposure" in house.holds and _findings(house) == findings)
        assert _findings(signer) == []


def _findings(subscriber: Subscriber) -> list[str]:
    return [name.removeprefix("finding/") for name in subscriber.holds if name.startswith("finding/")]
