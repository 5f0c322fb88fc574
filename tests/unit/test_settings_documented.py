"""The example and the documentation hold every key with its default, and nothing that is not a key."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import get_args

import pytest
import yaml
from eth_utils.address import is_checksum_address
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from connectors.bitcoin.config import BitcoinConfig, BitcoinNodeConfig, ElectrumConfig
from connectors.config import EndpointConfig, NamedUrl, format_duration, parse_duration
from connectors.evm.config import EvmConfig
from connectors.nem.config import NemConfig
from connectors.symbol.config import SymbolConfig
from daemon import settings as models
from daemon.allowlist import DestinationConfig
from daemon.api.config import ApiConfig
from daemon.classify import Classification
from daemon.document import Document, Keys, read
from daemon.emit.config import MqttConfig, TlsConfig
from daemon.errors import ConfigError
from daemon.feeds import reserves
from daemon.feeds.approvals import Approving, HttpApprovals, MqttApprovals, SqlApprovals
from daemon.feeds.chainlink import ChainlinkPrices
from daemon.feeds.coingecko import CoinGeckoPrices
from daemon.feeds.config import AnyFeed, FeedsConfig, QuotesConfig
from daemon.feeds.custodians import Attestation, HttpCustodian
from daemon.feeds.file import FileSource
from daemon.feeds.fixed import FixedPrices
from daemon.feeds.http import HttpSource
from daemon.feeds.liabilities import HttpLiabilities, Ledger
from daemon.feeds.mqtt import MqttSource
from daemon.feeds.prices import HttpPrices
from daemon.feeds.quoted import QuoteSource
from daemon.feeds.source import SourceConfig
from daemon.feeds.sql import SqlSource
from daemon.history.config import HistoryConfig, ReportConfig
from daemon.model import Tier
from daemon.policy import RuleConfig
from daemon.policy.calendars import Calendar
from daemon.policy.hot_share import SmallLimit
from daemon.policy.overrides import PresetUse
from daemon.policy.presets import Needed, Preset
from daemon.policy.remedies import Remedy
from daemon.policy.rule import Rule
from daemon.policy.schedule import Schedule
from daemon.reload import load_whole
from daemon.settings import Settings, load, schema
from daemon.tokens import TokenConfig
from tests.build import evm

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config" / "pyrometer.example.yaml"
DOCUMENTATION = (ROOT / "docs" / "configuration.md").read_text()
RULES: tuple[type[BaseModel], ...] = get_args(get_args(RuleConfig)[0])
KINDS = {str(get_args(rule.model_fields["kind"].annotation)[0]): rule for rule in RULES}

PARTS: dict[str, type[BaseModel]] = {"limit_when_small": SmallLimit}
"""What stands under a key of a rule, whatever its kind."""

COMMON: dict[str, type[BaseModel] | None] = {
    "schedule": Schedule,
    "remedies": Remedy,
    "calendar": Calendar,
    "closes": None,
}
"""Keys that mean the same in every rule, and what stands under them."""

ASKED = {"required[].": Needed}
"""What stands under a key of a preset."""

MODELS: dict[str, type[BaseModel]] = {
    "": Settings,
    "chains.<name>.": EvmConfig,
    "chains.<name>.endpoints[].": EndpointConfig,
    "chains.<bitcoin>.": BitcoinConfig,
    "chains.<bitcoin>.node.": BitcoinNodeConfig,
    "chains.<bitcoin>.electrum[].": ElectrumConfig,
    "chains.<bitcoin>.esplora[].": EndpointConfig,
    "chains.<nem>.": NemConfig,
    "chains.<nem>.endpoints[].": EndpointConfig,
    "chains.<symbol>.": SymbolConfig,
    "chains.<symbol>.endpoints[].": EndpointConfig,
    "assets.<name>.": models.AssetConfig,
    "assets.<name>.tokens[].": models.TokenConfig,
    "wallets.<name>.": models.WalletConfig,
    "wallets.<name>.expected.": models.ExpectedControl,
    "destinations.<name>.": DestinationConfig,
    "classification.": Classification,
    "feeds.": FeedsConfig,
    "feeds.quotes.": QuotesConfig,
    "feeds.reserves.": reserves.ReservesConfig,
    "feeds.reserves.insurance[].": reserves.InsuranceConfig,
    "alertmanager.": models.AlertmanagerConfig,
    "alertmanager.endpoints[].": NamedUrl,
    "mqtt.": MqttConfig,
    "mqtt.tls.": TlsConfig,
    "api.": ApiConfig,
    "history.": HistoryConfig,
    "report.": ReportConfig,
    "log.": models.LogConfig,
}
"""Where in the configuration each model stands, in the words of the documentation."""


SOURCES: dict[str, tuple[type[BaseModel], ...]] = {
    "feeds.<source>.": (SourceConfig,),
    "feeds.<http>.": (NamedUrl, HttpSource),
    "feeds.<file>.": (FileSource,),
    "feeds.<sql>.": (SqlSource,),
    "feeds.<mqtt>.": (MqttSource,),
    "feeds.prices[].": (QuoteSource,),
    "feeds.prices[fixed].": (FixedPrices,),
    "feeds.prices[http].": (HttpPrices,),
    "feeds.prices[coingecko].": (CoinGeckoPrices,),
    "feeds.prices[chainlink].": (ChainlinkPrices,),
    "feeds.liabilities[].": (Ledger,),
    "feeds.liabilities[http].": (HttpLiabilities,),
    "feeds.custodians[].": (Attestation,),
    "feeds.custodians[http].": (HttpCustodian,),
    "feeds.reserves.fund[http].": (reserves.HttpMoney,),
    "feeds.volume[sql].": (reserves.SqlMoney,),
    "feeds.approvals[].": (Approving,),
    "feeds.approvals[http].": (HttpApprovals,),
    "feeds.approvals[sql].": (SqlApprovals,),
    "feeds.approvals[mqtt].": (MqttApprovals,),
}
"""Where the keys stand that these models of sources add to those that they are made of."""

FEEDS: tuple[type[BaseModel], ...] = tuple(
    model for part in get_args(AnyFeed) for model in (get_args(get_args(part)[0]) if get_args(part) else (part,))
)


def own(*models: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields that the models themselves define; a source is never called after its host."""
    fields = {
        name: model.model_fields[name] for model in models for name in model.__annotations__ if name != "model_config"
    }
    if models[0] is NamedUrl:
        del fields["name"]
    return fields


