"""What people on call read: real findings, rendered by a real Alertmanager with the templates that we hand out."""

from __future__ import annotations

import asyncio
import textwrap
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Stage
from daemon.emit.alert import Alert, Origin, alert, watchdog
from daemon.model import Due, Finding, Move, Severity
from tests.integration import findings
from tests.integration.alertmanager import until
from tests.integration.paged import Paged, paged, parts

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

ORIGIN = Origin(
    entity="Example Exchange KK",
    external_url="https://pyrometer.example",
    runbook_url="https://wiki.example/pyrometer/alerts",
)
WIDTH, LINES = 38, 30
"""Of a phone's screen, at the usual size of its letters."""


def now() -> datetime:
    return datetime.now(UTC)


def sent(finding: Finding, *, origin: Origin = ORIGIN, ends: datetime | None = None) -> Alert:
    """As the daemon's sink posts it."""
    return alert(finding, origin=origin, ends=ends or now() + timedelta(minutes=5))


async def slack(it: Paged, receiver: str, *, after: int = 0) -> dict[str, Any]:
    """The next message in a channel: what stands on the screen."""
    await until(lambda: len(it.of(f"slack/{receiver}")) > after)
    [attachment] = it.of(f"slack/{receiver}")[after]["attachments"]
    found: dict[str, Any] = attachment
    return found


def screen(attachment: dict[str, Any]) -> str:
    return f"{attachment['title']}\n{attachment['text']}"


def rows(text: str) -> list[str]:
    """The lines as a phone breaks them."""
    wrapped = (textwrap.wrap(line, WIDTH, break_long_words=True) or [""] for line in text.splitlines())
    return [row for lines in wrapped for row in lines]


async def test_a_vault_that_pays_is_told_with_everything_that_the_first_minutes_need(tmp_path: Path) -> None:
    async with paged(tmp_path, hasty=False) as it:
        await it.post(sent(await findings.cold_moved()))
        attachment = await slack(it, "security-page")
    assert attachment["title"] == "CRITICAL PyrometerColdMoved: eth-cold-1"
    assert attachment["title_link"] == "https://wiki.example/pyrometer/alerts/PyrometerColdMoved.md"
    assert attachment["text"].splitlines() == [
        f"eth-cold-1 pays out 400 ETH: 399.999 to {findings.DESTINATION}, fee 0.001, pending since 12:00:04 UTC",
        "How much: 400 ETH",
        "Since: 2026-11-23 12:00:04 UTC",
        "Still there: 1000 ETH in eth-cold-1",
        f"Transaction: {findings.TRANSACTION}",
        "It is pending since 2026-11-23 12:00:04 UTC",
        "Runbook: https://wiki.example/pyrometer/alerts/PyrometerColdMoved.md",
    ]
    assert len(rows(screen(attachment))) <= 16


async def test_a_drain_is_told_with_what_is_gone_and_what_is_left(tmp_path: Path) -> None:
    async with paged(tmp_path) as it:
        await it.post(sent(findings.drain()))
        attachment = await slack(it, "security-page")
    assert attachment["text"].splitlines() == [
        "26.67 % of customers' ETH (120 of 450) has left since 12:00:00 UTC, over the limit of 10 % within 10m",
        "How much: 120 ETH",
        "Since: 2026-11-23 12:00:04 UTC",
        "Still there: 330 ETH",
        "Runbook: https://wiki.example/pyrometer/alerts/PyrometerDrain.md",
    ]


async def test_a_share_is_told_with_value_limit_and_what_to_move(tmp_path: Path) -> None:
    async with paged(tmp_path) as it:
        await it.post(sent(findings.hot_share()))
        attachment = await slack(it, "treasury-page")
    assert attachment["text"].splitlines() == [
        "The hot share of customers' assets is 6 %, over the limit of 5 %",
        "How much: 0.06, limit 0.05",
        "Since: 2026-11-23 12:00:04 UTC",
        "Move: 11 ETH from eth-hot-1 to tier cold",
        "Runbook: https://wiki.example/pyrometer/alerts/PyrometerHotShareHigh.md",
    ]


