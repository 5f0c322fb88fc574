"""The scenario format: what may stand in the file that `pyrometer replay` plays, and how it is read.

What its parts mean stands in docs/scenarios.md. Whether they fit together is `daemon.replay.rehearsal`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, JsonValue, ValidationError, field_validator, model_validator
from pydantic.json_schema import GenerateJsonSchema

from connectors.config import AN_INSTANT, Duration, Strict
from daemon.diagnosis import explain, first_of
from daemon.document import Document, read
from daemon.feeds.money import MoneyText
from daemon.model import Owner, Severity, Tier
from daemon.policy import presets
from daemon.replay.written import Amount, Change, CoinsText, End, Instant
from daemon.settings import AsWritten, Name, Policy

INVENTED = "invented"
"""Written in the place of a token's contract: it gets one that nobody has."""

PLAYERS = ("kind", "network", "chain_id", "endpoints", "node", "electrum", "esplora", "confirmations", "agree")
"""Keys of a chain's configuration that are not for `settings`: the player writes them."""

CONTROLS = Literal["implementation", "owners", "threshold", "modules", "guard", "delegate", "cosignatories"]
DIGESTS = frozenset(("transaction",))


class Source(Strict):
    """Where figures are from."""

    where: str = Field(min_length=1, description="a document, a publication, a block explorer, or `made up`")
    confidence: Literal["high", "medium", "low"] = Field(
        description="high: cross-checked by sums or checksums; medium: from the press; low: one source, or assumed"
    )
    figures: str = Field(min_length=1, description="which figures of the scenario are from there")


