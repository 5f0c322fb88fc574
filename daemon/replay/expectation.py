"""Until when an expected alert must have fired, by the clock of the scenario."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import get_args

from daemon.policy import RuleConfig
from daemon.replay.cast import Cast
from daemon.replay.scenario import Expectation, Scenario, Step
from daemon.replay.script import when

READING = timedelta(minutes=1)
"""How long it may take until what stands in no block, such as a change of the books, has been read and judged."""

RULES = frozenset(str(get_args(rule.model_fields["kind"].annotation)[0]) for rule in get_args(get_args(RuleConfig)[0]))
"""The kinds of rules that this version has."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """An alert that fires `at` is in time when it is `inclusive`, else only one that fires before."""

    at: datetime
    inclusive: bool

    def met(self, fired: datetime) -> bool:
        return fired < self.at or (self.inclusive and fired == self.at)


def not_yet(expectation: Expectation) -> bool:
    """Whether the rule that it needs is still to come."""
    return expectation.needs not in RULES


def deadlines(expectation: Expectation, *, scenario: Scenario, cast: Cast) -> tuple[Deadline, ...]:
    """All that must be met. A step that is no payment and changes no control has READING in the place of a block."""
    found = []
    if expectation.before is not None:
        moment = when(expectation.before, scenario=scenario) - expectation.lead
        found.append(Deadline(moment, inclusive=bool(expectation.lead)))
    if expectation.before_mined is not None:
        chain = _chain(_step(expectation.before_mined, scenario=scenario), cast=cast)
        assert chain is not None, "the rehearsal has seen that it is a payment"
        block = block_after(when(expectation.before_mined, scenario=scenario), chain=chain, scenario=scenario)
        found.append(Deadline(block, inclusive=False))
    if expectation.no_later_than is not None:
        found.append(Deadline(_read_by(expectation.no_later_than, scenario=scenario, cast=cast), inclusive=True))
    return tuple(found)


def not_before(expectation: Expectation, *, scenario: Scenario) -> datetime:
    """When the step happens that the alert must show; an alert that rang before was about something else."""
    reference = expectation.before_mined or expectation.no_later_than
    if reference is None or _step(reference, scenario=scenario) is None:
        return scenario.starts
    return when(reference, scenario=scenario)


def block_after(moment: datetime, *, chain: str, scenario: Scenario) -> datetime:
    """When the block comes with what happens at `moment`: blocks come at `starts` and every block time from then."""
    every = scenario.chains[chain].block_time
    return scenario.starts + -((scenario.starts - moment) // every) * every


def robbed(scenario: Scenario, *, cast: Cast) -> tuple[str, ...]:
    """The names of the wallets that thefts of the timeline pay from, in its order."""
    payers = (cast.account(step.pay.payer) for step in scenario.timeline if step.pay and step.pay.theft)
    return tuple(dict.fromkeys(cast.group_of(account) for account in payers))


def _read_by(reference: str, *, scenario: Scenario, cast: Cast) -> datetime:
    moment, step = when(reference, scenario=scenario), _step(reference, scenario=scenario)
    if step is None:
        return moment
    chain = _chain(step, cast=cast)
    if chain is None:
        return moment + READING
    return block_after(moment, chain=chain, scenario=scenario) + scenario.chains[chain].block_time


def _step(reference: str, *, scenario: Scenario) -> Step | None:
    return next((step for step in scenario.timeline if step.name == reference), None)


def _chain(step: Step | None, *, cast: Cast) -> str | None:
    """The chain whose block has the step; None when none has."""
    if step is not None and step.pay is not None:
        return cast.account(step.pay.payer).chain
    if step is not None and step.control is not None:
        return cast.account(step.control.account).chain
    return None
