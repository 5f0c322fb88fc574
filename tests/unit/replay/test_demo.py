"""The demonstration's configuration says what its scenario says, so that neither lies about the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.nem.config import NemConfig
from daemon.demo import CHAIN, SCENARIO, environment
from daemon.reload import Loaded, load_whole
from daemon.replay.catalogue import find
from daemon.replay.configuration import configured
from daemon.replay.scenario import Scenario, load
from daemon.replay.simulation import Simulation
from daemon.replay.stage import Stage
from daemon.replay.trial import AS_IT_WAS
from daemon.shipped import shipped


@pytest.fixture
def scenario() -> Scenario:
    return load(find(SCENARIO))


@pytest.fixture
async def stage(scenario: Scenario) -> AsyncIterator[Stage]:
    async with Stage(scenario, simulation=Simulation(scenario.starts), trial=AS_IT_WAS) as opened:
        yield opened


@pytest.fixture
def demonstrated(stage: Stage, tmp_path: Path) -> Loaded:
    """As `pyrometer demo` loads it."""
    env = environment(stage, folder=str(tmp_path), port=9517)
    return load_whole(shipped(Path("demo.yaml")), env=env, now=stage.scenario.starts)


@pytest.fixture
def replayed(stage: Stage, tmp_path: Path) -> Loaded:
    """As `pyrometer replay` writes it."""
    return configured(stage, trial=AS_IT_WAS, folder=tmp_path, now=stage.scenario.starts)


async def test_it_watches_the_same_wallets_at_the_same_addresses(demonstrated: Loaded, replayed: Loaded) -> None:
    assert demonstrated.setup.inventory == replayed.setup.inventory
    assert demonstrated.settings.wallets == replayed.settings.wallets
    assert demonstrated.settings.assets == replayed.settings.assets


async def test_it_asks_the_same_nodes_as_often(demonstrated: Loaded, replayed: Loaded) -> None:
    assert demonstrated.settings.chains == replayed.settings.chains


async def test_it_judges_by_the_same_rules_prices_and_ages(demonstrated: Loaded, replayed: Loaded) -> None:
    assert demonstrated.setup.policies == replayed.setup.policies
    assert demonstrated.setup == replayed.setup


async def test_each_node_of_the_scenario_is_named_in_it(stage: Stage, demonstrated: Loaded) -> None:
    config = demonstrated.settings.chains[CHAIN]
    assert isinstance(config, NemConfig)
    assert len(config.endpoints) == stage.scenario.chains[CHAIN].nodes
