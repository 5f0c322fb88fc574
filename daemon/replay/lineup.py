"""Whether a scenario's chains, assets, wallets, policies and traffic are what they should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from pydantic import ValidationError

from connectors import CONNECTORS, AnyChainConfig
from connectors.base import Address
from connectors.errors import BadAddress
from daemon.diagnosis import EXPECTED, nearest
from daemon.document import Keys, shown
from daemon.missing import Problem
from daemon.policy import RuleConfig
from daemon.policy.backing import Backing
from daemon.policy.hot_share import HotShare
from daemon.policy.reserve import ReserveRule
from daemon.policy.rule import Rule
from daemon.references import rule_problems
from daemon.replay.cast import CONFIGS, Account, Cast, connector_config, copies, wallets_like
from daemon.replay.scenario import INVENTED, Flow, Group, Scenario
from daemon.replay.script import Purses
from daemon.replay.written import format_instant

ANYWHERE = "http://127.0.0.1:1"
REAL: Mapping[str, Mapping[str, object]] = {
    "bitcoin": {"kind": "bitcoin", "network": "bitcoin", "node": ANYWHERE},
    "nem": {"kind": "nem", "endpoints": [ANYWHERE]},
    "symbol": {"kind": "symbol", "network": "mainnet", "endpoints": [ANYWHERE]},
}
"""Kinds whose accounts of old can't be played: Bitcoin runs as a test network, and on NEM and Symbol a payer is told
by a public key, which must be one of nobody."""

KEYED = ("nem", "symbol")
"""Kinds on which only made-up accounts can pay."""

BEGAN = {
    "bitcoin": datetime(2009, 1, 3, 18, 15, 5, tzinfo=UTC),  # chainparams.cpp of Bitcoin Core
    "nem": datetime(2015, 3, 29, 0, 6, 25, tzinfo=UTC),  # NEM technical reference 1.2.1, section 5.1
    "symbol": datetime(2021, 3, 16, 0, 6, 25, tzinfo=UTC),  # epochAdjustment of Symbol's mainnet
}
"""Times of these chains count from here; no block can be older."""

INVENTABLE = ("evm", "nem", "symbol")
"""Kinds whose played chains make tokens up."""

MOST_DECIMALS = {"nem": 6, "symbol": 6}
"""Of a mosaic: NEM technical reference 1.2.1, chapter 4, and maxMosaicDivisibility of Symbol's network."""

MOST_BLOCKS = 200_000
"""Of one chain that a scenario may take; more of them come from a slip of the pen in its block time."""


def _chains(scenario: Scenario) -> Iterator[Problem]:
    for name, setup in scenario.chains.items():
        try:
            connector_config(setup)
        except ValidationError as error:
            yield _setting(error, chain=name, kind=setup.kind)


def _setting(error: ValidationError, *, chain: str, kind: str) -> Problem:
    """The first thing that a connector's configuration has against a chain's settings."""
    detail = error.errors(include_url=False, include_input=False)[0]
    inside: Keys = tuple(part for part in detail["loc"] if part != kind)
    keys: Keys = ("chains", chain, "settings", *inside) if inside else ("chains", chain)
    if inside in (("confirmations",), ("agree",)):
        keys = ("chains", chain, *inside)
    if detail["type"] == "value_error":
        return keys, str(detail["ctx"]["error"])
    if detail["type"] == "extra_forbidden":
        return keys, f"a chain of kind {kind} has no such setting"
    return keys, f"expected {EXPECTED.get(detail['type'], 'another value').format_map(detail.get('ctx', {}))}"


def _time(scenario: Scenario) -> Iterator[Problem]:
    if scenario.end <= scenario.starts:
        yield ("ends",), f"expected an end after the start, {format_instant(scenario.starts)}"
        return
    for name, setup in scenario.chains.items():
        if scenario.starts < BEGAN.get(setup.kind, scenario.starts):
            yield ("starts",), f"{setup.kind} began on {BEGAN[setup.kind]:%Y-%m-%d} ({name}); expected no earlier start"
        if (scenario.end - scenario.starts) / setup.block_time > MOST_BLOCKS:
            yield ("chains", name, "block_time"), f"would take more than {MOST_BLOCKS:,} blocks; expected longer"


