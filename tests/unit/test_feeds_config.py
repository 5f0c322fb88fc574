"""The feeds section: what sources are called, what their answers are held to, what is warned of and never shown."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from connectors import strictjson
from daemon.app import utc_now
from daemon.errors import ConfigError
from daemon.feeds.approvals import FileApprovals
from daemon.feeds.asking import asked
from daemon.feeds.book import FeedBook
from daemon.feeds.checking import Expected
from daemon.feeds.config import FeedsConfig
from daemon.feeds.source import SUM
from daemon.feeds.values import Answer, FeedKind
from daemon.feeds.worker import ask_all
from daemon.reload import load_whole
from daemon.settings import load, redacted

GOOD = (Path(__file__).parents[1] / "data" / "good.yaml").read_text()
FILE = {"kind": "file", "path": "a.csv"}
DECIMALS = {"BTC": 8, "ETH": 18}


def sources(**section: object) -> FeedsConfig:
    return FeedsConfig.model_validate(section)


def expected(config: FeedsConfig) -> list[Expected]:
    """What the answers of each source are held to."""
    return [one.expected for one in asked(config, decimals=DECIMALS, currency="JPY", chains={})]


def test_a_source_is_called_as_its_kind_and_numbered_where_there_are_several() -> None:
    config = sources(liabilities=[FILE, {**FILE, "name": "main"}, FILE], volume=[FILE])
    found = [(source.feed, source.name, source.keys) for source in config.sources]
    assert found == [
        (FeedKind.LIABILITIES, "file-1", ("feeds", "liabilities", 0)),
        (FeedKind.LIABILITIES, "main", ("feeds", "liabilities", 1)),
        (FeedKind.LIABILITIES, "file-2", ("feeds", "liabilities", 2)),
        (FeedKind.VOLUME, "file", ("feeds", "volume", 0)),
    ]


def test_sums_in_the_configuration_are_no_sources() -> None:
    assert sources(volume="5 JPY", reserves={"fund": "5 JPY", "insurance": "5 JPY"}).sources == ()


def test_liabilities_speak_of_every_asset_unless_told_otherwise() -> None:
    config = sources(liabilities=[{**FILE, "ignore": ["JPY"]}, {**FILE, "assets": ["BTC"]}])
    every, one = expected(config)
    assert every.required == every.known == {"BTC", "ETH"}
    assert every.ignored == {"JPY"}
    assert one.required == one.known == {"BTC"}


def test_a_custodian_speaks_of_what_it_keeps_unless_told_otherwise() -> None:
    custodian = {**FILE, "custodian": "Vault", "tier": "cold"}
    config = sources(custodians=[custodian, {**custodian, "assets": ["BTC"]}])
    any_, one = expected(config)
    assert any_.known == {"BTC", "ETH"}
    assert not any_.required
    assert one.required == one.known == {"BTC"}


def test_rates_are_of_currencies_that_prices_are_in() -> None:
    config = sources(prices=[{**FILE, "currency": "USD"}], rates=[FILE])
    _, rates = expected(config)
    assert rates.known == {"USD"}
    assert rates.each_by_itself


async def test_a_rate_that_only_a_rule_needs_is_asked_for_and_taken(tmp_path: Path) -> None:
    """The rule of th-operator speaks of THB, and all prices are in JPY."""
    (tmp_path / "rates.yaml").write_text("prices: {THB: 4.5, EUR: 170}\n")
    feeds = (
        "feeds:\n  prices: [{kind: fixed, values: {ETH: 1}}]\n  rates: [{kind: file, path: rates.yaml, max_age: 1d}]\n"
    )
    (tmp_path / "p.yaml").write_text(f"{GOOD}{feeds}policies: [th-operator]\n")
    loaded = load_whole(tmp_path / "p.yaml", env={}, now=utc_now())
    book = FeedBook(loaded.setup.feeds)
    for source, said in await ask_all(loaded.asked, around=loaded.around(now=utc_now)):
        assert isinstance(said, Answer), said
        book.take(source, said, now=utc_now())
    found = book.look(utc_now())
    assert {name: rate.value.value for name, rate in found.rates.items()} == {"THB": Decimal("4.5")}
    assert found.sources[-1].causes == ("rate:THB",)


def test_a_sum_has_one_name() -> None:
    config = sources(reserves={"fund": [FILE]})
    assert expected(config)[0].required == {SUM}


def loaded(tmp_path: Path, feeds: str, *, env: dict[str, str] | None = None) -> tuple[tuple[str, ...], str]:
    """The warnings, and the configuration as it is shown."""
    (tmp_path / "p.yaml").write_text(f"{GOOD}feeds:\n{feeds}")
    settings = load(tmp_path / "p.yaml", env=env or {})
    return settings.warnings(), json.dumps(redacted(settings))


def test_an_asset_that_no_source_is_asked_the_price_of_is_warned_of(tmp_path: Path) -> None:
    warnings, _ = loaded(tmp_path, "  prices: []\n")
    assert any(warning.startswith("assets.ETH: has no price") for warning in warnings)


def test_a_source_that_answers_for_whatever_it_knows_is_trusted_to_know(tmp_path: Path) -> None:
    warnings, _ = loaded(tmp_path, '  prices: [{kind: http, url: "http://a", values: quotes}]\n')
    assert not any("has no price" in warning for warning in warnings)


def test_a_currency_without_a_rate_is_warned_of(tmp_path: Path) -> None:
    feeds = """
  prices:
    - {kind: coingecko, ids: {ETH: ethereum}, currency: USD}
    - {kind: coingecko, ids: {ETH: ethereum}, currency: EUR, name: other}
  rates: [{kind: fixed, values: {EUR: 170}}]