SECTIONS: dict[str, Mapping[str, FieldInfo]] = {
    **{prefix: model.model_fields for prefix, model in MODELS.items()},
    **{prefix: own(*models) for prefix, models in SOURCES.items()},
}

LOOKED_AT: tuple[type[BaseModel], ...] = (*RULES, *PARTS.values(), *filter(None, COMMON.values()), PresetUse)


def default_of(field: FieldInfo, *, name: str, kind: str = "") -> str:
    """The default as it is written; "" where there is none to write."""
    default = field.get_default()
    if name == "name" and kind:
        return kind.replace("_", "-")
    if field.is_required() or isinstance(default, BaseModel) or default in (None, "", (), {}):
        return ""
    if isinstance(default, timedelta):
        return format_duration(default)
    if isinstance(default, bool):
        return str(default).lower()  # as YAML writes it
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    return as_text(default)


def as_text(value: object) -> str:
    """A value as it is written, a list by its items."""
    if isinstance(value, tuple | list):
        return ", ".join(map(as_text, value))
    return value.value if isinstance(value, StrEnum) else str(value)


def fields_of(kind: str) -> dict[str, FieldInfo]:
    """Every key of a kind of rule, those of its parts included."""
    own = {name: field for name, field in KINDS[kind].model_fields.items() if name not in COMMON}
    return own | {
        f"{key}.{name}": field for key, part in PARTS.items() if key in own for name, field in part.model_fields.items()
    }