async def test_a_blind_daemon_is_told_with_what_nobody_knows_and_why(tmp_path: Path) -> None:
    async with paged(tmp_path) as it:
        await it.post(sent(findings.blind()))
        attachment = await slack(it, "operations-page")
    assert attachment["title"] == "CRITICAL PyrometerBlind: chain:ethereum"
    assert attachment["text"].splitlines() == [
        "Unknown because of chain ethereum: jp-psa/hot-share on all (node-1: connection refused, since 12:00:05)",
        "Since: 2026-11-23 12:00:04 UTC",
        "Runbook: https://wiki.example/pyrometer/alerts/PyrometerBlind.md",
    ]


async def test_a_change_of_control_is_told_with_what_is_at_stake_and_its_transaction(tmp_path: Path) -> None:
    async with paged(tmp_path) as it:
        await it.post(sent(findings.control_changed()))
        lines = (await slack(it, "security-page"))["text"].splitlines()
    assert lines[2:5] == [
        "Still there: 514000 ETH in eth-vault",
        f"Transaction: {findings.TRANSACTION}",
        "It is in block 5",
    ]


async def test_a_pager_a_mail_and_a_webhook_tell_the_same(tmp_path: Path) -> None:
    async with paged(tmp_path) as it:
        await it.post(sent(await findings.cold_moved()))
        text = (await slack(it, "security-page"))["text"]
        await until(lambda: it.of("pagerduty") and it.mails and it.of("incidents.example.internal/alerts"))
        [page], [mail], [hook] = it.of("pagerduty"), it.mails, it.of("incidents.example.internal/alerts")
        [token] = [one.headers["Authorization"] for one in it.told if one.where.startswith("incidents")]
    assert page["routing_key"].strip() == "security-page"
    assert (page["event_action"], page["payload"]["severity"]) == ("trigger", "critical")
    line = f"CRITICAL PyrometerColdMoved: eth-cold-1: eth-cold-1 pays out 400 ETH: 399.999 to {findings.DESTINATION}"
    assert page["payload"]["summary"].startswith(line)
    assert page["payload"]["custom_details"]["firing"] == text
    assert str(mail["Subject"]).startswith(line)
    assert str(mail["To"]) == "security@example.internal"
    plain, html = parts(mail)
    assert plain.splitlines() == text.splitlines()
    assert '<a href="https://wiki.example/pyrometer/alerts/PyrometerColdMoved.md">Open the runbook</a>' in html
    assert findings.TRANSACTION in html
    assert hook["alerts"][0]["annotations"]["transaction"] == findings.TRANSACTION
    assert token == "Bearer incidents_token"


async def test_what_is_over_is_told_with_why_and_how_long_it_was(tmp_path: Path) -> None:
    async with paged(tmp_path) as it:
        finding = replace(findings.drain(), since=now() - timedelta(hours=1))
        await it.post(sent(finding))
        await slack(it, "security-page")
        over = replace(findings.resolved(finding), resolved=now())
        await it.post(sent(over, ends=now()))
        attachment = await slack(it, "security-page", after=1)
        await until(lambda: len(it.of("pagerduty")) > 1)
        assert it.of("pagerduty")[1]["event_action"] == "resolve"
    assert (attachment["title"], attachment["color"]) == ("RESOLVED PyrometerDrain: ETH", "good")
    lines = attachment["text"].splitlines()
    assert lines[1] == "Over: back within the limit"
    assert lines[2] == f"It was from {finding.since:%Y-%m-%d %H:%M} to {over.resolved:%H:%M} UTC"


async def test_a_warning_wakes_nobody(tmp_path: Path) -> None:
    async with paged(tmp_path) as it:
        await it.post(sent(as_warning(findings.drain())))
        attachment = await slack(it, "security-chat")
        assert attachment["title"] == "WARNING PyrometerDrain: ETH"
        await asyncio.sleep(0.5)
        assert not it.of("pagerduty")


def as_warning(finding: Finding) -> Finding:
    return replace(finding, verdict=replace(finding.verdict, severity=Severity.WARNING))


async def test_a_fire_drill_says_that_it_is_one_in_the_title(tmp_path: Path) -> None:
    async with paged(tmp_path) as it:
        await it.post(sent(findings.drain(), origin=replace(ORIGIN, drill="dmm-2024")))
        attachment = await slack(it, "security-page")
    assert attachment["title"] == "DRILL CRITICAL PyrometerDrain: ETH"


NASTY = "<!channel> <https://evil|click> *a* & <b>x</b>\n\n\u202e\x07 {{ .Labels }}"


