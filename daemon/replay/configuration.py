"""What a daemon would be told about a scenario: the configuration that its connectors and rules run on."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from connectors.config import format_duration, parse_duration
from daemon.errors import ConfigError
from daemon.needs import MATCHING
from daemon.policy import RuleConfig
from daemon.policy.overrides import PresetUse
from daemon.policy.presets import folders, resolve
from daemon.reload import Loaded, load_whole
from daemon.replay.expectation import READING
from daemon.replay.scenario import ChainSetup, Scenario
from daemon.replay.stage import Stage
from daemon.replay.trial import Trial

SLOW, RARE = timedelta(minutes=1), timedelta(minutes=10)
"""Between these a chain is asked twice a block, so that what waits for the next one is seen; else once: where blocks
come quickly nothing waits for long, and where they are rare it is asked often enough."""

POLICIES: TypeAdapter[tuple[str | PresetUse | RuleConfig, ...]] = TypeAdapter(tuple[str | PresetUse | RuleConfig, ...])

LOOKS = 3
"""How often the books are asked within READING where a change of them stands in no block: one of them may fail."""


def configured(
    stage: Stage,
    *,
    trial: Trial,
    folder: Path,
    now: datetime,
    policies: Sequence[object] | None = None,
    approvals: bool = False,
) -> Loaded:
    """The configuration, written into the folder and loaded as every other; `policies` instead of the scenario's.

    What was approved is asked for where a rule needs it, and with `approvals` in any case.
    """
    path = folder / "pyrometer.yaml"
    values = _values(stage, trial=trial, folder=folder, policies=policies)
    feeds = {"prices": _prices(stage.scenario), "liabilities": _liabilities(stage)}
    if approvals or judged_by(values["policies"], kinds=MATCHING, config=path):
        feeds["approvals"] = _approvals(stage)
    path.write_text(yaml.safe_dump({**values, "feeds": feeds}, sort_keys=False))
    return load_whole(path, env={}, now=now)


def _values(stage: Stage, *, trial: Trial, folder: Path, policies: Sequence[object] | None) -> dict[str, object]:
    scenario = stage.scenario
    chosen = scenario.model_dump(mode="json", include={"policies"}, exclude_defaults=True).get("policies", ["jp-psa"])
    return {
        "entity": scenario.entity,
        "currency": scenario.currency,
        "store": f"sqlite+aiosqlite:///{folder}/pyrometer.db",
        "chains": {
            name: {**stage.chains[name].settings(), **_pace(setup), **setup.settings, **_depth(setup, trial=trial)}
            for name, setup in scenario.chains.items()
        },
        "assets": {name: {"tokens": _tokens(stage, name)} for name in scenario.assets},
        "wallets": _wallets(stage),
        "destinations": _destinations(stage),
        "policies": list(chosen if policies is None else policies),
        "api": {"listen": "127.0.0.1:0"},
    }


def _pace(setup: ChainSetup) -> dict[str, object]:
    """Ages that fit how often blocks come, so that a slow chain does not look like a dead one."""
    poll = setup.block_time / 2 if SLOW <= setup.block_time <= RARE else setup.block_time
    age = max(timedelta(minutes=2), 3 * setup.block_time)
    return {
        "poll": format_duration(poll),
        "max_age": format_duration(age),
        "max_tip_age": format_duration(max(timedelta(minutes=30), 10 * setup.block_time)),
    }


def judged_by(policies: object, *, kinds: AbstractSet[str], config: Path) -> bool:
    """Whether a rule of one of these kinds is among them. What is wrong with rules is said when they are loaded."""
    try:
        rules = resolve(POLICIES.validate_python(policies), folders=folders(config))
    except (ConfigError, ValidationError):
        return False
    return any(rule.kind in kinds for _, rule in rules)


def _every(scenario: Scenario) -> timedelta:
    """As often as the chain that is asked most."""
    polls = ({**_pace(setup), **setup.settings}["poll"] for setup in scenario.chains.values())
    return min(parse_duration(poll) for poll in polls)


def _approvals(stage: Stage) -> list[dict[str, object]]:
    """What the back office has approved; asked with the chains, so that what a payment needs is read beside it."""
    every = _every(stage.scenario)
    approvals: dict[str, object] = {
        "kind": "http",
        "name": "back-office",
        "url": stage.back_office.approvals,
        "values": "approvals",
        "at": "at",
        "every": format_duration(every),
        "max_age": format_duration(max(timedelta(minutes=2), 3 * every)),
    }
    return [approvals]


def _liabilities(stage: Stage) -> list[dict[str, object]]:
    """The books, asked as often as the chain that is asked most, or so that a change in them is read in time."""
    scenario = stage.scenario
    if not scenario.liabilities:
        return []
    every = _every(scenario)
    if any(step.liabilities for step in scenario.timeline):
        every = min(every, READING / LOOKS)
    books: dict[str, object] = {
        "kind": "http",
        "name": "books",
        "url": stage.back_office.liabilities,
        "values": "amounts",
        "at": "at",
        "assets": list(scenario.liabilities),
        "every": format_duration(every),
        "max_age": format_duration(max(timedelta(minutes=2), 3 * every)),
    }
    return [books]


def _depth(setup: ChainSetup, *, trial: Trial) -> dict[str, object]:
    return {"agree": max(setup.agree, trial.agree), "confirmations": setup.confirmations}


def _tokens(stage: Stage, asset: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for coin in stage.cast.coins.values():
        if coin.asset == asset:
            contract = stage.contract(coin)
            named = {} if contract is None else {"contract": contract, "decimals": coin.decimals}
            found.append({"chain": coin.chain, **named})
    return found


def _wallets(stage: Stage) -> dict[str, object]:
    return {
        name: {
            "chain": wallet.chain,
            "tier": wallet.tier.value,
            "owner": wallet.owner.value,
            **({} if wallet.custodian is None else {"custodian": wallet.custodian}),
            "addresses": [stage.address(account) for account in stage.cast.groups[name]],
        }
        for name, wallet in stage.cast.wallets.items()
    }


def _destinations(stage: Stage) -> dict[str, object]:
    """The exchange's own allowlist."""
    return {
        name: {
            "chain": outsider.chain,
            "addresses": [stage.address(account) for account in stage.cast.groups[name]],
        }
        for name, outsider in stage.scenario.outside.items()
        if outsider.allowed
    }


def _prices(scenario: Scenario) -> list[dict[str, object]]:
    values = {name: str(asset.price) for name, asset in scenario.assets.items() if asset.price is not None}
    return [{"kind": "fixed", "values": values}] if values else []
