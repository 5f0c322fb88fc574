"""Whether a scenario can be played: names lead somewhere, time runs forward, nobody spends what they don't have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from daemon.diagnosis import nearest
from daemon.document import Keys, shown
from daemon.missing import Problem
from daemon.replay.cast import Cast
from daemon.replay.lineup import LINEUP, cannot_pay, nothing, unless
from daemon.replay.played import Overspent
from daemon.replay.scenario import ACTIONS, KNOWN_ALERTS, Approval, Pay, Scenario
from daemon.replay.script import Payment, Purses, moments, realised, timeline
from daemon.replay.written import AN_INSTANT, format_instant, parse_instant

PREFIX = "Pyrometer"


def problems(scenario: Scenario) -> list[Problem]:
    """What is wrong, as (where, what); each check is made only when those before it found nothing."""
    for check in (*LINEUP, _order, _steps, _books, _until, _expectations):
        found = list(check(scenario))
        if found:
            return found
    return []


def _order(scenario: Scenario) -> Iterator[Problem]:
    """Time runs forward, from the start to the end; names and sources of steps are good."""
    last, names = scenario.starts, set[str]()
    for place, (step, times) in enumerate(zip(scenario.timeline, moments(scenario), strict=True)):
        keys: Keys = ("timeline", place)
        clock: Keys = (*keys, "at") if step.at is not None else (*keys, "after") if step.after is not None else keys
        if times[0] < last:
            what = "the scenario starts" if last == scenario.starts else "the step before is"
            yield clock, f"time runs forward; {what} at {format_instant(last)}"
            return
        if times[-1] > scenario.end:
            yield clock, f"happens at {format_instant(times[-1])}; the scenario ends at {format_instant(scenario.end)}"
            return
        last = times[-1]
        if step.name is not None and step.name in names:
            yield (*keys, "name"), "is the name of an earlier step"
        names.add(step.name or "")
        if step.source is not None and step.source not in scenario.sources:
            yield (*keys, "source"), nothing("source", step.source, scenario.sources)


def _steps(scenario: Scenario) -> Iterator[Problem]:
    """Every step can happen when its turn comes; the first that can't ends the rehearsal."""
    cast = Cast(scenario)
    purses = Purses(cast)
    for at, place, step in timeline(scenario):
        action = next((action for action in ACTIONS if getattr(step, action) is not None), None)
        keys: Keys = ("timeline", place, action or "note")
        found = [
            *(_named(step.pay, scenario, cast, keys=keys) if step.pay else ()),
            *(_named(step.approve, scenario, cast, keys=keys) if step.approve else ()),
            *(_changes(step.liabilities, scenario, keys=keys) if step.liabilities else ()),
        ]
        if step.control is not None:
            found += _watched(step.control.account, cast, keys=(*keys, "account"))
        if found:
            yield from found
            return
        try:
            happening = realised(step, at=at, place=place, cast=cast, purses=purses)
            if isinstance(happening, Payment):
                purses.pay(happening)
        except Overspent as error:
            again = f" (at {format_instant(at)})" if step.repeat else ""
            yield (*keys, "amount"), f"{error}{again}"
            return


def _named(pay: Pay | Approval, scenario: Scenario, cast: Cast, *, keys: Keys) -> list[Problem]:
    """What is wrong with who pays whom, in which asset, and with how many decimals."""
    found = [
        *unless(lambda: cast.account(pay.payer), keys=(*keys, "from")),
        *unless(lambda: cast.account(pay.to), keys=(*keys, "to")),
    ]
    if found:
        return found
    payer, payee = cast.account(pay.payer), cast.account(pay.to)
    if payer == payee:
        return [((*keys, "to"), "nobody pays themselves; expected somebody else")]
    if payer.chain != payee.chain:
        return [((*keys, "to"), f"{pay.to} is on {payee.chain}, {pay.payer} on {payer.chain}; nothing crosses over")]
    if isinstance(pay, Approval):
        return [
            *_watched(pay.payer, cast, keys=(*keys, "from")),
            *unless(lambda: _whole(pay, cast, chain=payer.chain), keys=(*keys, "amount")),
        ]
    fee, amount = pay.fee, pay.amount.amount or Decimal(0)
    return [
        *cannot_pay(payer, scenario, keys=(*keys, "from")),
        *unless(lambda: cast.coin(pay.amount.asset, payer.chain).units(amount), keys=(*keys, "amount")),
        *(unless(lambda: Purses(cast).native(payer.chain).units(fee), keys=(*keys, "fee")) if fee else ()),
    ]