async def test_marks_of_slack_and_html_in_a_text_are_text(tmp_path: Path) -> None:
    """What a node or a source answers stands in the summary."""
    finding = findings.blind()
    finding = replace(finding, verdict=replace(finding.verdict, summary=NASTY, subject="custodian:<!here>"))
    async with paged(tmp_path) as it:
        await it.post(sent(as_critical_of_security(finding)))
        attachment = await slack(it, "security-page")
        await until(lambda: it.mails)
        _, html = parts(it.mails[0])
    assert attachment["text"].splitlines()[0] == "‹!channel› ‹https://evil|click› *a* & ‹b›x‹/b› {{ .Labels }}"
    assert attachment["title"].endswith(": custodian:‹!here›")
    assert attachment["mrkdwn_in"] == ["fallback"]
    assert "<b>x" not in html
    assert "*a* &amp; ‹b›x‹/b› {{ .Labels }}" in html
    assert "\n" not in str(it.mails[0]["Subject"])


def as_critical_of_security(finding: Finding) -> Finding:
    """Under a name that is mailed."""
    return replace(finding, verdict=replace(finding.verdict, alert="PyrometerDrain"))


@pytest.mark.parametrize("stage", [Stage.PENDING, Stage.MINED])
async def test_many_payments_and_the_longest_names_fit_on_one_screen(tmp_path: Path, stage: Stage) -> None:
    finding = await findings.cold_moved(name="w" * 64, payments=40, stage=stage)
    async with paged(tmp_path) as it:
        await it.post(sent(finding))
        attachment = await slack(it, "security-page")
    assert len(rows(screen(attachment))) <= LINES
    assert ", the newest of 40 payments" in attachment["text"]
    assert f"Transaction: {findings.TRANSACTION}" in attachment["text"]


@pytest.mark.parametrize("wallets", [3, 60])
async def test_of_many_moves_the_first_are_told_and_no_amount_is_cut(tmp_path: Path, wallets: int) -> None:
    finding = findings.hot_share(wallets=wallets, prefix=f"{'w' * 40}-")
    finding = replace(
        finding,
        verdict=replace(
            finding.verdict, moves=tuple(Move(f"{'w' * 40}-{n}", "ETH", Decimal(n)) for n in range(1, wallets + 1))
        ),
    )
    async with paged(tmp_path) as it:
        await it.post(sent(finding))
        attachment = await slack(it, "treasury-page")
    [move] = [line for line in attachment["text"].splitlines() if line.startswith("Move: ")]
    assert move == f"Move: 1 ETH from {'w' * 40}-1; 2 ETH from {'w' * 40}-2; and more"
    assert len(rows(screen(attachment))) <= LINES


def longest(finding: Finding) -> Finding:
    """With everything that can be said, each as long as can be."""
    verdict = replace(
        finding.verdict,
        summary="s" * 3000,
        subject="t" * 200,
        moves=(Move("w" * 64, "A" * 64, Decimal(1).scaleb(-60), counterpart="owner guarantee, tier cold"),) * 20,
    )
    due = tuple(Due("plan " * 40, now().date(), "business", n, overdue=False) for n in range(9))
    return replace(finding, verdict=verdict, due=due, why_resolved="r" * 500)


async def test_whatever_comes_fits_on_one_screen(tmp_path: Path) -> None:
    """Forty alerts of one group, each with texts without end; then they are over, one half before the other."""
    base = longest(findings.blind())
    many = [replace(base, verdict=replace(base.verdict, subject=f"{n:04}{base.verdict.subject}")) for n in range(40)]
    far = replace(ORIGIN, runbook_url=f"http://{'h' * 90}")
    over = [replace(finding, why_resolved="r" * 500) for finding in many]

    def told(it: Paged, *words: str) -> list[str]:
        shown = [screen(one["attachments"][0]) for one in it.of("slack/operations-page")]
        return [text for text in shown if all(word in text for word in words)]

    async with paged(tmp_path) as it:
        await it.post(*(sent(finding, origin=far) for finding in many))
        await until(lambda: told(it, "Also: ", "40 fire in all", "Move: too long"))
        await it.post(*(sent(finding, origin=far, ends=now()) for finding in over[:20]))
        await until(lambda: told(it, "20 fire in all", "20 are over"))
        await it.post(*(sent(finding, origin=far, ends=now()) for finding in over[20:]))
        await until(lambda: told(it, "RESOLVED", " are over", "Over: rrr"))
        assert max(len(rows(text)) for text in told(it)) <= LINES


