"""`wallet_band`: a wallet holds at least the floor and at most the ceiling."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import Field, model_validator

from daemon.interval import EXACT, ONE, Interval, plain
from daemon.model import Holding, Judgement, Move, Verdict, Wallet, WalletState
from daemon.policy.rule import Picture, Rule, coins, judgement


class WalletBand(Rule):
    """Breach when what each named wallet holds of `asset` is below `floor` or above `ceiling`, in whole coins."""

    kind: Literal["wallet_band"]
    wallets: tuple[str, ...] = Field(min_length=1, description="names of wallets; `*` in a name matches any text")
    asset: str = Field(description="the asset that is counted")
    floor: Decimal | None = Field(None, ge=0, description="at least so many coins")
    ceiling: Decimal | None = Field(None, gt=0, description="at most so many coins")
    hysteresis: Decimal = Field(
        Decimal("0.02"), ge=0, lt=1, description="it is over only past the limit by this share of it"
    )

    @model_validator(mode="after")
    def _a_band(self) -> "WalletBand":
        if self.floor is None and self.ceiling is None:
            raise ValueError("expected a floor, a ceiling or both")
        if self.floor is not None and self.ceiling is not None and self.floor >= self.ceiling:
            raise ValueError("expected the floor below the ceiling")
        return self


def judge(rule: WalletBand, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per wallet that matches and can hold the asset."""
    wallets = picture.wallets
    held = {name: found for name in _matching(rule, picture, policy=policy) if (found := _held(wallets[name], rule))}
    yield from picture.memory.verdicts(
        policy,
        lambda name: _verdict(rule, wallets[name].wallet, policy=policy, held=held[name].amount),
        of=list(held),
        each=[(held, list(held))],
        all_rest_on=(rule,),
    )


def _matching(rule: WalletBand, picture: Picture, *, policy: str) -> Sequence[str]:
    return picture.memory.value(
        (policy, "matching"),
        lambda: [name for name in picture.wallets if any(fnmatchcase(name, pattern) for pattern in rule.wallets)],
        rests_on=(rule, *picture.wallets),
    )


def _held(state: WalletState, rule: WalletBand) -> Holding | None:
    return state.holdings.get(rule.asset) or state.doubtful.get(rule.asset)


def _verdict(rule: WalletBand, wallet: Wallet, *, policy: str, held: Interval) -> Verdict:
    name = wallet.name
    too_little, enough = _below(held, rule.floor), _at_least(held, rule.floor)
    too_much = rule.ceiling is not None and held.above(rule.ceiling)
    not_too_much = rule.ceiling is None or held.within(rule.ceiling)
    verdict = judgement(breach=too_little or too_much, ok=enough and not_too_much)
    limit = rule.floor if too_little or rule.ceiling is None else rule.ceiling
    return Verdict(
        policy=policy,
        subject=name,
        alert="PyrometerWalletBand",
        severity=rule.severity,
        judgement=verdict,
        summary=f"{name} holds {coins(held)} {rule.asset}, {_relation(rule, verdict, too_little=too_little)}",
        cleared=_cleared(rule, held),
        measured=held,
        limit=limit,
        causes=() if held.value is not None else (f"chain:{wallet.chain}",),
        moves=tuple(_moves(rule, held, name=name)) if verdict is Judgement.BREACH else (),
        chains=(wallet.chain,),
        wallets=(name,),
    )


def _relation(rule: WalletBand, verdict: Judgement, *, too_little: bool) -> str:
    floor = f"floor of {plain(rule.floor)}" if rule.floor is not None else ""
    ceiling = f"ceiling of {plain(rule.ceiling)}" if rule.ceiling is not None else ""
    if verdict is Judgement.BREACH:
        return f"below its {floor}" if too_little else f"above its {ceiling}"
    band = " and ".join(filter(None, (floor, ceiling)))
    return f"within its {band}" if verdict is Judgement.OK else f"unknown against its {band}"


def _below(held: Interval, floor: Decimal | None) -> bool:
    return floor is not None and held.high is not None and held.high < floor


def _at_least(held: Interval, floor: Decimal | None) -> bool:
    return floor is None or held.low >= floor


def _cleared(rule: WalletBand, held: Interval) -> bool:
    floor, ceiling = _clear_band(rule)
    return _at_least(held, floor) and (ceiling is None or held.within(ceiling))


def _clear_band(rule: WalletBand) -> tuple[Decimal | None, Decimal | None]:
    """The band narrowed by the hysteresis, but never so far that nothing would be inside it."""
    floor = rule.floor and EXACT.multiply(rule.floor, EXACT.add(ONE, rule.hysteresis))
    ceiling = rule.ceiling and EXACT.multiply(rule.ceiling, EXACT.subtract(ONE, rule.hysteresis))
    if floor is not None and ceiling is not None and floor > ceiling:
        return rule.floor, rule.ceiling
    return floor, ceiling


def _moves(rule: WalletBand, held: Interval, *, name: str) -> Iterator[Move]:
    """To where the finding clears: out of a wallet that is too full, into one that is too empty."""
    floor, ceiling = _clear_band(rule)
    if ceiling is not None and held.above(ceiling):
        yield Move(name, rule.asset, EXACT.subtract(held.high or held.low, ceiling))
    elif floor is not None:
        yield Move(name, rule.asset, EXACT.subtract(floor, held.low), "in")