"""
    warnings, _ = loaded(tmp_path, feeds)
    assert "feeds.rates: no source is asked for USD, so that prices in it are unknown" in warnings


def test_more_quotes_wanted_than_there_are_sources_is_warned_of(tmp_path: Path) -> None:
    warnings, _ = loaded(tmp_path, "  prices: [{kind: fixed, values: {ETH: 1}}]\n  quotes: {at_least: 2}\n")
    assert "feeds.quotes: at_least: 2 sources are wanted for a price, found 1" in warnings


def test_a_source_of_approvals_that_may_be_silent_for_long_is_warned_of(tmp_path: Path) -> None:
    feeds = """
  approvals:
    - {kind: file, path: a.json, name: default}
    - {kind: file, path: a.json, name: short, max_age: 10m}
    - {kind: file, path: a.json, name: long, max_age: 1d}
"""
    warnings, _ = loaded(tmp_path, feeds)
    assert [warning for warning in warnings if warning.startswith("feeds.approvals")] == [
        "feeds.approvals[2]: max_age: while this source is silent, a payment that nobody approved goes unnoticed for "
        "1d; the default is 2m"
    ]


@pytest.mark.parametrize("never", ["null", "~", "0s", "never", "''"])
def test_no_source_of_approvals_is_without_an_age(tmp_path: Path, never: str) -> None:
    with pytest.raises(ConfigError, match="max_age"):
        loaded(tmp_path, f"  approvals: [{{kind: file, path: a.json, max_age: {never}}}]\n")
    config = FileApprovals.model_validate({"kind": "file", "path": "a.json"})
    assert config.max_age == timedelta(minutes=2)


def test_no_secret_of_a_source_is_shown(tmp_path: Path) -> None:
    (tmp_path / "broker").write_text("mqtt://u:hunter2@broker\n")
    feeds = """
  prices:
    - {kind: http, url: "https://u:hunter2@a/hunter2?k=hunter2", values: q, headers: {X-Key: hunter2, Y-Key: "${KEY}"}}
    - {kind: coingecko, ids: {ETH: ethereum}, headers: {x-cg-demo-api-key: "${KEY}"}}
  liabilities:
    - {kind: sql, url: "postgresql+asyncpg://u:${KEY}@db/x", query: select 1}
    - {kind: mqtt, url_file: broker}
"""
    _, shown = loaded(tmp_path, feeds, env={"KEY": "hunter2"})
    assert "hunter2" not in shown
    feeds_shown = json.loads(shown)["feeds"]
    assert feeds_shown["prices"][0]["url"] == "https://a/***"
    assert feeds_shown["prices"][0]["headers"] == {"X-Key": "***", "Y-Key": "***"}
    assert feeds_shown["liabilities"][0]["url"] == "postgresql+asyncpg://db/***"
    assert feeds_shown["liabilities"][1]["url"] == "mqtt://broker/***"


@pytest.mark.parametrize("body", [b'{"a": 1, "a": 1}', b'[{"a": {"b": 1, "b": 2}}]'])
def test_an_object_that_says_a_name_twice_is_refused_where_that_is_asked_for(body: bytes) -> None:
    strictjson.loads(body)
    with pytest.raises(ValueError, match="twice"):
        strictjson.loads(body, unique=True)