def _assets(scenario: Scenario) -> Iterator[Problem]:
    owners: dict[tuple[str, str], str] = {}
    for asset, played in scenario.assets.items():
        keys: Keys = ("assets", asset)
        if asset == "all":
            yield keys, "no asset can have this name: it stands for the sum of all"
        if played.price is not None and played.price.currency not in (None, scenario.currency):
            yield (*keys, "price"), f"expected a price in {scenario.currency}, the entity's currency"
        chains = [token.chain for token in played.tokens]
        for place, token in enumerate(played.tokens):
            here: Keys = (*keys, "tokens", place)
            if token.chain not in scenario.chains:
                yield (*here, "chain"), nothing("chain", token.chain, scenario.chains)
                continue
            if chains.index(token.chain) != place:
                yield here, f"{asset} has a token on {token.chain} already; two need two assets"
            named = f"{INVENTED} {asset}" if token.contract == INVENTED else (token.contract or "").casefold()
            owner = owners.setdefault((token.chain, named), asset)
            if owner != asset:
                yield here, f"this token belongs to {owner} already"
            kind = scenario.chains[token.chain].kind
            most = MOST_DECIMALS.get(kind)
            if most is not None and (token.decimals or 0) > most:
                yield (*here, "decimals"), f"a mosaic has at most {most} decimals"
            if token.contract is not None and (token.contract != INVENTED or kind not in INVENTABLE):
                yield from _refused(
                    str(token.contract),
                    keys=(*here, "contract"),
                    read=lambda config: CONNECTORS[config.kind].contract(config),
                    config=connector_config(scenario.chains[token.chain]),
                )


def _refused(
    text: str, *, keys: Keys, read: Callable[[AnyChainConfig], Callable[[str], Address]], config: AnyChainConfig
) -> Iterator[Problem]:
    try:
        read(config)(text)
    except BadAddress as error:
        yield keys, str(error)


def _groups(scenario: Scenario) -> Iterator[Problem]:
    """Names, chains and addresses of wallets and of everybody outside."""
    living = {token.chain for asset in scenario.assets.values() for token in asset.tokens}
    names: dict[str, str] = {}
    addresses: dict[tuple[str, str], str] = {}
    for section, groups in _sections(scenario).items():
        for name, group in groups.items():
            keys: Keys = (section, name)
            for copy in copies(name, group):
                if names.setdefault(copy, name) != name or (section == "outside" and copy in _names(scenario)):
                    yield keys, f"somebody is called {copy} already"
            if group.chain not in scenario.chains:
                yield (*keys, "chain"), nothing("chain", group.chain, scenario.chains)
                continue
            if section == "wallets" and group.chain not in living:
                yield (*keys, "chain"), "no asset has a token on this chain, so there is nothing to read"
            yield from _addresses(group, scenario, keys=keys, known=addresses)
            yield from _historical(group, scenario, keys=keys)


def _sections(scenario: Scenario) -> Mapping[str, Mapping[str, Group]]:
    return {"wallets": scenario.wallets, "outside": scenario.outside}


def _names(scenario: Scenario) -> set[str]:
    return {copy for name, wallet in scenario.wallets.items() for copy in copies(name, wallet)}


def _addresses(group: Group, scenario: Scenario, *, keys: Keys, known: dict[tuple[str, str], str]) -> Iterator[Problem]:
    config = connector_config(scenario.chains[group.chain])
    canonical = CONNECTORS[config.kind].canonical(config)
    for place, text in enumerate(group.addresses):
        here: Keys = (*keys, "addresses", place)
        try:
            address = canonical(text)
        except BadAddress as error:
            yield here, str(error)
            continue
        if (group.chain, address) in known:
            yield here, f"this address stands in {known[group.chain, address]} already"
        known[group.chain, address] = str(keys[-1])


def _historical(group: Group, scenario: Scenario, *, keys: Keys) -> Iterator[Problem]:
    if not group.historical:
        return
    kind = scenario.chains[group.chain].kind
    if kind not in REAL:
        yield (
            (*keys, "historical"),
            f"accounts of kind {kind} can be played as they were; expected them under addresses",
        )
        return
    for place, text in enumerate(group.historical):
        yield from _refused(
            text,
            keys=(*keys, "historical", place),
            read=lambda config: CONNECTORS[config.kind].canonical(config),
            config=CONFIGS.validate_python(REAL[kind]),
        )


def _holdings(scenario: Scenario) -> Iterator[Problem]:
    cast = Cast(scenario)
    for section, groups in _sections(scenario).items():
        for name, group in groups.items():
            for asset, amount in group.holds.items():
                yield from unless(
                    lambda asset=asset, chain=group.chain, amount=amount: cast.coin(asset, chain).units(amount),  # type: ignore[misc]
                    keys=(section, name, "holds", asset),
                )
    for asset in scenario.liabilities:
        if asset not in scenario.assets:
            yield ("liabilities", asset), nothing("asset", asset, scenario.assets)


