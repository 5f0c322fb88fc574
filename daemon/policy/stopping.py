"""Which wallets a verdict concerns, so that their signers can be stopped."""

from __future__ import annotations

from daemon.exposure import ALL
from daemon.model import Owner
from daemon.policy.rule import Closes, Picture, Rule


def holders(rule: Rule, picture: Picture, *, scope: str) -> tuple[str, ...]:
    """Customers' wallets that may hold an asset, or any with the scope `all`; none where the rule stops nobody.

    Also those that hold nothing of it now: they are where the rest would pass through.
    """
    if rule.closes is not Closes.WALLETS:
        return ()
    return tuple(
        name
        for name, state in picture.wallets.items()
        if state.wallet.owner is Owner.CUSTOMER and (scope == ALL or scope in state.holdings or scope in state.doubtful)
    )


def on_chain(rule: Rule, picture: Picture, *, chain: str) -> tuple[str, ...]:
    """Every wallet of a chain; none where the rule stops nobody."""
    if rule.closes is not Closes.WALLETS:
        return ()
    return tuple(name for name, state in picture.wallets.items() if state.wallet.chain == chain)
