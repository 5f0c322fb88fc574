"""Sources outside the chains on the real process: they fail, lie and come back, and no number is better than it was."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.anvil import AnvilNode
from tests.pricing import Figures
from tests.system.daemon import Daemon, gauges, run_command, running_daemon
from tests.system.exchange import config, fund

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

GOOD_PRICES, GOOD_LIABILITIES = '{"ETH": 500000}', '{"ETH": "900"}'


def http(figures: Figures, **more: object) -> dict[str, object]:
    return {"kind": "http", "url": figures.url, "values": "@", "every": "50ms", "timeout": "1s", **more}


def watched(anvil: AnvilNode, *, prices: Figures, owed: Figures) -> dict[str, Any]:
    """One ether in a hundred is hot; every rule fires and clears at once."""
    at_once = {"hold": "0s", "clear_after": "0s"}
    return config(
        anvil.url,
        feeds={"prices": [http(prices, max_age="2s")], "liabilities": [http(owed, max_age="1h")]},
        policies=[
            {"kind": "hot_share", "name": "hot-share", "limit": 0.05, **at_once},
            {"kind": "feed_stale", **at_once},
            {"kind": "price_deviation", **at_once},
            {"kind": "blind", **at_once},
        ],
    )


async def firing(daemon: Daemon, *expected: str) -> dict[str, Any]:
    """Once these findings fire and no others: by alert and subject, what each says."""

    def told(body: Any) -> dict[str, Any]:  # noqa: ANN401 - a JSON value
        return {f"{one['alert'].removeprefix('Pyrometer')} {one['subject']}": one for one in body}

    return told(await daemon.becomes("/api/v1/findings", lambda body: set(told(body)) == set(expected)))


async def ready(daemon: Daemon) -> None:
    await daemon.becomes("/readyz", lambda body: not body.get("reasons"))


async def test_sources_that_fail_and_lie_leave_unknown_what_rests_on_them_until_they_recover(tmp_path: Path) -> None:
    async with (
        AnvilNode() as anvil,
        Figures(GOOD_PRICES).serving() as prices,
        Figures(GOOD_LIABILITIES).serving() as owed,
    ):
        await fund(anvil, hot=10_000, cold=990_000)
        async with running_daemon(tmp_path, watched(anvil, prices=prices, owed=owed)) as daemon:
            await ready(daemon)
            await firing(daemon)
            report = await daemon.get("/api/v1/report")
            assert report["exposure"]["value"]["value"] == "5000000.00"
            assert report["coverage"]["backing"]["ETH"]["whole"]["value"] == "900"
            up = gauges(await daemon.metrics(), "pyrometer_feed_up")
            assert up == {
                'pyrometer_feed_up{feed="liabilities",source="http"}': 1,
                'pyrometer_feed_up{feed="prices",source="http"}': 1,
            }

            await prices_fail(daemon, prices)
            await liabilities_lie(daemon, owed)
            await a_price_jumps(daemon, prices)
            assert await daemon.stop() == 0


async def prices_fail(daemon: Daemon, prices: Figures) -> None:
    """No answer: the last price holds until it is too old, then the value is unknown; then it comes back."""
    prices.status = 503
    found = await firing(daemon, "FeedStale prices/http", "Blind price:ETH")
    assert "prices/http" in found["Blind price:ETH"]["summary"]
    report = await daemon.get("/api/v1/report")
    assert report["exposure"]["value"] == {"value": None, "low": "0.00", "high": None}
    assert report["feeds"]["prices"]["reason"] == "unavailable"
    assert report["feeds"]["prices"]["age_seconds"] > 2
    status, body = await daemon.ask("/readyz")
    assert (status, [reason[:25] for reason in body["reasons"]]) == (503, ["prices/http: unavailable:"])
    assert gauges(await daemon.metrics(), "pyrometer_exposure_value") == {}
    prices.status = 200
    await ready(daemon)
    await firing(daemon)


async def liabilities_lie(daemon: Daemon, owed: Figures) -> None:
    """A bad answer withdraws the good one before it at once, though that is young."""
    owed.body = '{"ETH": -1}'
    found = await firing(daemon, "FeedStale liabilities/http")
    assert "negative" in found["FeedStale liabilities/http"]["summary"]
    backing = (await daemon.get("/api/v1/report"))["coverage"]["backing"]["ETH"]
    assert (backing["whole"]["value"], backing["causes"]) == (None, ["liabilities:ETH"])
    code, out, _ = await run_command("check", "--live", "--config", str(daemon.file), cwd=daemon.file.parent)
    assert code == 4
    assert [line for line in out.splitlines() if "feed liabilities/http" in line and "negative" in line]
    assert [line for line in out.splitlines() if "feed prices/http" in line]
    code, out, _ = await run_command("once", "--json", "--config", str(daemon.file), cwd=daemon.file.parent)
    assert code == 3
    assert '"reason": "bad_answer"' in out
    owed.body = GOOD_LIABILITIES
    await ready(daemon)
    await firing(daemon)


async def a_price_jumps(daemon: Daemon, prices: Figures) -> None:
    """Ten times the last price is withheld and raised; the one before ages until a reload takes the new one."""
    prices.body = '{"ETH": 5000000}'
    await daemon.becomes(
        "/api/v1/findings", lambda body: "PyrometerPriceDeviation" in [finding["alert"] for finding in body]
    )
    withheld = (await daemon.get("/api/v1/report"))["feeds"]["prices"]["withheld"]
    assert withheld == {"ETH": "5000000 is too far from 500000, which it said before"}
    await daemon.becomes("/api/v1/report", lambda body: body["exposure"]["value"]["value"] is None)
    daemon.hang_up()
    await daemon.becomes("/api/v1/report", lambda body: body["exposure"]["value"]["value"] == "50000000.00")
    await firing(daemon)


async def test_approvals_age_and_fail_as_every_other_feed(tmp_path: Path) -> None:
    """A row that can't be right is named, and readiness says what is unknown when nothing better came for too long."""
    at_once = {"hold": "0s", "clear_after": "0s"}
    async with AnvilNode() as anvil, Figures(GOOD_PRICES).serving() as prices, Figures("[]").serving() as office:
        await fund(anvil, hot=10_000, cold=990_000)
        feeds = {"prices": [http(prices)], "approvals": [http(office, name="desk", max_age="2s")]}
        policies = [{"kind": "feed_stale", **at_once}]
        async with running_daemon(tmp_path, config(anvil.url, feeds=feeds, policies=policies)) as daemon:
            await ready(daemon)
            metrics = await daemon.metrics()
            assert 'pyrometer_feed_up{feed="approvals",source="desk"}' in gauges(metrics, "pyrometer_feed_up")
            age = gauges(metrics, "pyrometer_feed_age_seconds")
            assert age['pyrometer_feed_age_seconds{feed="approvals",source="desk"}'] >= 0
            office.body = '[{"id": 7, "asset": "ETH", "amount": "-1", "destination": "0xab", "at": 1700000000}]'
            stale = (await firing(daemon, "FeedStale approvals/desk"))["FeedStale approvals/desk"]
            assert stale["evidence"]["detail"] == "row 1 (id 7): amount: '-1' is negative"
            assert stale["evidence"]["unknown"] == ["approvals:desk"]
            reasons = (await daemon.becomes("/readyz", lambda body: body.get("reasons")))["reasons"]
            assert reasons == [
                "approvals/desk: bad_answer: row 1 (id 7): amount: '-1' is negative (unknown: approvals:desk)"
            ]
            office.body = office.body.replace("-1", "1")
            await ready(daemon)
            await firing(daemon)
            assert (await daemon.get("/api/v1/report"))["feeds"]["approvals"]["source"] == "desk"
            assert await daemon.stop() == 0
