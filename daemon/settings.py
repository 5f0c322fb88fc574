"""The configuration: what may stand in the file, read with errors that say where, and shown without its secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    PrivateAttr,
    SecretStr,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema

from connectors import AnyChainConfig
from connectors.config import AN_INSTANT, Duration, Receiver, Strict, format_duration, is_http_url, told_apart
from daemon import references
from daemon.allowlist import DestinationConfig
from daemon.api.config import ApiConfig
from daemon.classify import Classification
from daemon.database import DRIVER_MISSING, DatabaseUrl, importable, lacks_driver, lacks_password, with_password
from daemon.diagnosis import explain, first_of
from daemon.document import Document, Keys, key_path, read
from daemon.emit.config import MqttConfig, Password
from daemon.feeds.config import FeedsConfig
from daemon.feeds.references import feed_warnings
from daemon.feeds.sql import SqlSource
from daemon.history.config import HistoryConfig, ReportConfig
from daemon.model import Owner, Tier
from daemon.needs import averaging_zones
from daemon.policy import RuleConfig, presets
from daemon.policy.overrides import PresetUse
from daemon.secret_files import with_secret_files
from daemon.tokens import ApiToken, load_tokens

DEFAULT_STORE = "sqlite+aiosqlite:///pyrometer.db"
DIGESTS = frozenset(("nemesis",))
"""Keys whose values are hashes of blocks, which look like private keys."""

MASKED_BY_ITSELF = ("url", "store", "password", "store_password")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError("expected a name of at most 64 letters, digits, dots, _ and -, the first a letter or digit")
    return text


Name = Annotated[str, AfterValidator(_name)]
"""Of a chain, an asset or a wallet: it becomes a metric label, a part of a topic and of a URL."""


class TokenConfig(Strict):
    """Where an asset lives."""

    chain: str = Field(description="name of a chain")
    contract: str | None = Field(None, description="address of the token's contract; default: the chain's native coin")
    decimals: int | None = Field(
        None, ge=0, le=77, description="decimals of a contract token; the native coin's stand with its chain"
    )

    @model_validator(mode="after")
    def _decimals_where_they_belong(self) -> TokenConfig:
        if self.contract is not None and self.decimals is None:
            raise ValueError("decimals is missing (decimals of the contract token)")
        if self.contract is None and self.decimals is not None:
            raise ValueError("decimals of a native coin belong to its chain; expected a contract, or no decimals")
        return self


class AssetConfig(Strict):
    """The economic thing a customer owns."""

    tokens: tuple[TokenConfig, ...] = Field(min_length=1, description="where it lives; an asset may have many")


GAP_LIMIT = 20  # of BIP-44
SOURCES = ("addresses", "addresses_file", "descriptor", "descriptors", "xpub")


class ExpectedControl(Strict):
    """Who is to control each account of a wallet; what is left out is not looked at. `none` says that there is none."""

    owners: tuple[str, ...] | None = Field(None, description="of a Safe: exactly these")
    threshold: int | None = Field(None, ge=1, description="how many must sign; on NEM and Symbol of the cosignatories")
    implementation: str | None = Field(None, description="of a proxy, or the singleton of a Safe")
    modules: tuple[str, ...] | None = Field(None, description="of a Safe: exactly these, [] for none")
    guard: str | None = Field(None, description="of a Safe; none for none")
    module_guard: str | None = Field(None, description="of a Safe since 1.5.0; none for none")
    fallback_handler: str | None = Field(None, description="of a Safe; none for none")
    admin: str | None = Field(None, description="of a proxy; none for none")
    delegate: str | None = Field(None, description="code that a plain account delegates to (EIP-7702); none for none")
    cosignatories: tuple[str, ...] | None = Field(None, description="on NEM and Symbol: exactly these")

    @model_validator(mode="after")
    def _can_be(self) -> ExpectedControl:
        signers = self.owners if self.owners is not None else self.cosignatories
        if signers is not None and self.threshold is not None and self.threshold > len(signers):
            raise ValueError(f"threshold: {self.threshold} of {len(signers)} can never sign")
        return self


class WalletConfig(Strict):
    """A named group of accounts on one chain."""

    chain: str = Field(description="name of a chain")
    tier: Tier = Field(description="hot: an online machine can sign; warm: online with a human quorum; cold: offline")
    owner: Owner = Field(
        Owner.CUSTOMER, description="customer, company, or guarantee: own assets set aside to back the hot part"
    )
    custodian: str | None = Field(None, max_length=200, description="who holds the keys, if somebody else")
    addresses: tuple[str, ...] = Field((), description="the accounts")
    addresses_file: Path | None = Field(None, description="instead: a file with one address a line")
    descriptor: str | None = Field(None, description="instead, on Bitcoin's family: an output descriptor")
    descriptors: tuple[str, ...] = Field((), description="instead: several output descriptors")
    xpub: str | None = Field(None, description="instead: an extended public key, short for the descriptor of its kind")
    quiet_since: date | None = Field(
        None, description="it has not spent anything since this day (UTC): what the rule `dormant` counts from at first"
    )
    expected: ExpectedControl | None = Field(None, description="who is to control each of its accounts; default: any")
    gap_limit: int = Field(
        GAP_LIMIT,
        ge=1,
        le=10_000,
        description="unused addresses in a row after which no further one of a descriptor is used",
    )

    @model_validator(mode="after")
    def _one_source(self) -> WalletConfig:
        given = [source for source in SOURCES if getattr(self, source)]
        if len(given) != 1:
            found = f"; found {' and '.join(given)}" if given else ""
            raise ValueError(f"expected its accounts under one of {', '.join(SOURCES)}{found}")
        if self.gap_limit != GAP_LIMIT and not self.has_descriptors:
            raise ValueError("gap_limit belongs to descriptors and xpub, not to addresses")
        return self

    @property
    def has_descriptors(self) -> bool:
        """Whether its accounts are descriptors, not addresses."""
        return bool(self.descriptor or self.descriptors or self.xpub)

    @property
    def inline(self) -> tuple[str, tuple[str, ...]]:
        """(key, texts) of the accounts that stand in the configuration itself; no texts when a file holds them."""
        single = next((key for key in ("descriptor", "xpub") if getattr(self, key) is not None), None)
        if single is not None:
            return single, (getattr(self, single),)
        return ("descriptors", self.descriptors) if self.descriptors else ("addresses", self.addresses)


class AlertmanagerConfig(Strict):
    """Where alerts go."""

    endpoints: tuple[Receiver, ...] = Field(min_length=1, description="every Alertmanager of the cluster")
    resend: Duration = Field(
        timedelta(minutes=1), gt=AN_INSTANT, description="how often a firing alert is sent; it lives five times that"
    )
    external_url: str | None = Field(None, description="URL of this daemon for the links in alerts; default: none")
    runbook_url: str | None = Field(None, description="URL under which people reach docs/alerts; default: none")

    @field_validator("endpoints")
    @classmethod
    def _told_apart(cls, value: tuple[Receiver, ...]) -> tuple[Receiver, ...]:
        told_apart([receiver.provider for receiver in value])
        return value

    @field_validator("external_url", "runbook_url")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        if value is not None and (not is_http_url(value) or "@" in value):
            raise ValueError("expected an http:// or https:// URL without credentials")
        return value


class LogConfig(Strict):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="the least that is logged")
    format: Literal["console", "json"] = Field("console", description="console: for people; json: one object a line")


def _policy_form(value: object) -> str:
    if isinstance(value, str):
        return "preset"
    changed = isinstance(value, PresetUse) or (isinstance(value, Mapping) and "preset" in value)
    return "changed" if changed else "rule"


Policy = Annotated[
    Annotated[str, Tag("preset")] | Annotated[PresetUse, Tag("changed")] | Annotated[RuleConfig, Tag("rule")],
    Discriminator(_policy_form),
]


class Settings(Strict):
    """The whole file. Made by `load`, it also knows its tokens, rules and places in the file."""

    entity: str = Field(min_length=1, max_length=200, description="the exchange, as alerts and reports call it")
    currency: str = Field(description="currency of all values, three to five capitals, such as JPY")
    store: DatabaseUrl = Field(
        SecretStr(DEFAULT_STORE), description="SQLAlchemy URL of the database, sqlite+aiosqlite or postgresql+asyncpg"
    )
    store_file: Path | None = Field(None, description="instead of `store`: a file that holds the URL")
    store_password: Password | None = Field(None, description="of the user that the URL names; never shown")
    store_password_file: Path | None = Field(None, description="instead of `store_password`: a file that holds it")
    chains: Mapping[Name, AnyChainConfig] = Field(min_length=1, description="the chains and their nodes")
    assets: Mapping[Name, AssetConfig] = Field(min_length=1, description="what customers own, and where it lives")
    wallets: Mapping[Name, WalletConfig] = Field(min_length=1, description="what is watched")
    destinations: Mapping[Name, DestinationConfig] = Field({}, description="whom wallets may pay beside each other")
    feeds: FeedsConfig = Field(FeedsConfig(), description="prices")
    policies: tuple[Policy, ...] = Field((), description="names of presets, and rules; the built-in ones always hold")
    classification: Classification = Field(Classification(), description="which tier wallets behave like")
    alertmanager: AlertmanagerConfig | None = Field(None, description="where alerts go; default: nowhere")
    mqtt: MqttConfig | None = Field(None, description="where states, findings and gates go; default: nowhere")
    api: ApiConfig = Field(ApiConfig(), description="the HTTP server")
    tick: Duration = Field(
        timedelta(seconds=1),
        gt=AN_INSTANT,
        le=timedelta(seconds=5),
        description="how often everything is judged when no block comes, at most 5s: 10s without look like death",
    )
    unread_growth: Decimal = Field(
        Decimal("1.0"),
        ge=0,
        le=1_000_000,
        description="an unread account holds at most its last value × (1 + this)",
    )
    history: HistoryConfig = Field(HistoryConfig(), description="how finely the past is kept, and for how long")
    report: ReportConfig = Field(ReportConfig(), description="when a day of the daily report ends")
    log: LogConfig = Field(LogConfig(), description="what is logged, and how")

    _document: Document | None = PrivateAttr(None)
    _tokens: tuple[ApiToken, ...] = PrivateAttr(())
    _rules: tuple[tuple[str, RuleConfig], ...] = PrivateAttr(())

    @field_validator("currency")
    @classmethod
    def _is_currency(cls, value: str) -> str:
        if not re.fullmatch("[A-Z]{3,5}", value):
            raise ValueError("expected three to five capital letters, such as JPY")
        return value

    @model_validator(mode="after")
    def _somebodys_password(self) -> Settings:
        if self.store_password is not None and not lacks_password(self.store):
            raise ValueError("store_password needs a store postgresql+asyncpg://user@host/database, without a password")
        return self

    @property
    def store_url(self) -> str:
        """The database's URL, with its password."""
        return with_password(self.store, self.store_password)

    @property
    def tokens(self) -> tuple[ApiToken, ...]:
        """What `api.tokens_file` holds; empty without one."""
        return self._tokens

    @property
    def rules(self) -> tuple[tuple[str, RuleConfig], ...]:
        """(policy id, rule) of every rule in force: presets resolved, built-in ones included."""
        return self._rules

    def databases(self) -> Iterator[tuple[Keys, SecretStr]]:
        """(place, URL) of the store and of every database that is asked."""
        yield ("store",) if self.store_file is None else ("store_file",), self.store
        for source in self.feeds.sources:
            if isinstance(source.config, SqlSource):
                yield (*source.keys, "url" if source.config.url_file is None else "url_file"), source.config.url

    def where(self, keys: Keys) -> str:
        """`file:line: key.path` of a value in the file that was loaded; the key path alone when none was."""
        return key_path(keys) if self._document is None else self._document.where(keys)

    @property
    def variable(self) -> frozenset[Keys]:
        """The places whose values came from the environment."""
        return frozenset() if self._document is None else self._document.variable

    def warnings(self) -> tuple[str, ...]:
        """What is allowed but makes the daemon see or say less, one line each."""
        watched = {wallet.chain for wallet in self.wallets.values()}
        return (
            *feed_warnings(self),
            *(f"chains.{chain}: no wallet is on it, it is not read" for chain in self.chains if chain not in watched),
            *references.uncovered(self),
            *((self.mqtt.in_the_clear,) if self.mqtt and self.mqtt.in_the_clear else ()),
            *(() if self.alertmanager else ("alertmanager: is not configured, nobody is told of findings",)),
        )


