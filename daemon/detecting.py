"""What detection knows in a daemon: the books that outlive a configuration, and the detectors of the present one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from connectors.base import Token
from daemon.announcements import Announced
from daemon.detection.approvals import ApprovalBook
from daemon.detection.case import Cases
from daemon.detection.detection import Around, Detection
from daemon.detection.detector import Remembers
from daemon.detection.payees import Payees, Stock
from daemon.detection.profiles import Profiles
from daemon.ledger import Ledger

if TYPE_CHECKING:
    from daemon.setup import Setup


class Detecting:
    """Mutable, and pure of effects. `cases` is told everything through the ledger, once.

    `approvals` hears which withdrawals were approved, `announced` knows which payments were planned, `profiles` how
    wallets have paid so far, and `payees` whom.
    """

    def __init__(self) -> None:
        self.approvals = ApprovalBook()
        self.announced = Announced()
        self.profiles = Profiles()
        self.payees = Payees(held=self._held)
        self._ledger: Ledger | None = None
        self._setup: Setup | None = None
        self._detection: Detection | None = None

    def cases(self, setup: Setup, ledger: Ledger, *, now: datetime) -> Mapping[str, Cases]:
        """What payments stand against wallets; detectors are made anew where the configuration has changed."""
        movements = ledger.movements
        if self._detection is not None and self._setup is not setup:
            self._detection.take(movements.drained())  # came before the reload; detectors that go on are to know of it
        before, self._ledger, self._setup = self._setup, ledger, setup
        self.approvals.tick(now)
        if self._detection is not None and before is setup:
            self._detection.take(movements.drained())
            return self._detection.look(now)
        wallets = setup.inventory.wallets
        telling = dict.fromkeys(name for name, wallet in wallets.items() if wallet.chain in setup.telling)
        self.profiles.watch(telling, now=now)
        self.approvals.configured(setup.grounds)
        older, self._detection = self._detection, self._made(setup)
        self.approvals.keep_only(policy for policy, _ in setup.policies)
        movements.drained()  # is among the recent ones
        recent = list(movements.recent())[::-1]
        if older is None:
            self._detection.take([*movements.earlier(), *recent])
        else:
            self._detection.taking_over(older, recent=recent)
        return self._detection.look(now)

    def remembering(self) -> tuple[Remembers, ...]:
        """The books that outlive a restart."""
        return self.announced, self.profiles, self.payees, self.approvals

    def begin_anew(self) -> None:
        """Detectors are told all payments again: what an earlier run has left was put among them."""
        self._detection = None

    def _made(self, setup: Setup) -> Detection:
        around = Around(
            setup.inventory,
            profiles=self.profiles,
            destinations=setup.destinations,
            payees=self.payees,
            approvals=self.approvals,
        )
        return Detection(around, policies=setup.policies, explains=self.announced)

    def _held(self, wallet: str, token: Token) -> Stock:
        """What a wallet holds by the newest readings, and what unread accounts may have grown to."""
        assert self._ledger is not None
        assert self._setup is not None
        total = self._ledger.held(wallet, token)
        if total.never or not total.pairs:
            return Stock(total.known, None)
        return Stock(total.known, total.known + int(total.lost * (1 + self._setup.growth)))