class ChainSetup(Strict):
    """A chain that is played."""

    kind: Literal["evm", "bitcoin", "nem", "symbol"] = Field(description="which protocol its nodes speak")
    block_time: Duration = Field(gt=AN_INSTANT, description="a block comes every so often, beginning at `starts`")
    nodes: int = Field(1, ge=1, le=9, description="how many nodes serve it")
    agree: int = Field(1, ge=1, le=9, description="how many of them must give the same value")
    confirmations: int = Field(1, ge=1, description="read this deep: 1 is the newest block")
    settings: Mapping[str, JsonValue] = Field(
        {}, description="more of the chain's section of a configuration, such as poll or max_age"
    )

    @field_validator("settings")
    @classmethod
    def _not_the_players(cls, value: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
        taken = next((key for key in value if key in PLAYERS), None)
        if taken is not None:
            raise ValueError(f"{taken} can't stand here; the player writes nodes, network and agreement")
        return value

    @model_validator(mode="after")
    def _enough_nodes(self) -> ChainSetup:
        if self.agree > self.nodes:
            raise ValueError(f"agree: {self.agree} needs at least {self.agree} nodes, found {self.nodes}")
        return self


class PlayedTokenConfig(Strict):
    """Where an asset lives."""

    chain: str = Field(description="name of a chain")
    contract: str | None = Field(
        None, description="what names the token on its chain, or `invented`; default: the chain's native coin"
    )
    decimals: int | None = Field(
        None, ge=0, le=77, description="decimals of a contract token; the native coin's stand with its chain"
    )

    @model_validator(mode="after")
    def _decimals_where_they_belong(self) -> PlayedTokenConfig:
        if (self.contract is None) != (self.decimals is None):
            raise ValueError("expected contract and decimals together, or neither for the native coin")
        return self


class PlayedAsset(Strict):
    """The economic thing a customer owns."""

    tokens: tuple[PlayedTokenConfig, ...] = Field(min_length=1, description="where it lives; an asset may have many")
    price: MoneyText | None = Field(None, description="of one whole coin, all the time; default: not known")


class Group(Strict):
    """Accounts of one chain under one name: `name/2` is the second of them, `name` the only one."""

    chain: str = Field(description="name of a chain")
    addresses: tuple[str, ...] = Field((), description="the accounts; default: made up, nobody has keys for them")
    accounts: int = Field(1, ge=1, le=10_000, description="without `addresses`: how many accounts are made up")
    holds: Mapping[str, Amount] = Field({}, description="coins of each asset at the start, spread over the accounts")
    historical: tuple[str, ...] = Field(
        (), description="addresses on the real chain, told only: on Bitcoin, NEM and Symbol, where payers are made up"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Group:
        if self.addresses and self.accounts != 1:
            raise ValueError("expected addresses, or a number of accounts to make up; found both")
        return self

    @property
    def size(self) -> int:
        """How many accounts it has."""
        return len(self.addresses) or self.accounts


class PlayedWallet(Group):
    """A wallet that the exchange watches."""

    tier: Tier = Field(description="hot, warm or cold, as the exchange declares it")
    owner: Owner = Field(Owner.CUSTOMER, description="customer, company or guarantee")
    custodian: str | None = Field(None, max_length=200, description="who holds the keys, if somebody else")
    copies: int = Field(
        1, ge=1, le=1000, description="so many wallets of this sort, called name-1, name-2, …; each holds as much"
    )

    @model_validator(mode="after")
    def _copies_are_made_up(self) -> PlayedWallet:
        if self.addresses and self.copies != 1:
            raise ValueError("copies: an address can't belong to several wallets; leave addresses out")
        return self


class Outsider(Group):
    """Somebody whom the exchange does not watch."""

    allowed: bool = Field(default=False, description="whether it stands among the exchange's `destinations`")


class Flow(Strict):
    """The ordinary business in one asset on one chain. Names of wallets may hold `*`, which matches any text."""

    asset: str = Field(description="name of an asset")
    customers: str = Field(description="who deposits and withdraws: a name under `outside`")
    deposits: str = Field(description="wallets that customers pay to; swept into the hot ones every hour")
    hot: str = Field(description="wallets that withdrawals are paid from")
    reserve: tuple[str, ...] = Field(
        (), description="wallets that refill the hot ones, the first that can, and take what is too much in them"
    )
    deposits_per_hour: Decimal = Field(ge=0, le=1000, description="on average over the day, on working days")
    withdrawals_per_hour: Decimal = Field(ge=0, le=1000, description="as `deposits_per_hour`")
    typical: Amount = Field(gt=0, description="coins of an ordinary payment: half of them are smaller")
    largest: Amount = Field(gt=0, description="coins of the largest; one withdrawal in a hundred comes near it")
    fee: Amount = Field(Decimal(0), description="native coins that the payer of each payment pays")

    @model_validator(mode="after")
    def _sizes(self) -> Flow:
        if self.largest < self.typical:
            raise ValueError("largest: expected at least what is typical")
        return self


class TrafficConfig(Strict):
    """Ordinary business, made up out of chance that repeats."""

    variant: int = Field(ge=0, description="number that chance starts from: the same one gives the same traffic")
    flows: tuple[Flow, ...] = Field(min_length=1, description="what flows")
    busiest_hour: int = Field(12, ge=0, le=23, description="UTC hour of the day around which most happens")
    swing: Decimal = Field(
        Decimal("0.6"), ge=0, le=1, description="how much busier than the average that is: 0.6 is 60 %"
    )
    weekend: Decimal = Field(Decimal("0.5"), ge=0, le=1, description="share of a working day's business on its days")
    until: str | None = Field(None, description="a step or an instant after which nothing flows; default: `ends`")


class Pay(Strict):
    """A transaction."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True)

    payer: str = Field(alias="from", description="a wallet or somebody outside, such as `hot` or `customers/3`")
    to: str = Field(description="as `from`")
    amount: CoinsText = Field(description="`10 XEM`, or `all XEM`, less the fee")
    fee: Amount = Field(Decimal(0), description="native coins that the payer pays for it")
    theft: bool = Field(default=False, description="whether it is one: what it takes counts as lost")
    approved: bool | None = Field(
        None, description="whether the books hold an approval; default: of what leaves a wallet, unless it is a theft"
    )
    sweep: bool = Field(
        default=False, description="it spends all coins of the payer and gives no change; only with `all`"
    )

    @model_validator(mode="after")
    def _whole(self) -> Pay:
        if self.sweep and self.amount.amount is not None:
            raise ValueError(f"sweep: leaves nothing behind; expected amount: all {self.amount.asset}")
        if self.amount.amount == 0:
            raise ValueError("amount: expected more than nothing")
        return self


class ControlChange(Strict):
    """What decides who can move an account becomes another."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True)

    account: str = Field(description="a wallet's account")
    what: CONTROLS = Field(description="what changes")
    before: str = Field(alias="from", description="what it was: an address, a number, a list in words")
    to: str = Field(description="what it is now")


class Approval(Strict):
    """The books approve a withdrawal without a transaction of this scenario, or before it."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True)

    payer: str = Field(alias="from", description="a wallet")
    to: str = Field(description="somebody outside")
    amount: CoinsText = Field(description="such as `10 XEM`")


class Repeat(Strict):
    """A step that happens again and again."""

    times: int = Field(ge=2, le=10_000, description="how often in all")
    every: Duration = Field(gt=AN_INSTANT, le=timedelta(days=7), description="from one time to the next, 7d at most")


ACTIONS = ("pay", "control", "liabilities", "approve")


class Step(Strict):
    """Something that happens: one action, or a note alone."""

    at: Instant | None = Field(None, description="when, in UTC")
    after: Duration | None = Field(None, description="instead: how long after the step before, or after `starts`")
    clock: Literal["measured", "interpolated"] = Field(
        description="whether the time is known, or set between what is known"
    )
    name: Name | None = Field(None, description="how `expected` and `until` call it")
    note: str | None = Field(None, max_length=1000, description="what happens, for people")
    transaction: str | None = Field(None, max_length=100, description="the transaction on the real chain, told only")
    source: str | None = Field(None, description="a name under `sources`")
    repeat: Repeat | None = Field(None, description="it happens again; its name means the first time")
    pay: Pay | None = Field(None, description="a transaction")
    control: ControlChange | None = Field(None, description="another code, owner or threshold decides")
    liabilities: Mapping[str, Change] | None = Field(
        None, min_length=1, description="by how many coins of each asset that which is owed grows (+) or shrinks (-)"
    )
    approve: Approval | None = Field(None, description="the books approve a withdrawal")

    @model_validator(mode="after")
    def _one_of_each(self) -> Step:
        if self.at is not None and self.after is not None:
            raise ValueError("expected one of at and after; found both")
        actions = [action for action in ACTIONS if getattr(self, action) is not None]
        if len(actions) > 1:
            raise ValueError(f"expected one action; found {' and '.join(actions)}")
        if not actions and self.note is None:
            raise ValueError(f"expected one of {', '.join(ACTIONS)}, or a note")
        if self.repeat is not None and self.pay is None:
            raise ValueError("repeat: only a payment happens again and again")
        return self


KNOWN_ALERTS = frozenset(
    (
        *("HotShareHigh", "GuaranteeShort", "BackingShort", "ReserveShort", "Drain", "ColdMoved", "UnmatchedOutflow"),
        *("UnknownDestination", "ControlChanged", "TierMismatch", "WalletBand", "Blind", "Disagreement", "Drift"),
        *("FeedStale", "Probe"),
    )
)
"""Names of alerts without their prefix, those of rules that are still to come among them."""


class Expectation(Strict):
    """An alert that must come. Its times are those at which it fires."""

    alert: str = Field(pattern=r"^Pyrometer[A-Za-z]+$", description="its name")
    subject: str | None = Field(None, description="of what; default: of anything")
    severity: Severity | None = Field(None, description="how severe; default: any")
    before: str | None = Field(None, description="a step or an instant: it fires before it happens")
    lead: Duration = Field(timedelta(0), description="with `before`: at least so long before")
    before_mined: str | None = Field(None, description="a step: it fires before the block with it comes")
    no_later_than: str | None = Field(
        None, description="a step or an instant: it fires when that has been read, a block time after its block at most"
    )
    left: Mapping[str, Decimal] = Field(
        {},
        description="share of each asset not stolen yet, of what the robbed wallets held before the first theft",
    )
    needs: str = Field(pattern=r"^[a-z_]+$", description="kind of the rule that raises it; it may be still to come")

    @field_validator("left")
    @classmethod
    def _shares(cls, value: Mapping[str, Decimal]) -> Mapping[str, Decimal]:
        if any(not 0 <= share <= 1 for share in value.values()):
            raise ValueError("expected shares between 0 and 1")
        return value

    @model_validator(mode="after")
    def _some_time(self) -> Expectation:
        if self.lead and self.before is None:
            raise ValueError("lead: expected with `before`")
        if self.before is None and self.before_mined is None and self.no_later_than is None:
            raise ValueError("expected one of before, before_mined, no_later_than")
        return self


class Tolerated(Strict):
    """How many alerts may come beside the expected ones."""

    critical: int | None = Field(None, ge=0, description="default: they are not counted")
    warning: int | None = Field(None, ge=0, description="default: they are not counted")


class Scenario(Strict):
    """The whole file. Made by `load`."""

    incident: Name = Field(description="what it is called on the command line; the name of the file")
    title: str = Field(min_length=1, max_length=200, description="what it is called for people")
    summary: str = Field(min_length=1, description="what happened, and what is not known of it")
    entity: str = Field(min_length=1, max_length=200, description="the exchange, as alerts call it")
    currency: str = Field(pattern="^[A-Z]{3,5}$", description="currency of all values, such as JPY")
    sources: Mapping[Name, Source] = Field(min_length=1, description="where the figures are from")
    starts: Instant = Field(description="when the replay begins, in UTC")
    ends: End = Field(description="when it ends, or how long it takes")
    chains: Mapping[Name, ChainSetup] = Field(min_length=1, description="the chains that are played")
    assets: Mapping[Name, PlayedAsset] = Field(min_length=1, description="what customers own, and where it lives")
    wallets: Mapping[Name, PlayedWallet] = Field(min_length=1, description="what the exchange watches")
    outside: Mapping[Name, Outsider] = Field({}, description="strangers: customers, a thief")
    liabilities: Mapping[str, Amount] = Field(
        {}, description="coins of each asset that customers are owed at the start; default: the books are not read"
    )
    policies: tuple[Policy, ...] = Field(("jp-psa",), description="as in a configuration")
    traffic: TrafficConfig | None = Field(None, description="ordinary business; default: none")
    timeline: tuple[Step, ...] = Field((), description="what happens, in order")
    expected: tuple[Expectation, ...] = Field((), description="the alerts that must come")
    tolerated: Tolerated = Field(Tolerated(), description="how many others may come")

    @property
    def end(self) -> datetime:
        """When it ends, UTC."""
        return self.starts + self.ends if isinstance(self.ends, timedelta) else self.ends


def read_scenario(path: Path) -> tuple[Scenario, Document]:
    """A scenario whose every part is well-formed, and where each stands; ConfigError. They may not fit together."""
    document = read(path, digests=DIGESTS)
    try:
        return Scenario.model_validate(document.value), document
    except ValidationError as error:
        raise explain(error, document=document, schema=Scenario.model_json_schema()) from None


def load(path: Path) -> Scenario:
    """Reads a scenario and rehearses it: names lead somewhere, time runs forward, nobody spends what they don't have.

    ConfigError, one line with file, line and key path, for whatever is wrong with it.
    """
    from daemon.replay.rehearsal import problems  # it plays what is defined here

    scenario, document = read_scenario(path)
    presets.resolve(scenario.policies, folders=presets.folders(path), document=document)
    found = problems(scenario)
    if found:
        raise first_of(found, document=document)
    return scenario


def scenario_schema() -> dict[str, Any]:
    """JSON Schema of a scenario file, for editors."""
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **Scenario.model_json_schema(schema_generator=AsWritten),
        "title": "pyrometer scenario",
    }
