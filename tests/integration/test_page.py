"""The page in a real browser, on reports that the real pipe made of a played day."""

import re
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from connectors.base import Movement, Party, Stage, Tip, Token
from daemon.api.page import HEADERS, ROUTES
from daemon.emit import rendering
from daemon.model import Report
from tests.integration.chromium import Chromium
from tests.replayed import Monitor, loaded

pytestmark = pytest.mark.timeout(60)

JsonObject = dict[str, Any]
PHONE = """<!doctype html>
<iframe src="/" width="360" height="800"></iframe>
<script>
  setTimeout(() => {
    const { scrollWidth, clientWidth } = document.querySelector("iframe").contentDocument.documentElement;
    document.title = `${scrollWidth} of ${clientWidth}`;
  }, 2000);
</script>
"""
WITH_TOKEN = """<!doctype html>
<script>
  sessionStorage.setItem("token", "r-token");
  location.replace("/");
</script>
"""
LONG_ENOUGH_TO_BE_OLD = 14_000  # ms; the page's patience is 10 s


class Daemon:
    """Serves the page as the API does, and whatever report it is told to."""

    def __init__(self) -> None:
        self.report: JsonObject = {}
        self.url = ""
        self.frozen = False
        self.asked = 0
        self.fails_after: int | None = None
        self.failure: Callable[[], web.Response] = lambda: web.Response(status=500, text="no JSON")
        self.other_paths: list[str] = []
        self.framed = False
        self.token = ""

    def shows(self, report: Report) -> None:
        self.report = rendering.report(report, now=report.at)

    async def serve_page(self, request: web.Request) -> web.Response:
        file = ROUTES[request.path]
        headers = {} if self.framed else HEADERS
        return web.Response(body=file.body(), content_type=file.content_type, charset="utf-8", headers=headers)

    async def serve_phone(self, request: web.Request) -> web.Response:
        """A page as wide as a phone in a window that can't be that narrow; the content policy forbids such frames."""
        self.framed = True
        return web.Response(text=PHONE, content_type="text/html")

    async def serve_with_token(self, request: web.Request) -> web.Response:
        """Somebody who has given the page a token before."""
        return web.Response(text=WITH_TOKEN, content_type="text/html")

    async def serve_report(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"detail": "expected a bearer token"}, status=401)
        if self.fails_after is not None and self.asked > self.fails_after:
            return self.failure()
        at = self.report["at"] if self.frozen else f"{self.report['at'][:17]}{self.asked % 60:02}Z"
        return web.json_response(self.report | {"at": at})

    async def refuse(self, request: web.Request) -> web.Response:
        self.other_paths.append(request.path)
        return web.Response(status=404)


