"""`cold_moved`: a cold wallet pays somebody outside the inventory, be it pending or mined."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import ClassVar, Literal

from pydantic import Field

from connectors.base import Stage
from connectors.config import Duration, format_duration
from daemon.announcements import Payment
from daemon.detection.outflow import Key
from daemon.interval import amount, plain
from daemon.model import Tier, Transfer, Verdict, WalletState
from daemon.policy.remaining import remaining
from daemon.policy.rule import Picture, Rule, judgement

ALERT = "PyrometerColdMoved"

MOST_SHOWN = 20
"""Payments in an alert; whoever empties a vault in a thousand transactions is told by the newest."""

MOST_DESTINATIONS = 5


class ColdMoved(Rule):
    """Breach, per cold wallet, while it pays somebody outside the inventory, and for `keep` after that was mined.

    Judged of the chains whose connectors tell movements. A payment that announcements explain in full is none.
    """

    kind: Literal["cold_moved"]
    looks_back: ClassVar[bool] = True
    keep: Duration = Field(timedelta(hours=1), description="how long a payment that was mined stays a finding")


def judge(rule: ColdMoved, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per cold wallet, whoever owns what is in it, with all of its payments."""
    payments = _by_wallet(picture.cold_payments)
    for name, state in picture.wallets.items():
        # By the declared tier: a vault that pays so often that it looks warm is not to be let off.
        if state.wallet.tier is Tier.COLD and state.wallet.chain in picture.telling:
            known = payments.get(name, ())
            yield _verdict(rule, picture, policy=policy, state=state, known=known)


def _by_wallet(transfers: Iterable[Transfer]) -> Mapping[str, Sequence[Transfer]]:
    """What each wallet pays to somebody outside the inventory."""
    paid: dict[str, list[Transfer]] = defaultdict(list)
    for transfer in transfers:
        for name in {leg.wallet: None for leg in transfer.legs if leg.units < 0}:
            if name is not None and transfer.asset is not None and _net(transfer, wallet=name) < 0:
                paid[name].append(transfer)
    return {name: [one for one in found if _leaves(one, beside=found)] for name, found in paid.items()}


def _leaves(transfer: Transfer, *, beside: Sequence[Transfer]) -> bool:
    """Whether somebody else is paid, or nobody at all but the miner; a fee for moving another token is no payment."""
    movement = transfer.moved.movement
    if any(party.wallet is None and party.units > 0 for party in transfer.destinations):
        return True
    stays = movement.change > 0 or any(leg.units > 0 for leg in transfer.legs)
    siblings = sum(one.moved.movement.transaction == movement.transaction for one in beside)
    return not stays and siblings == 1


def _net(transfer: Transfer, *, wallet: str) -> int:
    return sum(leg.units for leg in transfer.legs if leg.wallet == wallet)


def _verdict(
    rule: ColdMoved, picture: Picture, *, policy: str, state: WalletState, known: Sequence[Transfer]
) -> Verdict:
    name, chain = state.wallet.name, state.wallet.chain
    planned = picture.explained
    told = [one for one in known if _exceeds(one, planned) and _stands(one, rule=rule, picture=picture)]
    read = picture.chains[chain].reason is None
    # What was mined while nobody watched is told by no one: that nothing is known is no proof then.
    remembered = picture.remembers and (bool(known) or picture.at - picture.telling[chain] >= rule.keep)
    return Verdict(
        policy=policy,
        subject=name,
        alert=ALERT,
        severity=rule.severity,
        judgement=judgement(breach=bool(told), ok=read),
        summary=_says(told, name=name, planned=planned)
        if told
        else _silent(rule, known, name=name, chain=chain, read=read, planned=planned),
        cleared=read and remembered and not told,
        causes=() if told or read else (f"chain:{chain}",),
        evidence={"blocks": picture.blocks([chain]), **_evidence(known, state=state, planned=planned)} if told else {},
        wallets=(name,),
        grounds=tuple(dict.fromkeys(one.moved.movement.transaction for one in told)),
    )


def _planned(transfer: Transfer, planned: Mapping[Key, Payment]) -> Payment | None:
    """What announcements explain of it."""
    movement = transfer.moved.movement
    return planned.get(Key(movement.transaction, movement.token))


def _exceeds(transfer: Transfer, planned: Mapping[Key, Payment]) -> bool:
    payment = _planned(transfer, planned)
    return payment is None or payment.exceeds > 0