def same(written: str, default: str) -> bool:
    """Whether two texts mean one value: `60s` is as good as `1m`."""
    if default in ("true", "false"):
        return written.lower() == default
    if re.fullmatch(r"\d+(ms|s|m|h|d)", written) and re.fullmatch(r"\d+(ms|s|m|h|d)", default):
        return parse_duration(written) == parse_duration(default)
    return written == default


# The documentation.


@dataclass(frozen=True)
class Row:
    key: str
    default: str
    meaning: str


def rows(text: str) -> Iterator[Row]:
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 3:
            yield Row(cells[0].strip("`"), cells[1], cells[2])


def chapter(title: str) -> str:
    """The text from a heading to the next one."""
    _, _, rest = DOCUMENTATION.partition(f"\n{title}\n")
    assert rest, f"no heading {title}"
    return re.split(r"\n#+ ", rest, maxsplit=1)[0]


def check(row: Row, field: FieldInfo, *, default: str) -> None:
    assert row.meaning
    if field.is_required():
        assert row.default == "required", row.key
    elif default:
        assert row.default == f"`{default}`", row.key
    else:
        assert row.default
        assert row.default != "required", row.key


OUTSIDE_THE_RULES = {row.key: row for row in rows(DOCUMENTATION) if not row.key.startswith("policies[]")}


@pytest.mark.parametrize("prefix", SECTIONS)
def test_every_key_is_documented_with_its_default(prefix: str) -> None:
    for name, field in SECTIONS[prefix].items():
        check(OUTSIDE_THE_RULES[prefix + name], field, default=default_of(field, name=name))


@pytest.mark.parametrize("kind", KINDS)
def test_every_rule_is_documented_with_all_its_keys(kind: str) -> None:
    found = {row.key.removeprefix("policies[]."): row for row in rows(chapter(f"### `{kind}`"))}
    assert found.keys() == fields_of(kind).keys()
    for name, field in fields_of(kind).items():
        check(found[name], field, default=default_of(field, name=name, kind=kind))


def common() -> dict[str, FieldInfo]:
    """The keys of every rule that mean the same, by their places."""
    found: dict[str, FieldInfo] = {}
    for key, part in COMMON.items():
        found[key] = Rule.model_fields[key]
        below = f"{key}[]" if key == "remedies" else key
        found |= {f"{below}.{name}": field for name, field in (part.model_fields if part else {}).items()}
    return found


@pytest.mark.parametrize("title", ["Keys of every rule", "Presets"])
def test_keys_of_all_rules_and_of_presets_in_use_are_documented(title: str) -> None:
    keys = common() if title != "Presets" else dict(PresetUse.model_fields)
    written = {row.key: row for row in rows(chapter(f"### {title}")) if row.key.startswith("policies[].")}
    assert written.keys() == {f"policies[].{name}" for name in keys}
    for name, field in keys.items():
        check(written[f"policies[].{name}"], field, default="" if name == "rules" else default_of(field, name=name))


def test_nothing_is_documented_that_is_not_a_key() -> None:
    keys = {prefix + name for prefix, fields in SECTIONS.items() for name in fields}
    keys |= {f"[].{name}" for name in TokenConfig.model_fields} | set(Preset.model_fields)
    keys |= {prefix + name for prefix, model in ASKED.items() for name in model.model_fields}
    assert OUTSIDE_THE_RULES.keys() == keys


def test_every_model_of_the_schema_is_looked_at() -> None:
    looked_at = {model.__name__ for model in (*MODELS.values(), *FEEDS, *LOOKED_AT)} - {"Settings"}
    found = {name for name, value in schema()["$defs"].items() if value.get("type") == "object"}
    assert {name.rpartition("__")[2] for name in found} == looked_at