@pytest.fixture
async def daemon() -> AsyncIterator[Daemon]:
    serving = Daemon()
    app = web.Application()
    app.add_routes([web.get(path, serving.serve_page) for path in ROUTES])
    app.add_routes([web.get("/api/v1/report", serving.serve_report), web.get("/phone", serving.serve_phone)])
    app.add_routes([web.get("/with-token", serving.serve_with_token)])
    app.add_routes([web.get("/{other:.*}", serving.refuse)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    serving.url = "http://{}:{}/".format(*runner.addresses[0][:2])
    yield serving
    await runner.cleanup()


@pytest.fixture
def chromium(tmp_path: Path) -> Chromium:
    return Chromium(tmp_path)


class Shown(HTMLParser):
    """What stands on the page: the text of each element with an id, what is hidden, and each element's classes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.text: dict[str, str] = {}
        self.hidden: set[str] = set()
        self.body = ""
        self.labels: list[str] = []
        self._open: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        identity = attributes.get("id") or ""
        if tag == "body":
            self.body = attributes.get("class") or ""
        if identity:
            self.text[identity] = ""
            if "hidden" in attributes:
                self.hidden.add(identity)
        if attributes.get("role") == "img":
            self.labels.append(attributes.get("aria-label") or "")
        if tag not in ("meta", "link", "br", "img"):
            self._open.append((tag, identity))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for _, identity in self._open:
            if identity:
                self.text[identity] += data

    def __getitem__(self, identity: str) -> str:
        return re.sub(r"\s+", " ", self.text[identity]).strip()


async def quiet() -> Report:
    return await Monitor().sees("08:12")


ETHER = Token("ethereum", None, 18)
BLOCK = Tip(492, "0x" + "b" * 64, datetime(2026, 11, 20, 8, 12, tzinfo=UTC))


def moving(name: str, stage: Stage, changes: Mapping[str, int], **more: Any) -> Movement:  # noqa: ANN401 - its fields
    """Of the first account of each wallet, by its name."""
    wallets = loaded().setup.inventory.wallets
    made = Movement(
        transaction=name,
        token=ETHER,
        stage=stage,
        tip=BLOCK if stage is Stage.MINED else None,
        changes=tuple((wallets[wallet].accounts[0], units) for wallet, units in changes.items()),
        change=0,
        destinations=(),
        sources=(),
        fee=None,
        size=0,
    )
    return replace(made, **more)


async def moved(*movements: Movement) -> Report:
    monitor = Monitor()
    await monitor.sees("08:12")
    return await monitor.hears("08:12", *movements)


THEFT = moving(
    "0x" + "7" * 64,
    Stage.PENDING,
    {"eth-vault-1": -12 * 10**17 - 1},
    destinations=(Party("0x" + "e" * 40, 12 * 10**17),),
)
DEPOSIT = moving("0x" + "5" * 64, Stage.MINED, {"deposits": 10**18})


async def over() -> Report:
    monitor = Monitor()
    await monitor.sees("09:39")
    return await monitor.sees("09:41")


async def blind() -> Report:
    monitor = Monitor()
    await monitor.sees("17:00")
    await monitor.sees_nothing("17:16")
    return await monitor.judges("17:30")


async def test_a_quiet_morning_is_inside_policy(daemon: Daemon, chromium: Chromium) -> None:
    daemon.shows(await quiet())
    page = Shown(await chromium.dom(daemon.url))
    assert (page["entity"], page["verdict"], page.body) == ("Example Exchange KK", "inside policy", "ok")
    assert page["why"] == "All 5 verdicts are known and inside their limits."
    assert page["picture"].startswith("picture of 2026-11-20 08:12:")
    assert page.labels[0] == "all, by value: 3.43 %, limit 5 %, inside"
    assert {"alarm", "findings-section"} <= page.hidden


async def test_every_wallet_stands_under_its_tier_with_what_it_holds(daemon: Daemon, chromium: Chromium) -> None:
    daemon.shows(await quiet())
    wallets = Shown(await chromium.dom(daemon.url))["wallets"]
    hot, warm, cold = (wallets.index(tier) for tier in ("hot5 wallets", "warm2 wallets", "cold7 wallets"))
    assert hot < wallets.index("eth-hot-1") < warm < wallets.index("eth-warm-1") < cold < wallets.index("eth-vault-1")
    assert "eth-warm-11,600 ETH" in wallets
    assert "company-treasury company1,200 ETH600M JPY" in wallets


async def test_a_chain_shows_its_block_and_age(daemon: Daemon, chromium: Chromium) -> None:
    report = await quiet()
    daemon.shows(report)
    tip = report.chains["ethereum"].tip
    assert tip is not None
    page = Shown(await chromium.dom(daemon.url))
    assert page["chains"].startswith(f"ethereumblock 492{tip.hash[:10]}…block time 08:12:00 UTC")
    assert "read 0 s ago" in page["chains"]
    assert tip.hash in page.html


async def test_a_breach_shows_what_to_move(daemon: Daemon, chromium: Chromium) -> None:
    daemon.shows(await over())
    page = Shown(await chromium.dom(daemon.url))
    assert (page["verdict"], page.body) == ("BREACH", "breach")
    assert page["why"] == "Outside its limit: jp-psa/hot-share on all."
    assert page["findings"].startswith("BREACH critical, jp-psa/hot-share on all, since 09:41:00 UTC")
    assert "now 7.48 %, limit 5 %" in page["findings"]
    assert "Move 955.2592 ETH from eth-hot-1 to tier cold" in page["findings"]
    assert page.labels[0] == "all, by value: 7.48 %, limit 5 %, BREACH"
    assert "findings-section" not in page.hidden


async def test_what_to_move_is_never_rounded_down(daemon: Daemon, chromium: Chromium) -> None:
    daemon.shows(await over())
    daemon.report["findings"][0]["moves"][0]["amount"] = "1950.00001"
    assert "Move 1,950.0001 ETH" in Shown(await chromium.dom(daemon.url))["findings"]


async def test_a_hair_over_the_limit_does_not_look_like_the_limit(daemon: Daemon, chromium: Chromium) -> None:
    daemon.shows(await over())
    daemon.report["exposure"]["hot_share"]["all"] = {
        "value": "0.0500000001",
        "low": "0.0500000001",
        "high": "0.0500000001",
    }
    assert Shown(await chromium.dom(daemon.url)).labels[0] == "all, by value: 5.00000001 %, limit 5 %, BREACH"


COVERED_BY_NOBODY_KNOWS_WHAT = [f"guarantee {asset}: not known at all, UNKNOWN" for asset in ("ETH", "LINK", "USDC")]


async def test_the_unknown_is_a_hatched_range_and_never_zero(daemon: Daemon, chromium: Chromium) -> None:
    daemon.shows(await blind())
    page = Shown(await chromium.dom(daemon.url))
    assert (page["verdict"], page.body) == ("UNKNOWN", "unknown")
    assert (
        "Not known: jp-psa/hot-share on all, hot-floor on eth-hot-1, builtin/disagreement on ethereum, "
        "builtin/drift on ethereum." in page["why"]
    )
    assert page["problems"].startswith("Not ready: ethereum: unavailable: node-1: Connection refused")
    assert page.labels[0] == "all, by value: between 0 % and 100 %, limit 5 %, UNKNOWN"
    assert page.labels[4:] == COVERED_BY_NOBODY_KNOWS_WHAT
    assert page.html.count('class="range"') == len(page.labels) == 7
    assert page["findings"].startswith("BLIND critical, blind on chain:ethereum")


async def test_unread_wallets_show_what_they_last_held_and_when(daemon: Daemon, chromium: Chromium) -> None:
    report = await blind()
    daemon.shows(report)
    page = Shown(await chromium.dom(daemon.url))
    assert "eth-hot-1 unreadlast 620 ETHat 17:00:00" in page["wallets"]
    assert "link-vault unreadlast 420,000 LINKat 17:00:00last no ETH, no USDCat 17:00:00" in page["wallets"]
    assert "unavailable: node-1: Connection refused" in page["chains"]
    assert f"{sum(report.chains['ethereum'].unread.values())} unread" in page["chains"]


async def test_bounds_without_a_top_are_drawn_to_the_end(daemon: Daemon, chromium: Chromium) -> None:
    daemon.shows(await blind())
    daemon.report["exposure"]["hot_share"] = {"all": {"value": None, "low": "0", "high": None}, "ETH": {}}
    page = Shown(await chromium.dom(daemon.url))
    shares = ["all, by value: not known at all, limit 5 %, UNKNOWN", "ETH: not known at all, UNKNOWN"]
    assert page.labels == shares + COVERED_BY_NOBODY_KNOWS_WHAT
    assert page.html.count('style="left: 0%; width: 100%;"') == len(page.labels)


async def test_a_finding_that_is_back_inside_is_said_to_be_clearing(daemon: Daemon, chromium: Chromium) -> None:
    """A verdict is fine before its finding is over, and the page says both."""
    monitor = Monitor()
    await monitor.sees("14:59")
    daemon.shows(await monitor.sees("15:00"))
    page = Shown(await chromium.dom(daemon.url))
    assert page["verdict"] == "inside policy"
    assert page["why"].endswith("Not yet for long enough to call it over: hot-floor on eth-hot-1.")
    assert page["findings"].startswith("CLEARING")


def rows(page: Shown) -> list[str]:
    """The classes of each movement's row, in order."""
    _, _, section = page.html.partition('id="movements-section"')
    return re.findall(r'<li class="([^"]*)">', section.partition("</section>")[0])


async def test_nobody_is_told_that_nothing_moves_where_nobody_tells_movements(
    daemon: Daemon, chromium: Chromium
) -> None:
    daemon.shows(await quiet())
    assert "movements-section" in Shown(await chromium.dom(daemon.url)).hidden


async def test_a_cold_wallet_that_pays_is_seen_at_a_glance_and_pending_comes_first(
    daemon: Daemon, chromium: Chromium
) -> None:
    daemon.shows(await moved(THEFT, DEPOSIT))
    page = Shown(await chromium.dom(daemon.url))
    assert "movements-section" not in page.hidden
    assert rows(page) == ["pending cold-pays", "mined"]
    assert page["movements"] == (
        "pendingCOLD WALLET PAYSeth-vault-1 −1.200000000000000001 ETHcoldto 0xeeeeeeee…eeeeeeon ethereum, "
        "since 2026-11-20 08:12:00 UTC0x77777777…777777"
        "mineddeposits +1 ETHhotin block 492 of ethereum, since 2026-11-20 08:12:00 UTC0x55555555…555555"
    )
    assert f'title="{THEFT.transaction}"' in page.html


async def test_a_refill_out_of_cold_is_marked_and_a_payout_of_hot_is_not(daemon: Daemon, chromium: Chromium) -> None:
    refill = moving("0xrefill", Stage.MINED, {"eth-vault-1": -5 * 10**18, "eth-hot-1": 5 * 10**18})
    payout = moving("0xpayout", Stage.MINED, {"eth-hot-1": -3}, destinations=(Party("0xa", 2), Party("0xb", 1)))
    daemon.shows(await moved(refill, payout))
    page = Shown(await chromium.dom(daemon.url))
    assert rows(page) == ["mined cold-pays", "mined"]
    assert page["movements"].count("COLD WALLET PAYS") == 1
    assert "eth-vault-1 −5 ETHcoldeth-hot-1 +5 ETHhot" in page["movements"]
    assert "eth-hot-1 −0.000000000000000003 ETHhotto 0xa and others" in page["movements"]


async def test_what_was_replaced_is_struck_and_names_its_successor(daemon: Daemon, chromium: Chromium) -> None:
    daemon.shows(await moved(moving("0xold", Stage.REPLACED, {"eth-hot-1": -1}, replaced_by="0xnew")))
    page = Shown(await chromium.dom(daemon.url))
    assert "replaced by 0xnew" in page["movements"]
    assert page.html.count("what n gone") == 1


async def test_coverage_is_shown_when_there_is_any(daemon: Daemon, chromium: Chromium) -> None:
    daemon.shows(await quiet())
    daemon.report["coverage"] = {
        "guarantee": {"ETH": {"value": "1.2107", "low": "1.2107", "high": "1.2107"}},
        "backing": {"ETH": {"value": None, "low": "0.2", "high": "1.1"}},
        "reserve": {"fund": {"value": "1", "low": "1", "high": "1"}},
    }
    page = Shown(await chromium.dom(daemon.url))
    assert page.labels[-3:] == [
        "guarantee ETH: 121.07 %, no limit",
        "backing ETH: between 20 % and 110 %, UNKNOWN",
        "reserve fund: 100 %, no limit",
    ]


async def test_coverage_stands_beside_its_limit_and_where_nothing_is_asked_for_there_is_no_bar(
    daemon: Daemon, chromium: Chromium
) -> None:
    daemon.shows(await quiet())
    nothing, some = ({"value": text, "low": text, "high": text} for text in ("0", "3"))
    empty = {"value": None, "low": None, "high": None}
    daemon.report["coverage"] = {
        "guarantee": {
            "ETH": {**nothing, "part": nothing, "whole": some},
            "XEM": {**nothing, "part": nothing, "whole": some},
            "BTC": {**empty, "part": nothing, "whole": nothing},
        },
        "reserve": {"jp/reserve": {"value": "1.25", "low": "1.25", "high": "1.25"}},
    }
    daemon.report["verdicts"] += [
        {"alert": "PyrometerGuaranteeShort", "subject": "XEM", "policy": "jp/g", "verdict": "breach", "limit": "1"},
        {"alert": "PyrometerReserveShort", "subject": "all", "policy": "jp/reserve", "verdict": "ok", "limit": "1"},
    ]
    page = Shown(await chromium.dom(daemon.url))
    assert [label for label in page.labels if label.startswith(("guarantee", "backing", "reserve"))] == [
        "guarantee XEM: 0 %, limit 100 %, BREACH",
        "reserve jp/reserve: 125 %, limit 100 %, covered",
    ]


async def test_what_must_come_from_outside_is_said_so(daemon: Daemon, chromium: Chromium) -> None:
    daemon.shows(await over())
    daemon.report["findings"][0]["moves"] = [
        {"wallet": "", "asset": "JPY", "amount": "5", "direction": "in", "counterpart": "reserve fund"}
    ]
    assert "Move 5 JPY from outside to reserve fund" in Shown(await chromium.dom(daemon.url))["findings"]


async def test_a_wallet_without_a_price_is_not_worth_nothing(daemon: Daemon, chromium: Chromium) -> None:
    daemon.shows(await quiet())
    daemon.report["wallets"]["eth-warm-1"]["holdings"]["ETH"]["value"] = None
    assert "eth-warm-11,600 ETHno price" in Shown(await chromium.dom(daemon.url))["wallets"]


async def test_a_picture_that_nothing_judges_is_no_all_clear(daemon: Daemon, chromium: Chromium) -> None:
    daemon.shows(await quiet())
    daemon.report |= {"verdicts": [], "verdict": "ok"}
    page = Shown(await chromium.dom(daemon.url))
    assert (page["verdict"], page["why"]) == ("UNKNOWN", "No rule judges anything.")


async def test_names_are_text_and_never_markup(daemon: Daemon, chromium: Chromium) -> None:
    daemon.shows(await quiet())
    daemon.report["entity"] = "<img src=x onerror=alert(1)>"
    daemon.report["wallets"]["<b>bold</b>"] = daemon.report["wallets"]["eth-warm-1"]
    page = Shown(await chromium.dom(daemon.url))
    assert page["entity"] == "<img src=x onerror=alert(1)>"
    assert "<b>bold</b>" in page["wallets"]
    assert daemon.other_paths == []


async def test_a_picture_that_stands_still_goes_stale(daemon: Daemon, chromium: Chromium) -> None:
    """The daemon answers, with the same old picture: the page does not look alive."""
    daemon.shows(await quiet())
    daemon.frozen = True
    page = Shown(await chromium.dom(daemon.url, passed=LONG_ENOUGH_TO_BE_OLD))
    assert (page["verdict"], page.body) == ("STANDING STILL", "stale ok")
    assert "No newer picture since 2026-11-20 08:12:00 UTC" in page["alarm"]
    assert page["why"] == "It was: inside policy. What it is now, nobody here knows."
    assert "alarm" not in page.hidden


async def test_a_picture_that_moves_stays_live_as_long(daemon: Daemon, chromium: Chromium) -> None:
    daemon.shows(await quiet())
    page = Shown(await chromium.dom(daemon.url, passed=LONG_ENOUGH_TO_BE_OLD))
    assert (page["verdict"], page.body) == ("inside policy", "ok")
    assert daemon.asked > 10


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (lambda: web.json_response({"detail": "nothing was judged yet"}, status=503), "nothing was judged yet"),
        (lambda: web.Response(status=502, text="<html>"), "the daemon answers 502"),
        (lambda: web.json_response({"at": None}), "the daemon answers something that is no report"),
    ],
)
async def test_a_failing_daemon_makes_the_page_stale_at_once(
    failure: Callable[[], web.Response], reason: str, daemon: Daemon, chromium: Chromium
) -> None:
    """What was shown stays readable, struck out, and says since when."""
    daemon.shows(await quiet())
    daemon.fails_after, daemon.failure = 1, failure
    page = Shown(await chromium.dom(daemon.url, passed=2500))
    assert (page["verdict"], page.body) == ("NO ANSWER", "stale ok")
    assert page["alarm"].startswith("No answer since 2026-11-20 08:12:01 UTC")
    assert reason in page["alarm"]
    assert "3.43 %" in page["shares"]