def _stands(transfer: Transfer, *, rule: ColdMoved, picture: Picture) -> bool:
    stage = transfer.moved.movement.stage
    if stage in (Stage.MINED, Stage.UNKNOWN):  # of what a restart has lost sight of, nobody knows that it is not mined
        return picture.at - transfer.moved.since < rule.keep
    return stage is Stage.PENDING


def _says(told: Sequence[Transfer], *, name: str, planned: Mapping[Key, Payment]) -> str:
    """The newest payment in words."""
    newest = told[0]
    movement = newest.moved.movement
    stage = f"{movement.stage} since {newest.moved.since:%H:%M:%S} UTC"
    where = f"in block {movement.tip.height}" if movement.tip else stage
    more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
    payment = _planned(newest, planned)
    beyond = f", {_coins(newest, payment.exceeds)} more than was announced" if payment else ""
    return (
        f"{name} pays out {_coins(newest, -_net(newest, wallet=name))} {newest.asset}{beyond}: {_whom(newest)}"
        f"; transaction {movement.transaction}, {where}{more}"
    )


def _whom(transfer: Transfer) -> str:
    outside = [party for party in transfer.destinations if party.wallet is None and party.units > 0]
    fee = transfer.moved.movement.fee
    parts = [f"{_coins(transfer, party.units)} to {party.name}" for party in outside[:2]]
    if len(outside) > len(parts):
        parts.append(f"and {len(outside) - len(parts)} destinations more")
    parts.append("fee unknown" if fee is None else f"fee {_coins(transfer, fee)}")
    return ", ".join(parts)


def _silent(
    rule: ColdMoved,
    known: Sequence[Transfer],
    *,
    name: str,
    chain: str,
    read: bool,
    planned: Mapping[Key, Payment],
) -> str:
    """Why there is nothing to tell (any more)."""
    if not read:
        return f"Nobody knows whether {name} pays: {chain} is not read"
    if not known:
        return f"{name} pays nobody outside the inventory"
    movement, since = known[0].moved.movement, known[0].moved.since
    if not _exceeds(known[0], planned):
        return f"{name} pays nobody outside the inventory but as announced: its last payment is {movement.transaction}"
    end = {
        Stage.MINED: f"was mined more than {format_duration(rule.keep)} ago",
        Stage.REPLACED: f"was replaced by {movement.replaced_by or 'another transaction'} at {since:%H:%M:%S} UTC",
        Stage.UNKNOWN: f"was lost sight of at {since:%H:%M:%S} UTC: since a restart nobody tells of it",
        Stage.EVICTED: f"left the mempool at {since:%H:%M:%S} UTC, and is in no block",
    }
    nothing = f"{name} pays nobody outside the inventory (any more)"
    return f"{nothing}: its last payment, {movement.transaction}, {end[movement.stage]}"


def _evidence(known: Sequence[Transfer], *, state: WalletState, planned: Mapping[Key, Payment]) -> dict[str, object]:
    name = state.wallet.name
    told = [_transaction(one, name=name, planned=_planned(one, planned)) for one in known[:MOST_SHOWN]]
    return {"payments": len(known), "still_there": remaining(state), "transactions": told}


def _transaction(transfer: Transfer, *, name: str, planned: Payment | None) -> dict[str, object]:
    movement, moved = transfer.moved.movement, transfer.moved
    facts = {
        "transaction": movement.transaction,
        "stage": movement.stage.value,
        "asset": transfer.asset,
        "amount": _coins(transfer, -_net(transfer, wallet=name)),
        "destinations": {
            party.name: _coins(transfer, party.units) for party in transfer.destinations[:MOST_DESTINATIONS]
        },
        "fee": None if movement.fee is None else _coins(transfer, movement.fee),
        "first_seen": moved.first_seen.isoformat(),
        "since": moved.since.isoformat(),
        "height": movement.tip.height if movement.tip else None,
        "hash": movement.tip.hash if movement.tip else None,
        "replaced_by": movement.replaced_by,
        "announced": _coins(transfer, planned.explained) if planned else None,
        "announcements": list(planned.given) if planned else None,
    }
    return {key: fact for key, fact in facts.items() if fact is not None}


def _coins(transfer: Transfer, units: int) -> str:
    whole: Decimal = amount(units, decimals=transfer.moved.movement.token.decimals)
    return plain(whole, places=80)