def unless(works: Callable[[], object], *, keys: Keys) -> Iterator[Problem]:
    """A problem when it raises ValueError, which then says what is wrong."""
    try:
        works()
    except ValueError as error:
        yield keys, str(error)


def _policies(scenario: Scenario) -> Iterator[Problem]:
    for place, policy in enumerate(scenario.policies):
        if isinstance(policy, Rule):
            yield from rule_problems(policy, settings=_Named(scenario), at=("policies", place))
            yield from _unfed(policy, scenario, at=("policies", place))


def _unfed(rule: RuleConfig, scenario: Scenario, *, at: Keys) -> Iterator[Problem]:
    """What a rule needs that neither chains nor books tell, so that it could never be judged."""
    if isinstance(rule, ReserveRule):
        yield (*at, "kind"), "no scenario has a fund or insurance, so nobody knows what is set aside"
    elif (isinstance(rule, Backing) or (isinstance(rule, HotShare) and rule.of == "owed")) and not scenario.liabilities:
        yield (*at, "kind"), "the scenario has no `liabilities`, so nobody knows what customers are owed"
    elif isinstance(rule, Backing):
        for place, asset in enumerate(rule.assets):
            if asset not in scenario.liabilities:
                yield (*at, "assets", place), f"the scenario's `liabilities` don't speak of {shown(asset)}"


class _Named:
    """What rules may name, as a configuration gives it."""

    def __init__(self, scenario: Scenario) -> None:
        self.chains: Mapping[str, object] = scenario.chains
        self.assets: Mapping[str, object] = scenario.assets
        self.wallets: Mapping[str, object] = dict.fromkeys(_names(scenario))
        self.variable: frozenset[Keys] = frozenset()


def _traffic(scenario: Scenario) -> Iterator[Problem]:
    if scenario.traffic is None:
        return
    cast = Cast(scenario)
    for place, flow in enumerate(scenario.traffic.flows):
        yield from _flow(flow, scenario, cast, keys=("traffic", "flows", place))


def _flow(flow: Flow, scenario: Scenario, cast: Cast, *, keys: Keys) -> Iterator[Problem]:
    if flow.customers not in scenario.outside:
        yield (*keys, "customers"), nothing("group outside", flow.customers, scenario.outside)
        return
    chain = scenario.outside[flow.customers].chain
    found = False
    roles: list[tuple[Keys, str]] = [(("deposits",), flow.deposits), (("hot",), flow.hot)]
    roles += [(("reserve", place), pattern) for place, pattern in enumerate(flow.reserve)]
    for role, pattern in roles:
        wallets = wallets_like(pattern, cast)
        if not wallets:
            found = True
            missing = "matches no wallet" if "*" in pattern else nothing("wallet", pattern, cast.wallets)
            yield (*keys, *role), missing
        for name in wallets:
            yield from cannot_pay(cast.groups[name][0], scenario, keys=(*keys, *role))
        astray = next((name for name in wallets if cast.wallets[name].chain != chain), None)
        if astray is not None:
            found = True
            yield (*keys, *role), f"{astray} is not on {chain}, where {flow.customers} are"
    if found:
        return
    if (flow.asset, chain) not in cast.coins:
        yield from unless(lambda: cast.coin(flow.asset, chain), keys=(*keys, "asset"))
        return
    coin = cast.coin(flow.asset, chain)
    yield from unless(lambda: coin.units(flow.typical), keys=(*keys, "typical"))
    yield from unless(lambda: coin.units(flow.largest), keys=(*keys, "largest"))
    if flow.fee:
        yield from unless(lambda: Purses(cast).native(chain).units(flow.fee), keys=(*keys, "fee"))


def cannot_pay(account: Account, scenario: Scenario, *, keys: Keys) -> Iterator[Problem]:
    """What is wrong with an account as a payer."""
    kind = scenario.chains[account.chain].kind
    if kind in KEYED and account.address is not None:
        yield (
            keys,
            f"{account.name} can't pay, nobody has its key; leave its addresses out, or put them to `historical`",
        )


def nothing(sort: str, name: str, known: Mapping[str, object]) -> str:
    """`no wallet is called 'x'; did you mean y?`"""
    return f"no {sort} is called {shown(name)}{nearest(name, known)}"


LINEUP: tuple[Callable[[Scenario], Iterator[Problem]], ...] = (
    _chains,
    _time,
    _assets,
    _groups,
    _holdings,
    _policies,
    _traffic,
)
"""In the order in which they rest on each other: each may take it that those before it found nothing."""
