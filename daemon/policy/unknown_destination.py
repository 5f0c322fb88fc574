"""`unknown_destination`: a wallet pays somebody who is neither in the inventory nor in the allowlist."""

from collections.abc import Iterator
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from connectors.config import Duration
from daemon.model import Tier, Verdict, Wallet, WalletState
from daemon.policy.cases import verdicts
from daemon.policy.rule import Picture, Rule

ALERT = "PyrometerUnknownDestination"


class UnknownDestination(Rule):
    """Breach, per wallet, while it pays somebody unknown, and for `keep` after that was mined.

    Of wallets that it does not concern only what looks like a known destination is one. Judged of the chains whose
    connectors tell movements, from the mempool on. What announcements explain is none.
    """

    kind: Literal["unknown_destination"]
    looks_back: ClassVar[bool] = True
    tiers: tuple[Tier, ...] = Field((Tier.COLD, Tier.WARM), description="the tiers whose wallets pay known ones alone")
    wallets: tuple[str, ...] = Field((), description="instead: names of wallets; `*` matches any text")
    look_alikes_of_all_tiers: bool = Field(
        default=True, description="whether any wallet may pay what looks like a known destination and is not it"
    )
    keep: Duration = Field(timedelta(hours=1), description="how long a payment that was mined stays a finding")

    @model_validator(mode="after")
    def _one_choice(self) -> "UnknownDestination":
        if self.wallets and "tiers" in self.model_fields_set:
            raise ValueError("expected one of tiers and wallets, found both")
        return self

    def concerns(self, wallet: Wallet) -> bool:
        """Whether this wallet may pay nobody unknown."""
        if self.wallets:
            return any(fnmatchcase(wallet.name, pattern.replace("[", "[[]")) for pattern in self.wallets)
        return wallet.tier in self.tiers


def judge(rule: UnknownDestination, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per wallet, whoever owns what is in it."""

    def concerns(state: WalletState) -> bool:
        return rule.look_alikes_of_all_tiers or rule.concerns(state.wallet)

    nothing = "{wallet} pays nobody that it should not know"
    yield from verdicts(rule, picture, policy=policy, alert=ALERT, nothing=nothing, concerns=concerns)