async def test_a_daemon_that_never_answered_shows_no_picture(daemon: Daemon, chromium: Chromium) -> None:
    daemon.fails_after = 0
    page = Shown(await chromium.dom(daemon.url))
    assert (page["verdict"], page.body) == ("no answer", "waiting")
    assert page["alarm"] == "No answer yet: the daemon answers 500."
    assert page["shares"] == ""


async def test_a_daemon_that_wants_a_token_is_asked_with_one(daemon: Daemon, chromium: Chromium) -> None:
    daemon.shows(await quiet())
    daemon.token = "r-token"
    refused = Shown(await chromium.dom(daemon.url))
    assert "token-form" not in refused.hidden
    assert "a bearer token" in refused["alarm"]
    assert refused["entity"] == "…"
    admitted = Shown(await chromium.dom(f"{daemon.url}with-token"))
    assert "token-form" in admitted.hidden
    assert admitted["entity"] == "Example Exchange KK"


async def test_the_page_recovers_when_answers_come_again(daemon: Daemon, chromium: Chromium) -> None:
    daemon.shows(await quiet())
    later = daemon.report | {"at": "2026-11-20T08:13:00Z"}
    daemon.fails_after = 1
    daemon.failure = lambda: web.Response(status=502) if daemon.asked < 4 else web.json_response(later)
    page = Shown(await chromium.dom(daemon.url, passed=6000))
    assert (page["verdict"], page.body) == ("inside policy", "ok")
    assert "alarm" in page.hidden