ALL = (
    *("summary", "description", "amount", "value", "low", "high", "limit", "due", "still_there", "why_resolved"),
    *("amount_to_move", "transaction", "transaction_stage"),
)

DAEMONS = tuple(name for name in ALL if name not in ("summary", "description"))


LEFT_OUT = [(), ("amount_to_move",), ("amount_to_move", "amount", "transaction"), DAEMONS]
WORDS = ["x" * 1000, "x" * 20]
"""Without blanks, and such that half of each line is empty."""


def worst(entity: str, ends: datetime, *, word: str, left_out: tuple[str, ...], of: int) -> list[Alert]:
    """So many alerts of one group with annotations that are longer than any rule makes them."""
    texts = {name: " ".join([word] * 30)[:600] for name in ALL if name not in left_out}
    if "amount_to_move" in texts:
        texts["amount_to_move"] = texts["amount_to_move"][:150]  # the longest that is not left out
    labels = {"alertname": "PyrometerNotificationsRefused", "severity": "critical", "subject": "y" * 100}
    whole = {
        "annotations": {**texts, "runbook_url": f"http://{'h' * 98}"},
        "startsAt": (ends - timedelta(hours=1)).isoformat(),
        "endsAt": ends.isoformat(),
    }
    return [{"labels": {**labels, "entity": entity, "policy": f"{n}"}, **whole} for n in range(of)]


async def test_not_even_annotations_that_no_rule_makes_need_a_second_screen(tmp_path: Path) -> None:
    cases = [(word, left_out) for word in WORDS for left_out in LEFT_OUT]
    async with paged(tmp_path) as it:

        def screens(words: str) -> list[str]:
            found = [screen(one["attachments"][0]) for one in it.of("slack/operations-page")]
            return [text for text in found if words in text]

        for words, firing_for, of in (("8 fire in all", 5, 8), ("4 are over", 0, 4), ("RESOLVED", 0, 8)):
            for n, (word, left_out) in enumerate(cases):
                ends = now() + timedelta(minutes=firing_for)
                await it.post(*worst(f"E{n}", ends, word=word, left_out=left_out, of=of))
            await until(lambda words=words: len(screens(words)) >= len(cases))
        assert max(len(rows(text)) for text in screens("")) <= LINES


async def test_what_prometheus_says_fits_too_with_its_description(tmp_path: Path) -> None:
    labels = {"alertname": "PyrometerDown", "severity": "critical", "entity": "E", "subject": "daemon"}
    texts = {"summary": "Nobody\n watches. " * 40, "description": "  No replica\n has answered. " * 40}
    ends = (now() + timedelta(minutes=5)).isoformat()
    async with paged(tmp_path) as it:
        await it.post({"labels": labels, "annotations": texts, "startsAt": now().isoformat(), "endsAt": ends})
        attachment = await slack(it, "operations-page")
    assert len(rows(screen(attachment))) <= LINES
    assert " No replica has answered. No replica" in attachment["text"]


async def test_an_alert_without_annotations_is_told_all_the_same(tmp_path: Path) -> None:
    ends = (now() + timedelta(minutes=5)).isoformat()
    bare = {"alertname": "PyrometerDrain", "severity": "critical"}
    async with paged(tmp_path) as it:
        await it.post({"labels": bare, "startsAt": "2026-11-23T12:00:04Z", "endsAt": ends})
        attachment = await slack(it, "security-page")
        await until(lambda: it.mails and it.of("pagerduty"))
    assert attachment["title"] == "CRITICAL PyrometerDrain"
    assert attachment["text"].splitlines() == [
        "no summary",
        "Since: 2026-11-23 12:00:04 UTC",
        "Runbook: docs/alerts/PyrometerDrain.md",
    ]
    assert attachment.get("title_link", "") == ""


async def test_the_watchdog_keeps_its_switch_quiet_and_pages_nobody(tmp_path: Path) -> None:
    dog = watchdog(ORIGIN, since=now(), ends=now() + timedelta(minutes=5))
    async with paged(tmp_path, hasty=False) as it:
        await it.post(dog)
        await until(lambda: it.of("dead-mans-switch.example.internal/pyrometer"))
        [only] = it.told
    assert only.headers["Authorization"] == "Bearer dead_mans_switch_token"