def _whole(approval: Approval, cast: Cast, *, chain: str) -> None:
    coin = cast.coin(approval.amount.asset, chain)
    if approval.amount.amount is None:
        raise ValueError("expected a number of coins, books don't approve `all`")
    coin.units(approval.amount.amount)


def _watched(reference: str, cast: Cast, *, keys: Keys) -> list[Problem]:
    found = list(unless(lambda: cast.account(reference), keys=keys))
    if not found and cast.wallet_of(cast.account(reference)) is None:
        found = [(keys, f"{reference} is outside; expected a wallet")]
    return found


def _changes(changes: Mapping[str, object], scenario: Scenario, *, keys: Keys) -> Iterator[Problem]:
    for asset in changes:
        if asset not in scenario.liabilities:
            yield (
                (*keys, asset),
                f"nothing is owed in {shown(asset)} at the start{nearest(asset, scenario.liabilities)}",
            )


def _books(scenario: Scenario) -> Iterator[Problem]:
    """What is owed never falls below nothing."""
    owed = dict(scenario.liabilities)
    for place, step in enumerate(scenario.timeline):
        for asset, change in (step.liabilities or {}).items():
            owed[asset] += change
            if owed[asset] < 0:
                keys: Keys = ("timeline", place, "liabilities", asset)
                yield keys, f"only {owed[asset] - change:f} {asset} are owed then; less than nothing can't be"


def _until(scenario: Scenario) -> Iterator[Problem]:
    until = scenario.traffic.until if scenario.traffic else None
    if until is not None:
        yield from _moment(until, scenario, keys=("traffic", "until"))


def _expectations(scenario: Scenario) -> Iterator[Problem]:
    thefts = any(step.pay and step.pay.theft for step in scenario.timeline)
    for place, expectation in enumerate(scenario.expected):
        keys: Keys = ("expected", place)
        name = expectation.alert.removeprefix(PREFIX)
        if name not in KNOWN_ALERTS:
            near = nearest(expectation.alert, {PREFIX + known for known in KNOWN_ALERTS})
            yield (*keys, "alert"), f"no alert is called {shown(expectation.alert)}{near}"
        for key in ("before", "no_later_than"):
            if getattr(expectation, key) is not None:
                yield from _moment(getattr(expectation, key), scenario, keys=(*keys, key))
        if expectation.before_mined is not None:
            yield from _mined(expectation.before_mined, scenario, keys=(*keys, "before_mined"))
        for asset in expectation.left:
            if asset not in scenario.assets:
                yield (*keys, "left", asset), nothing("asset", asset, scenario.assets)
        if expectation.left and not thefts:
            yield (*keys, "left"), "no step of the timeline is a theft, so that nothing is lost"


def _moment(reference: str, scenario: Scenario, *, keys: Keys) -> Iterator[Problem]:
    steps = {step.name for step in scenario.timeline if step.name is not None}
    if reference in steps:
        return
    try:
        at = parse_instant(reference)
    except ValueError:
        hint = nearest(reference, steps) or f"; {AN_INSTANT}"
        yield keys, f"no step is called {shown(reference)}{hint}"
        return
    if not scenario.starts <= at <= scenario.end:
        yield keys, f"expected an instant between {format_instant(scenario.starts)} and {format_instant(scenario.end)}"


def _mined(reference: str, scenario: Scenario, *, keys: Keys) -> Iterator[Problem]:
    steps = {step.name: step for step in scenario.timeline if step.name is not None}
    if reference not in steps:
        yield keys, f"no step is called {shown(reference)}{nearest(reference, steps)}"
    elif steps[reference].pay is None:
        yield keys, f"{reference} is no payment, so that no block has it"
