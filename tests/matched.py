"""An exchange whose books approve withdrawals, for tests of matching: what is approved, paid and stolen."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from connectors.base import Address, Movement, Party, Stage, Tip, Token
from connectors.errors import BadAddress
from daemon.detection.approval import Approval, Approved
from daemon.detection.approvals import ApprovalBook, Grounds
from daemon.detection.case import Cases
from daemon.detection.detection import Around, Detection
from daemon.feeds.plan import SourceKey
from daemon.feeds.values import FeedKind
from daemon.model import Inventory, Moved, Step, Tier
from daemon.policy.unmatched_outflow import UnmatchedOutflow
from tests.build import NOON, address, at, inventory, wallet

BTC = Token("bitcoin", None, 8)
COIN = 10**8
BOOKS: SourceKey = (FeedKind.APPROVALS, "books")
POLICY = "unmatched-outflow"


def lower(text: str) -> Address:
    """A chain whose addresses are written in small letters."""
    if not text.isalnum():
        raise BadAddress("is no address")
    return Address(text.lower())


def rule(**keys: object) -> UnmatchedOutflow:
    return UnmatchedOutflow.model_validate({"kind": "unmatched_outflow", **keys})


def ours(*, assets: Mapping[str, Sequence[Token]] | None = None) -> Inventory:
    hot = [wallet("hot", Tier.HOT, 1, chain="bitcoin"), wallet("cold", Tier.COLD, 2, chain="bitcoin")]
    return inventory(*hot, assets=assets or {"BTC": [BTC]})


def grounds(inv: Inventory, *, sources: Iterable[SourceKey] = (BOOKS,)) -> Grounds:
    return Grounds(
        sources=dict.fromkeys(sources, timedelta(minutes=1)),
        assets=inv.assets,
        canonical=dict.fromkeys(("bitcoin", "ethereum", "other"), lower),
    )


def approval(name: str, coins: str | int, to: str, *, seconds: float = 0, fee: str | None = None) -> Approval:
    """Of BTC; whole coins as a text, units as a number."""
    amount = Decimal(coins) if isinstance(coins, str) else Decimal(coins).scaleb(-8)
    return Approval(name, "BTC", amount, to, at(seconds), fee=None if fee is None else Decimal(fee))


def payment(
    transaction: str,
    destinations: Sequence[tuple[str, int]],
    *,
    seconds: float = 0,
    fee: int = 1_000,
    stage: Stage = Stage.PENDING,
    since: float | None = None,
    payer: int = 1,
    replaced_by: str | None = None,
) -> Moved:
    """Units that the hot wallet pays, with change."""
    paid = sum(units for _, units in destinations)
    movement = Movement(
        transaction=transaction,
        token=BTC,
        stage=stage,
        tip=Tip(1, "block", NOON) if stage is Stage.MINED else None,
        changes=((address(payer), -paid - fee),),
        change=5,
        destinations=tuple(Party(name, units) for name, units in destinations),
        sources=(),
        fee=fee,
        size=200,
        replaced_by=replaced_by,
    )
    stood = at(seconds if since is None else since)
    return Moved(1, movement, at(seconds), (Step(stage, stood, movement.tip),))


def at_stage(moved: Moved, stage: Stage, *, seconds: float, replaced_by: str | None = None) -> Moved:
    """The same payment, come to another stage."""
    tip = Tip(1, "block", NOON) if stage is Stage.MINED else None
    movement = replace(moved.movement, stage=stage, tip=tip, replaced_by=replaced_by)
    return replace(moved, movement=movement, history=(*moved.history, Step(stage, at(seconds), tip)))


class Desk:
    """The real detection with one rule, its book of approvals, and a source that is asked as often as is wanted."""

    def __init__(self, **keys: object) -> None:
        self.inventory = ours()
        self.book = ApprovalBook(grounds(self.inventory))
        self.book.tick(at(-100_000))
        self.rule = rule(**keys)
        self.detection = self.made()
        self._approved: dict[str, Approval] = {}

    def made(self) -> Detection:
        return Detection(Around(self.inventory, approvals=self.book), policies=[(POLICY, self.rule)])

    def approve(self, *found: Approval, seconds: float = 0) -> None:
        """The books hold these too, and are asked."""
        self._approved |= {one.id: one for one in found}
        self.ask(seconds=seconds)

    def push(self, *found: Approval, seconds: float) -> None:
        """The books say what is new, as a source does that is asked for that alone."""
        self.book.take(Approved(BOOKS, found, complete=False, asked=at(seconds)), now=at(seconds))

    def strike(self, *names: str, seconds: float = 0) -> None:
        """The books hold these no longer, and are asked."""
        for name in names:
            del self._approved[name]
        self.ask(seconds=seconds)

    def ask(self, *, seconds: float) -> None:
        said = Approved(BOOKS, tuple(self._approved.values()), complete=True, asked=at(seconds))
        self.book.take(said, now=at(seconds))

    def tell(self, *found: Moved) -> None:
        self.detection.take(found)

    def cases(self, seconds: float) -> Cases:
        return self.detection.look(at(seconds))[POLICY]

    def unmatched(self, seconds: float, *, name: str = "hot") -> list[str]:
        """The transactions that are unmatched after the books were asked once more."""
        self.ask(seconds=seconds)
        return [case.outflow.key.transaction for case in self.cases(seconds).by_wallet.get(name, ())]

    def restarted(self, moved: Iterable[Moved], *, rows: Mapping[str, str | None], seconds: float) -> "Desk":
        """Another run with the same books, which is told again what moved."""
        desk = Desk()
        desk.rule = self.rule
        desk.book = ApprovalBook(grounds(self.inventory))
        desk.book.tick(at(seconds))
        desk.book.restore({key: row for key, row in rows.items() if row is not None})
        desk.detection = desk.made()
        desk._approved = dict(self._approved)
        desk.tell(*moved)
        return desk