async def test_the_page_asks_for_nothing_but_its_own_files_and_the_report(daemon: Daemon, chromium: Chromium) -> None:
    """And those it finds under the strict content policy that the API sends."""
    daemon.shows(await quiet())
    html = await chromium.dom(daemon.url)
    assert daemon.other_paths == []
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", html)


def test_no_file_has_inline_script_or_style_or_a_foreign_address() -> None:
    for file in ROUTES.values():
        text = file.body().decode()
        assert not re.search(r"https?://|<style|\son\w+=|style=", text), file.name
    assert "'unsafe-inline'" not in HEADERS["Content-Security-Policy"]


async def test_what_changes_is_announced(daemon: Daemon, chromium: Chromium) -> None:
    """The answer is a live region, the alarm an alert."""
    daemon.shows(await quiet())
    html = await chromium.dom(daemon.url)
    assert re.search(r'id="answer"[^>]*aria-live="polite"', html)
    assert re.search(r'id="alarm"[^>]*role="alert"', html)


@pytest.mark.parametrize("width", [390, 1100])
async def test_it_fits_a_phone_and_a_desk_in_light_and_dark(
    width: int, daemon: Daemon, chromium: Chromium, tmp_path: Path
) -> None:
    """The paper is light or dark as the reader prefers, and the dark one is really dark."""
    daemon.shows(await over())
    corners = []
    for scheme in ("light", "dark"):
        picture = tmp_path / f"{scheme}.png"
        await chromium.screenshot(daemon.url, to=picture, size=(width, 900), scheme=scheme)
        size, corner = first_pixel(picture)
        assert size == (width, 900)
        corners.append(sum(corner) / 3)
    assert corners[0] > 230
    assert corners[1] < 40