def test_every_key_of_a_source_is_looked_at() -> None:
    documented = {model for models in SOURCES.values() for model in models}
    parts = {part for feed in FEEDS for part in feed.__mro__ if issubclass(part, BaseModel) and part.__annotations__}
    assert {part for part in parts if set(part.__annotations__) - {"model_config"}} - {BaseModel} == documented


def test_the_short_example_of_the_documentation_loads(tmp_path: Path) -> None:
    block = re.search(r"```yaml\n(entity:.*?)```", DOCUMENTATION, re.DOTALL)
    assert block
    (tmp_path / "p.yaml").write_text(block[1])
    loaded = load(tmp_path / "p.yaml", env={"ETH_RPC": "http://127.0.0.1:8545"})
    assert loaded.warnings() == ()


# The example.


@pytest.fixture(scope="module")
def uncommented(tmp_path_factory: pytest.TempPathFactory) -> Document:
    """The example with its keys behind a `#` brought in, which no one file could have all at once."""
    text = re.sub(r"^( *)# ([a-z0-9_]+: [^ ])", r"\1\2", EXAMPLE.read_text(), flags=re.MULTILINE)
    path = tmp_path_factory.mktemp("example") / "all.yaml"
    path.write_text(text)
    return read(path)


def standing_at(document: Document, prefix: str) -> list[Keys]:
    """Every place in the document that a prefix of the documentation may mean."""
    among = re.fullmatch(r"feeds\.<(\w+)>\.", prefix)
    if among:
        return [at for at in _sources(document) if among[1] in ("source", document.at((*at, "kind")))]
    pattern = re.sub(r"\[(\w*)\]", r".<item>\1", prefix.removesuffix(".")).split(".") if prefix else []
    places: list[Keys] = [()]
    for part in pattern:
        places = [
            (*keys, step)
            for keys in places
            for step in _steps(document, keys=keys)
            if (
                part.startswith("<item>")
                and isinstance(step, int)
                and _of_kind(part, document.at((*keys, step, "kind")))
            )
            or part in ("<name>", f"<{step}>", step)
        ]
    return places


def _of_kind(part: str, kind: object) -> bool:
    return part in ("<item>", f"<item>{kind}")


def _sources(document: Document) -> list[Keys]:
    return [keys[:-1] for keys in document.places if keys[:1] == ("feeds",) and keys[-1] == "kind"]


def _steps(document: Document, *, keys: Keys) -> list[str | int]:
    value = document.at(keys)
    return list(range(len(value))) if isinstance(value, list) else list(value or ()) if isinstance(value, dict) else []


def holds(document: Document, places: list[Keys], *, name: str, default: str) -> None:
    """`name` stands at one of the places, as its default or on a line that says `default: ...`."""
    found = [(*keys, name) for keys in places if (*keys, name) in document.places]
    assert found, f"{name} is missing"
    lines = document.path.read_text().splitlines()
    if default:
        assert any(
            same(as_text(document.at(keys)), default) or f"default: {default}" in lines[document.line(keys) - 1]
            for keys in found
        ), f"{name}: {default}"


def test_the_example_loads_and_nothing_of_it_is_worth_a_warning() -> None:
    assert list(load(EXAMPLE, env={}).warnings()) == []


@pytest.mark.parametrize("prefix", SECTIONS)
def test_the_example_has_every_key_with_its_default(prefix: str, uncommented: Document) -> None:
    places = standing_at(uncommented, prefix)
    for name, field in SECTIONS[prefix].items():
        holds(uncommented, places, name=name, default=default_of(field, name=name))


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_has_every_rule_with_all_its_keys(kind: str, uncommented: Document) -> None:
    places = [keys for keys in standing_at(uncommented, "policies[].") if uncommented.at((*keys, "kind")) == kind]
    for name, field in KINDS[kind].model_fields.items():
        if name in COMMON:
            continue
        default = default_of(field, name=name, kind=kind)
        holds(uncommented, places, name=name, default="the kind with hyphens" if name == "name" else default)
    for key, part in PARTS.items():
        for name, field in part.model_fields.items() if key in KINDS[kind].model_fields else ():
            within = [(*keys, key) for keys in places]
            holds(uncommented, within, name=name, default=default_of(field, name=name))