def load(path: Path, *, env: Mapping[str, str], importable: Callable[[str], bool] = importable) -> Settings:
    """Reads and checks a configuration file and the files it names, address files excepted (`inventory.build`).

    ConfigError, one line with file, line and key path, for whatever is wrong with it.
    """
    document = with_secret_files(read(path, digests=DIGESTS).interpolated(env), folder=path.parent)
    try:
        settings = Settings.model_validate(document.value)
    except ValidationError as error:
        raise explain(error, document=document, schema=Settings.model_json_schema()) from None
    settings._document = document
    problems = references.problems(settings)
    if problems:
        raise first_of(problems, document=document)
    for keys, url in settings.databases():
        if lacks_driver(url, importable=importable):
            raise document.error(keys, DRIVER_MISSING)
    tokens_file = settings.api.tokens_file
    settings._tokens = load_tokens(path.parent / tokens_file) if tokens_file is not None else ()
    settings._rules = _rules(settings, document=document)
    return settings


def _rules(settings: Settings, *, document: Document) -> tuple[tuple[str, RuleConfig], ...]:
    rules = presets.resolve(settings.policies, folders=presets.folders(document.path), document=document)
    for policy, rule in rules:
        named = references.rule_problems(rule, settings=settings, at=())
        for keys, message in (*named, *references.unfed(rule, settings=settings, at=())):
            at = presets.standing_at(settings.policies, policy, key=keys[0])
            if "rules" in at:
                raise document.error((*at, *keys), message)
            raise document.error(at, f"{policy}: {key_path(keys)}: {message}")
    zones = averaging_zones([rule for _, rule in rules])
    if len(zones) > 1:
        raise document.error(("policies",), f"prices are averaged in one time zone; found {', '.join(sorted(zones))}")
    return rules


def redacted(settings: Settings) -> dict[str, Any]:
    """The configuration as JSON-ready values without secrets.

    Of URLs scheme and host remain; any other value that came from the environment is `***`.
    """
    values: dict[str, Any] = settings.model_dump(mode="json")
    for keys in settings.variable:
        around: Any = values
        for key in keys[:-1]:
            around = around[key]
        if keys[-1] not in MASKED_BY_ITSELF and not isinstance(around[keys[-1]], dict):
            around[keys[-1]] = "***"
    return values


class AsWritten(GenerateJsonSchema):
    """Shows defaults in the form in which they are written in the file."""

    def encode_default(self, dft: object) -> object:
        if isinstance(dft, SecretStr):  # the default store, which is no secret
            return dft.get_secret_value()
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def schema() -> dict[str, Any]:
    """JSON Schema of the configuration file, for editors."""
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **Settings.model_json_schema(schema_generator=AsWritten),
        "title": "pyrometer configuration",
    }
