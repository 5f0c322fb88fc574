"""PromQL that several panels share. Two replicas that watch the same exchange never count twice.

A sum never goes over what is partly unknown: then it has no value, as `pyrometer_exposure_value` itself.
"""

from __future__ import annotations

import re

SELECTED = re.compile(r"\b((?:pyrometer|process|scrape)_\w+|up|ALERTS)\b(?:\{(.*?)\})?(?!\()")
"""A metric in PromQL, with what is selected of it."""


def of_one_exchange(expr: str) -> str:
    """The same of the chosen exchange alone: a Prometheus may scrape several, and their numbers must never be mixed."""

    def narrowed(found: re.Match[str]) -> str:
        matchers = ", ".join(filter(None, ('entity="$entity"', found[2])))
        return f"{found[1]}{{{matchers}}}"

    return SELECTED.sub(narrowed, expr)


def worst(*by: str, where: str = "") -> str:
    """0 when every rule says ok, 1 when one can't tell, 2 when one is broken; nothing if nobody judges."""
    kept = ", ".join((*by, "verdict"))
    breach, unknown = (
        f'max by ({kept}) (pyrometer_verdict{{verdict="{word}"{where}}})' for word in ("breach", "unknown")
    )
    return f"max by ({', '.join(by)}) (2 * {breach} or {unknown})"


def share(bound: str, *, where: str = "") -> str:
    """The hot share by scope; of several replicas the more cautious."""
    return f'{_cautious(bound)} by (scope) (pyrometer_hot_share_ratio{{bound="{bound}"{where}}})'


def share_limit(*, where: str = "") -> str:
    """The strictest limit of each scope."""
    return f"min by (scope) (pyrometer_hot_share_limit_ratio{{{where}}})"


def coverage(bound: str, *, kind: str, asset: str = "") -> str:
    """A coverage by asset; of several replicas the more cautious."""
    which = f', asset=~"{asset}"' if asset else ""
    least = "max" if bound == "high" else "min"
    return f'{least} by (kind, asset) (pyrometer_coverage_ratio{{kind=~"{kind}", bound="{bound}"{which}}})'


def coverage_limit(*, kind: str, asset: str = "") -> str:
    """The strictest limit of each asset."""
    which = f', asset=~"{asset}"' if asset else ""
    return f'max by (kind, asset) (pyrometer_coverage_limit_ratio{{kind=~"{kind}"{which}}})'


def by_asset(expr: str, *, label: str, merge: str = "max") -> str:
    """With another label's values as those of `asset`."""
    return f'{merge} by (asset) (label_replace({expr}, "asset", "$1", "{label}", "(.*)"))'


def unless_blind(metric: str, *, column: str) -> str:
    """A row that says `nobody judges` in a column: without it a table would be empty for lack of anybody who tells."""
    return f'max by ({column}) (label_replace(absent({metric}), "{column}", "nobody judges", "", ""))'


def _cautious(bound: str) -> str:
    return "min" if bound == "low" else "max"


def unread(*by: str, where: str = "") -> str:
    """How many accounts can't be read, 0 for a chain that is read whole, nothing if nobody judges."""
    labels, chains = ", ".join(by), f"{{{where}}}" if where else ""
    counted = f"sum by ({labels}) (max by (chain, reason) (pyrometer_unread_accounts{chains}))"
    return f"{counted} or 0 * max by ({labels}) (pyrometer_chain_height{chains})"