def test_the_example_has_a_preset_that_differs_and_the_keys_of_every_rule(uncommented: Document) -> None:
    places = standing_at(uncommented, "policies[].")
    for name in (*COMMON, *PresetUse.model_fields):
        holds(uncommented, places, name=name, default="")
    for key, part in COMMON.items():
        within = standing_at(uncommented, f"policies[].{key}{'[]' if key == 'remedies' else ''}.")
        for name, field in (part.model_fields if part else {}).items():
            holds(uncommented, within, name=name, default=default_of(field, name=name))


def test_the_example_means_the_same_to_other_readers_of_yaml() -> None:
    assert yaml.safe_load(EXAMPLE.read_text()).keys() <= Settings.model_fields.keys()


def test_every_key_of_the_example_is_explained_where_it_first_stands() -> None:
    keys = {name for fields in SECTIONS.values() for name in fields}
    keys |= {name for model in LOOKED_AT for name in model.model_fields}
    explained: set[str] = set()
    for line in EXAMPLE.read_text().splitlines():
        key = re.match(r" *(?:- )?(?:# )?([a-z0-9_]+):(?: |$)", line)
        if key and key[1] in keys - explained:
            assert re.search(r"\S +# \S", line), line
            explained.add(key[1])
    assert explained == keys


# The other configurations that come along.


LIVE = ROOT / "config" / "mainnet.yaml"
NODES = {
    "ETH_RPC": "https://eth.example/key",
    "BTC_NODE": "http://user:password@127.0.0.1:8332",
    "LTC_ELECTRUM": "ssl://electrum.example",
    "DOGE_ELECTRUM": "ssl://other.example:50002",
}


def test_the_live_example_names_its_nodes_in_the_environment() -> None:
    loaded = load(LIVE, env=NODES)
    assert evm(loaded).endpoints[0].url.get_secret_value() == "https://eth.example/key"
    assert {wallet.tier for wallet in loaded.wallets.values()} == {Tier.HOT, Tier.COLD}
    assert all(f"{name}=" in LIVE.read_text() for name in NODES)


@pytest.mark.parametrize("missing", sorted(NODES))
def test_the_live_example_says_which_node_is_missing(missing: str) -> None:
    with pytest.raises(ConfigError, match=missing):
        load(LIVE, env={name: url for name, url in NODES.items() if name != missing})


def test_every_wallet_of_the_live_example_is_watched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    watches = load_whole(LIVE, env=NODES, now=datetime(2026, 11, 23, tzinfo=UTC)).setup.inventory.watches
    watched = {chain: len(watch.accounts) for chain, watch in watches.items()}
    assert watched == {"ethereum": 4, "bitcoin": 3, "litecoin": 2, "dogecoin": 1}


def test_addresses_of_the_live_example_carry_their_checksum() -> None:
    """Those of Bitcoin's family have one in any case."""
    loaded = load(LIVE, env=NODES)
    on_ethereum = [wallet for wallet in loaded.wallets.values() if wallet.chain == "ethereum"]
    addresses = [address for wallet in on_ethereum for address in wallet.addresses]
    contracts = [token.contract for asset in loaded.assets.values() for token in asset.tokens if token.contract]
    assert len(addresses) == 4
    assert [each for each in (*addresses, *contracts) if not is_checksum_address(each)] == []


@pytest.mark.parametrize("folder", ["config", "config/policies"])
def test_configurations_and_presets_travel_with_the_package(folder: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = [pattern for files in project["tool"]["setuptools"]["data-files"].values() for pattern in files]
    assert f"{folder}/*.yaml" in patterns
