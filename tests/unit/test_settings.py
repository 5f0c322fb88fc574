"""What a good configuration becomes: values, defaults, what is shown of it, and its schema."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr

from connectors import CONNECTORS
from connectors.config import masked
from daemon.api.config import ApiConfig
from daemon.database import masked_store
from daemon.errors import ConfigError
from daemon.feeds.book import FeedBook
from daemon.feeds.fixed import FixedPrices
from daemon.feeds.planning import planned
from daemon.interval import Interval
from daemon.model import Owner, Tier
from daemon.policy.hot_share import HotShare
from daemon.settings import DEFAULT_STORE, Settings, load, redacted, schema
from tests.build import evm

GOOD = (Path(__file__).parents[1] / "data" / "good.yaml").read_text()
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def settings(
    tmp_path: Path, *changes: tuple[str, str], more: str = "", env: Mapping[str, str] | None = None
) -> Settings:
    """The good file with every first text of a pair replaced by the second, and `more` at its end."""
    text = GOOD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "p.yaml").write_text(text + more)
    return load(tmp_path / "p.yaml", env=env or {})


def test_the_shortest_configuration_has_sensible_defaults(tmp_path: Path) -> None:
    loaded = settings(tmp_path)
    assert (loaded.entity, loaded.currency, loaded.store_url) == ("Example Exchange KK", "JPY", DEFAULT_STORE)
    assert loaded.wallets["eth-hot-1"].tier is Tier.HOT
    assert loaded.wallets["eth-hot-1"].owner is Owner.CUSTOMER
    assert (loaded.api.host, loaded.api.port, loaded.api.loopback) == ("127.0.0.1", 9517, True)
    assert (loaded.tick, loaded.unread_growth) == (timedelta(seconds=1), Decimal(1))
    assert (loaded.alertmanager, loaded.policies, loaded.feeds.prices, loaded.tokens) == (None, (), (), ())
    assert (loaded.log.level, loaded.log.format) == ("info", "console")


def test_a_limit_is_the_decimal_that_was_written(tmp_path: Path) -> None:
    loaded = settings(tmp_path, more="policies: [{kind: hot_share, limit: 0.05000000000000000000000000001}]\n")
    rule = dict(loaded.rules)["hot-share"]
    assert isinstance(rule, HotShare)
    assert rule.limit == Decimal("0.05000000000000000000000000001")


def test_underscores_group_digits(tmp_path: Path) -> None:
    more = "unread_growth: 1_000.5\nfeeds: {prices: [{kind: fixed, values: {ETH: 500_000.25 JPY}}]}\n"
    loaded = settings(tmp_path, ("chain_id: 1", "chain_id: 31_337"), more=more)
    assert evm(loaded).chain_id == 31_337
    assert loaded.unread_growth == Decimal("1000.5")
    (prices,) = loaded.feeds.prices
    assert isinstance(prices, FixedPrices)
    assert prices.values["ETH"].amount == Decimal("500000.25")


def test_a_chain_called_no_is_called_no(tmp_path: Path) -> None:
    assert list(settings(tmp_path, ("ethereum", "NO")).chains) == ["NO"]


def test_a_coin_may_be_called_like_a_secret(tmp_path: Path) -> None:
    loaded = settings(tmp_path, ("ETH:", "WIF:"), more="feeds: {prices: [{kind: fixed, values: {WIF: 1}}]}\n")
    assert list(loaded.assets) == ["WIF"]


@pytest.mark.parametrize("written", ["7", "7 JPY", "'7'"])
def test_fixed_prices_are_exact_and_always_current(tmp_path: Path, written: str) -> None:
    loaded = settings(tmp_path, more=f"feeds: {{prices: [{{kind: fixed, values: {{ETH: {written}}}}}]}}\n")
    price = FeedBook(planned(loaded.feeds, assets=loaded.assets, currency="JPY")).look(NOW).prices["ETH"]
    assert price.value == Interval.exactly(Decimal(7))
    assert (price.source, price.at) == ("fixed", NOW)


def test_numbers_and_words_may_come_from_the_environment(tmp_path: Path) -> None:
    loaded = settings(
        tmp_path,
        ("chain_id: 1", "chain_id: ${CHAIN}"),
        ("tier: hot", "tier: ${TIER}"),
        env={"CHAIN": "5", "TIER": "cold", "UNUSED": "12" * 32},
    )
    assert (evm(loaded).chain_id, loaded.wallets["eth-hot-1"].tier) == (5, Tier.COLD)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("https://eth.example/", "https://eth.example"),
        ("https://user:hunter2@eth.example:8545", "https://eth.example:8545/***"),
        ("https://eth.example/v3/hunter2", "https://eth.example/***"),
        ("https://eth.example?key=hunter2", "https://eth.example/***"),
        ("https://eth.example#hunter2", "https://eth.example/***"),
        ("http://user:hunter2@[::1]:8545", "http://[::1]:8545/***"),
    ],
)
def test_of_a_url_only_scheme_and_host_are_shown(tmp_path: Path, url: str, shown: str) -> None:
    loaded = settings(tmp_path, ("http://127.0.0.1:8545", url))
    assert redacted(loaded)["chains"]["ethereum"]["endpoints"][0]["url"] == shown == masked(SecretStr(url))
    assert "hunter2" not in json.dumps(redacted(loaded)) + repr(loaded) + str(loaded)
    assert evm(loaded).endpoints[0].url.get_secret_value() == url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite+aiosqlite:///pyrometer.db", "sqlite+aiosqlite:///pyrometer.db"),
        ("sqlite+aiosqlite:////var/lib/p.db?key=hunter2", "sqlite+aiosqlite:////var/lib/p.db"),
        ("sqlite+aiosqlite://", "sqlite+aiosqlite://"),
        ("postgresql+asyncpg://u:hunter2@db.internal:5432/p", "postgresql+asyncpg://db.internal:5432/***"),
        ("postgresql+asyncpg://u@/p?host=/run&password=hunter2", "postgresql+asyncpg:///***"),
        ("postgresql+asyncpg://u:p%40hunter2@[::1]/p", "postgresql+asyncpg://[::1]/***"),
    ],
)
def test_of_a_store_the_password_is_never_shown(tmp_path: Path, url: str, shown: str) -> None:
    (tmp_path / "p.yaml").write_text(GOOD + f"store: '{url}'\n")
    loaded = load(tmp_path / "p.yaml", env={}, importable=lambda module: True)
    assert redacted(loaded)["store"] == shown == masked_store(SecretStr(url))
    assert loaded.store_url == url
    assert "hunter2" not in json.dumps(redacted(loaded)) + repr(loaded)


def test_postgresql_needs_its_driver_and_sqlite_does_not(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(GOOD + "store: postgresql+asyncpg://db/p\n")
    with pytest.raises(ConfigError, match=r"p.yaml:15: store: needs asyncpg, .* it comes with pyrometer\[postgres\]$"):
        load(tmp_path / "p.yaml", env={}, importable=lambda module: module != "asyncpg")
    (tmp_path / "p.yaml").write_text(GOOD)
    load(tmp_path / "p.yaml", env={}, importable=lambda module: False)


def test_whatever_came_from_the_environment_is_hidden(tmp_path: Path) -> None:
    loaded = settings(
        tmp_path,
        ("http://127.0.0.1:8545", "${RPC}"),
        ("Example Exchange KK", "${ENTITY}"),
        ("chain_id: 1", "chain_id: ${CHAIN}"),
        more="alertmanager: {endpoints: [{url: 'http://${HOST}:9093', name: a}]}\nstore: ${STORE}\n",
        env={
            "RPC": "http://h:8545/hunter2",
            "ENTITY": "hunter2",
            "CHAIN": "77",
            "HOST": "alerts",
            "STORE": "sqlite+aiosqlite:///x.db",
        },
    )
    shown = redacted(loaded)
    assert (shown["entity"], shown["chains"]["ethereum"]["chain_id"]) == ("***", "***")
    assert shown["chains"]["ethereum"]["endpoints"][0]["url"] == "http://h:8545/***"
    assert shown["alertmanager"]["endpoints"][0]["url"] == "http://alerts:9093"
    assert shown["store"] == "sqlite+aiosqlite:///x.db"
    assert shown["currency"] == "JPY"
    assert "hunter2" not in json.dumps(shown)
    assert loaded.entity == "hunter2"


def test_what_is_shown_says_durations_and_decimals_as_they_are_written(tmp_path: Path) -> None:
    more = "tick: 1500ms\npolicies: [jp-psa, {kind: hot_share, limit: 0.050, hold: 90s}]\n"
    shown = redacted(settings(tmp_path, more=more))
    assert (shown["tick"], shown["unread_growth"]) == ("1500ms", "1.0")
    assert shown["policies"][0] == "jp-psa"
    assert (shown["policies"][1]["limit"], shown["policies"][1]["hold"], shown["policies"][1]["clear_after"]) == (
        "0.050",
        "90s",
        "1m",
    )


@pytest.mark.parametrize(
    ("listen", "host", "port", "loopback"),
    [
        ("127.0.0.1:0", "127.0.0.1", 0, True),
        ("127.9.9.9:1", "127.9.9.9", 1, True),
        ("[::1]:9517", "::1", 9517, True),
        ("localhost:80", "localhost", 80, True),
        ("0.0.0.0:80", "0.0.0.0", 80, False),
        ("[::]:80", "::", 80, False),
        ("[::ffff:10.0.0.1]:80", "::ffff:10.0.0.1", 80, False),
        ("localhost.example:80", "localhost.example", 80, False),
        ("127.0.0.1.example:80", "127.0.0.1.example", 80, False),
    ],
)
def test_loopback_is_told_from_the_rest(listen: str, host: str, port: int, loopback: bool) -> None:
    api = ApiConfig(listen=listen, tokens_file=Path("tokens.yaml"))
    assert (api.host, api.port, api.loopback) == (host, port, loopback)


def test_what_makes_the_daemon_blind_or_mute_is_warned_of(tmp_path: Path) -> None:
    other = "  second: {kind: evm, chain_id: 2, endpoints: ['http://h']}\nassets:"
    assert settings(tmp_path, ("assets:", other)).warnings() == (
        "assets.ETH: has no price, so that every sum of values is unknown while customers hold any",
        "chains.second: no wallet is on it, it is not read",
        "alertmanager: is not configured, nobody is told of findings",
    )


def test_a_kind_of_chain_that_tells_no_movements_is_warned_of_where_a_rule_needs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = settings(tmp_path, ("tier: hot", "tier: cold"), more="policies: [theft]\n")
    assert not [line for line in loaded.warnings() if "movements" in line]
    mute = replace(CONNECTORS["evm"], movements=False)
    monkeypatch.setattr("daemon.references.CONNECTORS", {**CONNECTORS, "evm": mute})
    (line,) = [line for line in loaded.warnings() if "movements" in line]
    assert line.endswith("movements of evm chains are not told, cold_moved can't see its cold wallets")


def test_a_whole_configuration_has_no_warnings(tmp_path: Path) -> None:
    more = "feeds: {prices: [{kind: fixed, values: {ETH: 1}}]}\nalertmanager: {endpoints: ['http://127.0.0.1:9093']}\n"
    assert settings(tmp_path, more=more).warnings() == ()


def test_settings_know_where_they_stand(tmp_path: Path) -> None:
    loaded = settings(tmp_path)
    assert loaded.where(("wallets", "eth-hot-1", "tier")) == f"{tmp_path}/p.yaml:13: wallets.eth-hot-1.tier"
    made = Settings.model_validate(json.loads(json.dumps({**redacted(loaded), "store": DEFAULT_STORE})))
    assert made.where(("wallets", "eth-hot-1", "tier")) == "wallets.eth-hot-1.tier"


def test_a_preset_of_ones_own_is_held_against_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "ours.yaml").write_text(
        "title: Ours\ncitation: none\nconfidence: low\n"
        "rules: [{kind: wallet_band, wallets: [gone], asset: ETH, floor: 1}]\n"
    )
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, more="policies: [ours]\n")
    missing = "no wallet is called 'gone'; expected eth-hot-1"
    assert str(caught.value) == f"{tmp_path}/p.yaml:15: policies[0]: ours/wallet-band: wallets[0]: {missing}"


def test_two_readings_of_one_file_are_equal(tmp_path: Path) -> None:
    assert settings(tmp_path) == settings(tmp_path)


def test_the_schema_has_every_key_with_its_meaning_and_default() -> None:
    made = schema()
    json.dumps(made)
    models = [made, *made["$defs"].values()]
    fields = [(name, value) for model in models for name, value in model.get("properties", {}).items()]
    assert {"entity", "chains", "endpoints", "url_file", "limit", "tokens_file"} <= {name for name, _ in fields}
    assert [name for name, value in fields if "description" not in value and "const" not in value] == []
    assert (made["properties"]["tick"]["default"], made["properties"]["store"]["default"]) == ("1s", DEFAULT_STORE)
    assert made["$defs"]["EvmConfig"]["properties"]["max_tip_age"]["default"] == "10m"
    assert made["additionalProperties"] is False


def test_the_schema_lets_a_bare_url_and_a_url_file_through() -> None:
    made = schema()
    endpoints = made["$defs"]["EvmConfig"]["properties"]["endpoints"]["items"]["anyOf"]
    assert {"type": "string"} in endpoints
    assert made["$defs"]["EndpointConfig"]["oneOf"] == [{"required": ["url"]}, {"required": ["url_file"]}]
