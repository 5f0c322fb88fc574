"""At which blocks a verdict was made: evidence that is another with every block, while the verdict stands."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from daemon.model import ChainState, Verdict


def blocks(chains: Mapping[str, ChainState], names: Iterable[str]) -> dict[str, Any]:
    """The newest block of each of these chains that has one, as evidence."""
    tips = {name: chains[name].tip for name in sorted(set(names))}
    return {name: {"height": tip.height, "hash": tip.hash} for name, tip in tips.items() if tip}


def with_blocks(verdict: Verdict, chains: Mapping[str, ChainState]) -> Verdict:
    """The verdict with the blocks of its chains in its evidence, where it names any and has them not yet."""
    if verdict.chains is None:
        return verdict
    return replace(verdict, evidence={"blocks": blocks(chains, verdict.chains), **verdict.evidence}, chains=None)
