"""`disagreement`: nodes gave different values at the same block hash, which honest nodes can't."""

from typing import Literal

from daemon.policy.rule import Rule


class DisagreementRule(Rule):
    """Breach, per chain, while the newest readings contradict each other."""

    kind: Literal["disagreement"]
