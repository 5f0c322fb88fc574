"""The report of a day that was really kept: every figure is found again, and nothing of it changes any more."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import ConfigError, Fatal
from daemon.history.closing import canonical, sha256
from daemon.replay.scenario import load
from daemon.replay.simulation import Simulation
from daemon.replay.stage import Stage
from daemon.replay.trial import AS_IT_WAS
from daemon.reporting.rendering import FORMATS, leaves, rendered
from daemon.reporting.reporter import gaps
from daemon.store import ReportRow
from daemon.store.repository import SqlStore
from tests.kept import ASLEEP, BLIND, DAYS, FIRST, GRAIN, SCENARIO, SECOND, reporter
from tests.report_recomputed import differences

pytestmark = pytest.mark.timeout(180)

JSON = dict[str, Any]
ONE_DAY = timedelta(days=1)


def body(row: ReportRow) -> JSON:
    loaded: JSON = json.loads(row.body)
    return loaded


@pytest.mark.parametrize("day", [FIRST, SECOND])
async def test_every_figure_is_found_again_from_the_raw_rows_by_fractions(
    day: date, store: SqlStore, database: Path
) -> None:
    assert differences(database, body(await reporter(store).report(day))) == []


async def test_the_recomputation_notices_the_last_digit_of_any_figure(store: SqlStore, database: Path) -> None:
    report = body(await reporter(store).report(SECOND))
    report["assets"][0]["hot"]["value"] += "1"
    report["hot_share"]["spot"]["all"]["low"] = "0.020000000000000001"
    report["header"]["hours"][3]["known"] -= 1
    assert [line.partition(":")[0] for line in differences(database, report)] == [
        "/assets/0/hot/value",
        "/hot_share/spot/all/low",
        "/hours/3/known",
    ]


async def test_the_hours_in_which_nothing_was_known_or_kept_are_listed(store: SqlStore) -> None:
    row = await reporter(store).report(FIRST)
    hours = {one["from"]: one for one in body(row)["header"]["hours"]}
    assert len(hours) == 24
    unknown = [at for at, one in hours.items() if one["unknown"]]
    missing = [at for at, one in hours.items() if one["missing"]]
    assert unknown == ["2026-11-20T03:00:00Z", "2026-11-20T04:00:00Z", "2026-11-20T05:00:00Z"]
    assert missing == ["2026-11-20T08:00:00Z", "2026-11-20T09:00:00Z"]
    assert hours["2026-11-20T04:00:00Z"]["unknown"] == 3600
    assert hours["2026-11-20T09:00:00Z"]["missing"] == 1800
    assert sum(one["missing"] for one in hours.values()) == (ASLEEP[1] - ASLEEP[0]).total_seconds()
    assert any("2026-11-20T04:00:00Z to 2026-11-20T05:00:00Z: 3600 s unknown" in gap for gap in gaps(row))
    assert BLIND[0] < ASLEEP[0]


async def test_a_day_without_a_gap_says_so(store: SqlStore) -> None:
    row = await reporter(store).report(SECOND)
    assert gaps(row) == []
    assert "The whole day is known." in rendered(row, form="md")


async def test_an_unknown_stretch_keeps_its_bounds(store: SqlStore) -> None:
    """While the node was gone, unread accounts may have held anything up to twice what they held."""
    steps = body(await reporter(store).report(FIRST))["hot_share"]["steps"]
    blind = next(one for one in steps if one["from"] == "2026-11-20T04:00:00Z")
    assert (blind["low"], blind["value"]) == ("0", None)
    assert 0 < float(blind["high"]) <= 1


async def test_a_breach_that_came_and_went_has_its_cause_and_its_times(store: SqlStore) -> None:
    (breach,) = body(await reporter(store).report(SECOND))["breaches"]
    assert (breach["policy"], breach["subject"], breach["state"]) == ("jp-psa/hot-share", "all", "resolved")
    assert (breach["cause"], breach["opened"]) == ("flow", "2026-11-21T01:10:01Z")
    assert breach["share_then"]["value"] == breach["share_at_prices_before"]["value"]
    told = body(await reporter(store).report(SECOND))["alerts"]
    assert [(one["event"], one["receivers"][0]["receiver"]) for one in told] == [("firing", "am"), ("resolved", "am")]


async def test_blindness_is_an_alert_and_no_breach(store: SqlStore) -> None:
    report = body(await reporter(store).report(FIRST))
    assert "PyrometerBlind" in {one["alert"] for one in report["alerts"]}
    assert report["breaches"] == []


async def test_an_examiner_finds_the_digest_of_the_readings_from_the_chain(store: SqlStore, database: Path) -> None:
    """Of a wallet whose account and balances are known: the lines `account token units`, sorted."""
    with closing(sqlite3.connect(database)) as rows:
        (raw,) = rows.execute("select body from pyrometer_closings where day = '2026-11-21'").fetchone()
    closed = json.loads(zlib.decompress(raw))
    wallet = closed["wallets"]["usdc-vault"]
    contract = next(one["contract"] for one in closed["assets"]["USDC"])
    account = next(iter(_accounts("usdc-vault")))
    lines = sorted((f"{account} native 0", f"{account} {contract} 12000000000000"))
    assert wallet["readings_sha256"] == hashlib.sha256("".join(f"{one}\n" for one in lines).encode()).hexdigest()
    assert wallet["accounts_sha256"] == hashlib.sha256(f"{account}\n".encode()).hexdigest()


def _accounts(wallet: str) -> Iterator[str]:
    """The addresses that the scenario gives a wallet, whatever served its chain."""
    scenario = load(SCENARIO)
    stage = Stage(scenario, simulation=Simulation(scenario.starts), trial=AS_IT_WAS)
    return (str(stage.address(account)) for account in stage.cast.groups[wallet])


# The chain of reports.


async def test_each_report_carries_the_hash_of_the_one_before(store: SqlStore) -> None:
    second = await reporter(store).report(SECOND)
    first = await reporter(store).report(FIRST)
    assert body(second)["header"]["previous_sha256"] == second.previous == first.sha256
    assert first.previous is None
    assert hashlib.sha256(first.body.encode()).hexdigest() == first.sha256


async def test_a_report_never_changes(store: SqlStore) -> None:
    """Also when what it was made from does."""
    before = await reporter(store).report(SECOND)
    await store.archive.drop_snapshots(grain=GRAIN, before=DAYS.end(SECOND))
    assert await reporter(store).report(SECOND) == before


async def test_the_same_store_gives_the_same_bytes(store: SqlStore, database: Path) -> None:
    before = await reporter(store).report(SECOND)
    with closing(sqlite3.connect(database)) as rows, rows:
        rows.execute("delete from pyrometer_reports")
    assert await reporter(store).report(SECOND) == before


async def test_the_json_is_canonical_and_is_what_was_hashed(store: SqlStore) -> None:
    row = await reporter(store).report(SECOND)
    text = rendered(row, form="json")
    assert sha256(text) == row.sha256
    assert canonical(json.loads(text)) == text


def tampered(database: Path, day: date, **columns: object) -> None:
    with closing(sqlite3.connect(database)) as rows, rows:
        for name, value in columns.items():
            rows.execute(f"update pyrometer_reports set {name} = ? where day = ?", (value, day.isoformat()))


async def test_a_stored_report_that_was_changed_is_refused(store: SqlStore, database: Path) -> None:
    row = await reporter(store).report(SECOND)
    changed = row.body.replace('"jp-psa"', '"xx-psa"')
    tampered(database, SECOND, body=zlib.compress(changed.encode()))
    with pytest.raises(Fatal, match="the stored report of 2026-11-21 was changed"):
        await reporter(store).report(SECOND)


async def test_a_change_that_brings_its_own_hash_breaks_the_chain(store: SqlStore, database: Path) -> None:
    await reporter(store).report(SECOND)
    first = await reporter(store).report(FIRST)
    changed = first.body.replace("Example Exchange", "Another Exchange")
    tampered(database, FIRST, body=zlib.compress(changed.encode()), sha256=sha256(changed))
    with pytest.raises(Fatal, match="the chain of reports is broken"):
        await reporter(store).report(SECOND)


async def test_a_report_that_vanished_breaks_the_chain(store: SqlStore, database: Path) -> None:
    await reporter(store).report(SECOND)
    with closing(sqlite3.connect(database)) as rows, rows:
        rows.execute("delete from pyrometer_reports where day = ?", (FIRST.isoformat(),))
    with pytest.raises(Fatal, match="the chain of reports is broken"):
        await reporter(store).report(SECOND)


@pytest.mark.parametrize(
    ("day", "message"),
    [
        (FIRST - ONE_DAY, "--date: the store knows nothing of 2026-11-19; the first day that it knows is 2026-11-20"),
        (SECOND + ONE_DAY, "--date: 2026-11-22 is not closed; the last day that is closed is 2026-11-21"),
    ],
)
async def test_a_day_that_is_not_known_is_one_line(day: date, message: str, store: SqlStore) -> None:
    with pytest.raises(ConfigError) as caught:
        await reporter(store).report(day)
    assert str(caught.value) == message


async def test_a_day_that_was_slept_through_is_a_gap_and_keeps_the_chain(store: SqlStore) -> None:
    """The next closing is of a day later: the one between has a report that says that nothing is known."""
    last = await store.archive.closing(SECOND)
    assert last is not None
    later = SECOND + 2 * ONE_DAY
    await store.archive.keep_closing(replace(last, day=later))
    after = await reporter(store).report(later)
    between = await reporter(store).report(SECOND + ONE_DAY)
    assert after.previous == between.sha256
    assert body(between)["assets"] is None
    assert gaps(between)[0].startswith("The day has no closing")
    assert len(gaps(between)) == 1 + 23  # the hour after midnight was kept
    for form in FORMATS:
        assert rendered(between, form=form)


# Its forms.


async def test_the_table_has_a_row_for_every_figure(store: SqlStore) -> None:
    row = await reporter(store).report(SECOND)
    rows = list(csv.reader(io.StringIO(rendered(row, form="csv"))))
    assert rows[:2] == [["section", "path", "value"], ["report", "sha256", row.sha256]]
    assert len(rows) == 2 + len(list(leaves(body(row))))
    assert ["assets", "0.hot.value", "383.333333333333333333"] in rows


async def test_nothing_in_the_table_is_a_formula(store: SqlStore) -> None:
    row = await reporter(store).report(SECOND)
    report = body(row)
    report["header"]["entity"] = "=HYPERLINK(1)"
    changed = replace(row, body=canonical(report))
    values = [one[2] for one in csv.reader(io.StringIO(rendered(changed, form="csv")))]
    assert "'=HYPERLINK(1)" in values
    assert "-65.666666666666666668" in values


async def test_names_are_text_in_every_form(store: SqlStore) -> None:
    row = await reporter(store).report(SECOND)
    report = body(row)
    report["header"]["entity"] = "<img src=x> | `a`"
    changed = replace(row, body=canonical(report))
    assert "<img" not in rendered(changed, form="html")
    assert "&lt;img src=x&gt; | `a`" in rendered(changed, form="html")
    assert "# Daily report of &#60;img src=x&#62; \\| \\`a\\`, 2026-11-21" in rendered(changed, form="md")


async def test_all_eleven_sections_stand_in_both_texts(store: SqlStore) -> None:
    row = await reporter(store).report(SECOND)
    for number in range(1, 12):
        assert f"\n## {number} " in rendered(row, form="md")
        assert f"<h2>{number} " in rendered(row, form="html")


async def test_the_page_needs_nothing_but_itself(store: SqlStore) -> None:
    page = rendered(await reporter(store).report(FIRST), form="html")
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count('role="img"') == 2
    assert page.count('class="unknown"') == 10
    assert page.count('class="missing"') == 9
