"""`control_changed`: somebody else, or fewer, can move an account than before, or than the inventory expects."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import Field

from connectors.base import Address, Control
from connectors.config import Duration
from daemon.control import ControlChange, Controlled, WalletControl, by_name, changed_facts
from daemon.model import Expected, Verdict, Wallet, WalletState
from daemon.policy.remaining import remaining
from daemon.policy.rule import Picture, Rule, few, judgement

ALERT = "PyrometerControlChanged"

MOST_SHOWN = 20

LISTS = frozenset({"owner", "module", "cosignatory"})
"""Facts of which there may be many: their members come and go."""


Others = Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]
"""By the name of a fact, what is expected and what is."""


class ControlChanged(Rule):
    """Breach, per wallet, for `keep` after the control of one of its accounts has changed, and while it is not what the
    inventory expects; a change to what is expected is none.

    Judged of the chains whose connectors tell who controls accounts.
    """

    kind: Literal["control_changed"]
    looks_back: ClassVar[bool] = True
    keep: Duration = Field(timedelta(days=1), description="how long a change that is not expected stays a finding")


def judge(rule: ControlChanged, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per wallet with all of its accounts."""
    names = [name for name in picture.wallets if name in picture.controls]
    reasons = {name: state.reason for name, state in picture.chains.items()}
    yield from picture.memory.verdicts(
        policy,
        lambda name: _verdict(rule, picture, policy=policy, state=picture.wallets[name], known=picture.controls[name]),
        of=names,
        each=[
            (picture.controls, names),
            (picture.wallets, names),
            (reasons, [picture.wallets[name].wallet.chain for name in names]),
        ],
        all_rest_on=(rule, picture.remembers),
    )


def _verdict(
    rule: ControlChanged, picture: Picture, *, policy: str, state: WalletState, known: WalletControl
) -> Verdict:
    wallet = state.wallet
    changes = [
        change
        for one in known.accounts
        for change in one.changes
        if picture.at - change.seen < rule.keep and not _is_expected(change, one, expected=wallet.expected)
    ]
    changes.sort(key=lambda change: change.seen, reverse=True)
    others = {one.account: found for one in known.accounts if (found := unexpected(one.control, wallet.expected))}
    unread = [one for one in known.accounts if one.unread]
    readable = picture.chains[wallet.chain].reason is None and not unread
    breach = bool(changes or others)
    return Verdict(
        policy=policy,
        subject=wallet.name,
        alert=ALERT,
        severity=rule.severity,
        judgement=judgement(breach=breach, ok=readable and not known.awaited),
        summary=_says(wallet, changes, others=others) if breach else _silent(wallet, known, unread=unread),
        cleared=readable and not known.awaited and not breach and picture.remembers,
        causes=() if breach or readable else (f"chain:{wallet.chain}",),
        evidence={
            "blocks": picture.blocks([wallet.chain]),
            "still_there": remaining(state),
            **_evidence(changes, others=others),
        }
        if breach
        else {},
        wallets=(wallet.name,),
        grounds=_grounds(changes, others=others),
    )


def _grounds(changes: Sequence[ControlChange], *, others: Mapping[Address, Others]) -> tuple[str, ...]:
    """Each change by its block, and everything that is not as expected, with what it is."""
    told = [f"{one.after.account} at {one.tip.hash}" for one in changes]
    found = ((account, name, is_) for account, facts in others.items() for name, (_, is_) in facts.items())
    return (*told, *(f"{account} {name} {' '.join(is_)}".rstrip() for account, name, is_ in found))


def unexpected(control: Control | None, expected: Expected) -> Others:
    """By what the inventory expects and is not so: what is expected, and what is."""
    if control is None:
        return {}
    found = by_name(control)
    pairs = ((names, values, [value for name in names for value in found.get(name, ())]) for names, values in expected)
    return {" or ".join(names): (values, tuple(is_)) for names, values, is_ in pairs if sorted(values) != sorted(is_)}


def _is_expected(change: ControlChange, now: Controlled, *, expected: Expected) -> bool:
    """Whether all that it changed is stated in the inventory, and is now as stated there."""
    stated = {name for names, _ in expected for name in names}
    return changed_facts(change.before, change.after).keys() <= stated and not unexpected(now.control, expected)


# ── in words ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _says(
    wallet: Wallet,
    changes: Sequence[ControlChange],
    *,
    others: Mapping[Address, Others],
) -> str:
    """The newest change, else the first difference."""
    if changes:
        newest = changes[0]
        transaction = f", transaction {newest.after.transaction}" if newest.after.transaction else ""
        more = f" (and {len(changes) - 1} more changes)" if len(changes) > 1 else ""
        words = few(_differences(newest), most=4)
        account = newest.after.account
        when = ", while nobody watched; found at" if newest.unwatched else ","
        where = f"{account}{when} block {newest.tip.height}{transaction}{more}"
        return f"Control of {wallet.name} has changed: {words}; {where}"
    account, found = next(iter(others.items()))
    name, (expected, is_) = next(iter(found.items()))
    more = f" (and {len(found) + len(others) - 2} more differences)" if len(found) + len(others) > 2 else ""
    told = f"{name} is {_listed(is_)}, expected {_listed(expected)}"
    return f"Control of {wallet.name} is not what the inventory expects: {told}; {account}{more}"


def _differences(change: ControlChange) -> list[str]:
    """`threshold from 3 to 1`, `owner 0x... added`."""
    told: list[str] = []
    for name, (before, after) in changed_facts(change.before, change.after).items():
        gone, new = [one for one in before if one not in after], [one for one in after if one not in before]
        if name not in LISTS and gone and new:
            told.append(f"{name} from {_listed(gone)} to {_listed(new)}")
        else:
            told += [f"{name} {one} removed" for one in gone] + [f"{name} {one} added" for one in new]
    return told


def _listed(values: Sequence[str]) -> str:
    return ", ".join(values) or "none"


def _silent(wallet: Wallet, known: WalletControl, *, unread: Sequence[Controlled]) -> str:
    if unread:
        return f"Nobody knows who controls {wallet.name}: {unread[0].account}: {unread[0].unread}"
    if known.awaited:
        return f"Of {known.awaited} accounts of {wallet.name} it is not read yet who controls them"
    return f"Control of {wallet.name} is as it was"


def _evidence(changes: Sequence[ControlChange], *, others: Mapping[Address, Others]) -> dict[str, object]:
    return {
        "changes": [_change(one) for one in changes[:MOST_SHOWN]],
        "unexpected": [
            {"account": account, "fact": name, "expected": list(expected), "found": list(is_)}
            for account, found in list(others.items())[:MOST_SHOWN]
            for name, (expected, is_) in found.items()
        ],
    }


def _change(change: ControlChange) -> dict[str, object]:
    return {
        "account": change.after.account,
        "facts": {
            name: {"before": list(before), "after": list(after)}
            for name, (before, after) in changed_facts(change.before, change.after).items()
        },
        "transaction": change.after.transaction,
        "height": change.tip.height,
        "hash": change.tip.hash,
        "seen": change.seen.isoformat(),
        **({"while": "nobody watched"} if change.unwatched else {}),
    }
