"""`cold_moved`: a cold wallet pays somebody outside the inventory, be it pending or mined."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from pydantic import Field

from connectors.base import Stage
from connectors.config import Duration, format_duration
from daemon.interval import amount, plain
from daemon.model import Tier, Transfer, Verdict, WalletState
from daemon.policy.rule import Picture, Rule, judgement

ALERT = "PyrometerColdMoved"

MOST_SHOWN = 20
"""Payments in an alert; whoever empties a vault in a thousand transactions is told by the newest."""

MOST_DESTINATIONS = 5


class ColdMoved(Rule):
    """Breach, per cold wallet, while it pays somebody outside the inventory, and for `keep` after that was mined.

    Judged of the chains whose connectors tell movements.
    """

    kind: Literal["cold_moved"]
    keep: Duration = Field(timedelta(hours=1), description="how long a payment that was mined stays a finding")


def judge(rule: ColdMoved, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per cold wallet, whoever owns what is in it, with all of its payments."""
    payments = _by_wallet(picture.cold_payments)
    for name, state in picture.wallets.items():
        if state.tier is Tier.COLD and state.wallet.chain in picture.telling:
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
    told = [one for one in known if _stands(one, rule=rule, picture=picture)]
    read = picture.chains[chain].reason is None
    # Payments of an earlier run are not known any more once they are mined: that nothing is known is no proof then.
    remembered = bool(known) or picture.at - picture.telling[chain] >= rule.keep
    return Verdict(
        policy=policy,
        subject=name,
        alert=ALERT,
        severity=rule.severity,
        judgement=judgement(breach=bool(told), ok=read),
        summary=_says(told, name=name) if told else _silent(rule, known, name=name, chain=chain, read=read),
        cleared=read and remembered and not told,
        causes=() if told or read else (f"chain:{chain}",),
        evidence={"blocks": picture.blocks([chain]), **_evidence(known, name=name)} if told else {},
        wallets=(name,),
        grounds=tuple(dict.fromkeys(one.moved.movement.transaction for one in told)),
    )


def _stands(transfer: Transfer, *, rule: ColdMoved, picture: Picture) -> bool:
    stage = transfer.moved.movement.stage
    if stage is Stage.MINED:
        return picture.at - transfer.moved.since < rule.keep
    return stage is Stage.PENDING


def _says(told: Sequence[Transfer], *, name: str) -> str:
    """The newest payment in words."""
    newest = told[0]
    movement = newest.moved.movement
    where = f"in block {movement.tip.height}" if movement.tip else f"pending since {newest.moved.since:%H:%M:%S} UTC"
    more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
    return (
        f"{name} pays out {_coins(newest, -_net(newest, wallet=name))} {newest.asset}: {_whom(newest)}"
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


def _silent(rule: ColdMoved, known: Sequence[Transfer], *, name: str, chain: str, read: bool) -> str:
    """Why there is nothing to tell (any more)."""
    if not read:
        return f"Nobody knows whether {name} pays: {chain} is not read"
    if not known:
        return f"{name} pays nobody outside the inventory"
    movement, since = known[0].moved.movement, known[0].moved.since
    end = {
        Stage.MINED: f"was mined more than {format_duration(rule.keep)} ago",
        Stage.REPLACED: f"was replaced by {movement.replaced_by or 'another transaction'} at {since:%H:%M:%S} UTC",
        Stage.EVICTED: f"left the mempool at {since:%H:%M:%S} UTC, and is in no block",
    }
    nothing = f"{name} pays nobody outside the inventory (any more)"
    return f"{nothing}: its last payment, {movement.transaction}, {end[movement.stage]}"


def _evidence(known: Sequence[Transfer], *, name: str) -> dict[str, object]:
    return {"transactions": [_transaction(one, name=name) for one in known[:MOST_SHOWN]], "payments": len(known)}


def _transaction(transfer: Transfer, *, name: str) -> dict[str, object]:
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
    }
    return {key: fact for key, fact in facts.items() if fact is not None}


def _coins(transfer: Transfer, units: int) -> str:
    whole: Decimal = amount(units, decimals=transfer.moved.movement.token.decimals)
    return plain(whole, places=80)