async def busy() -> Report:
    return await moved(THEFT, DEPOSIT)


@pytest.mark.parametrize("report", [quiet, over, blind, busy], ids=["ok", "breach", "unknown", "moving"])
async def test_nothing_is_wider_than_a_phone(
    report: Callable[[], Awaitable[Report]], daemon: Daemon, chromium: Chromium
) -> None:
    """Measured by the browser itself: there is nothing to scroll to sideways."""
    daemon.shows(await report())
    measured = re.search(r"<title>(\d+) of (\d+)</title>", await chromium.dom(f"{daemon.url}phone", passed=3000))
    assert measured is not None
    assert measured[1] == measured[2]
    assert daemon.asked > 0


def first_pixel(picture: Path) -> tuple[tuple[int, int], tuple[int, int, int]]:
    """Size and upper left pixel of an 8-bit RGB or RGBA PNG (W3C PNG specification, 5.3 and 7)."""
    raw = picture.read_bytes()
    width, height = struct.unpack(">II", raw[16:24])
    data, place = b"", 8
    while place < len(raw):
        length, kind = struct.unpack(">I4s", raw[place : place + 8])
        data += raw[place + 8 : place + 8 + length] if kind == b"IDAT" else b""
        place += length + 12
    row = zlib.decompress(data)
    return (width, height), (row[1], row[2], row[3])
