"""Chains and nodes: how old what was read is, what could not be read and why, and which node is to blame."""

from __future__ import annotations

from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model

from dashboards import rules
from dashboards.board import board, choice
from dashboards.looks import NEAR, NEUTRAL, OK, UNKNOWN, steps
from dashboards.overview import NAMED, NOBODY
from dashboards.panels import About, AnyPanel, Column, Place, Query, Role, Scale, grid, lines, number

CHOSEN = 'chain=~"$chain"'
DOWN = "Pyrometer is down or not scraped."
SINCE = "Nodes begin to count anew when Pyrometer or the chain's worker starts."
BARS = options.GraphDrawStyle.BARS


def chains() -> model.Dashboard:
    """The dashboard."""
    return board(
        "chains",
        title="Chains and nodes",
        shows="How old each chain's reading is against its limit, what could not be read and why, and how its "
        "nodes answer.",
        choices=[choice("chain", label="Chain", metric="pyrometer_chain_max_age_seconds", of="chain")],
        panels=[*_now(), *_ages(), *_nodes(), *_contradictions(), _totals()],
    )


def _limit(age: str) -> str:
    metric = {"reading": "pyrometer_chain_max_age_seconds", "tip": "pyrometer_chain_max_tip_age_seconds"}[age]
    return f"max by (chain) ({metric}{{{CHOSEN}}})"


def _limited(age: str) -> str:
    """Of its limit; -1 for a chain that has none, because it was never read."""
    limit = _limit(age)
    known = f"min by (chain) (pyrometer_chain_{age}_age_seconds{{{CHOSEN}}}) / on (chain) {limit}"
    return f"{known} or on (chain) 0 * {limit} - 1"


def _now() -> list[AnyPanel]:
    never = {-1: ("NEVER READ", UNKNOWN)}
    return [
        number(
            About(
                "Age of the reading, of its limit",
                "Time since a node last confirmed the block that our numbers stand on, over the chain's "
                "`max_age`. From 100 % on they are unknown.",
                DOWN,
                "NOT SCRAPED",
            ),
            Query(_limited("reading"), "{{chain}}"),
            place=Place(8, 4),
            scale=Scale("percentunit", least=None, decimals=0),
            steps=steps((0, OK), (0.67, NEAR), (1, UNKNOWN)),
            said=never,
            text=NAMED,
        ),
        number(
            About(
                "Height",
                "The block that was read, while the reading is current.",
                f"{DOWN} A chain without a current reading says so by its name.",
                "NOT SCRAPED",
            ),
            Query(
                f"max by (chain) (pyrometer_chain_height{{{CHOSEN}}})"
                f" or on (chain) 0 * max by (chain) (pyrometer_chain_max_age_seconds{{{CHOSEN}}}) - 1",
                "{{chain}}",
            ),
            place=Place(8, 4),
            scale=Scale("none", least=None, decimals=0),
            steps=steps((0, NEUTRAL)),
            said={-1: ("NOT READ", UNKNOWN)},
            text=NAMED,
        ),
        number(
            About(
                "Accounts that can't be read",
                "Accounts (times tokens) without a current reading.",
                NOBODY,
                "NOT JUDGED",
            ),
            Query(rules.unread("chain", where=CHOSEN), "{{chain}}"),
            place=Place(8, 4),
            scale=Scale("none", decimals=0),
            steps=steps((0, OK), (1, UNKNOWN)),
            text=NAMED,
        ),
    ]


def _ages() -> list[AnyPanel]:
    found: list[AnyPanel] = []
    for age, title, shows in (
        (
            "reading",
            "Age of the reading",
            "Time since a node last confirmed the block; above `max_age` (dashed) what it holds is unknown.",
        ),
        (
            "tip",
            "Age of the newest block",
            "By the block's own clock; above `max_tip_age` (dashed) the chain counts as standing still.",
        ),
    ):
        found.append(
            lines(
                About(
                    title,
                    shows,
                    f"the chain was never read, or {DOWN} An age goes on while nothing is read.",
                    "NEVER READ",
                ),
                Query(
                    f"min by (chain) (max_over_time(pyrometer_chain_{age}_age_seconds{{{CHOSEN}}}[$__rate_interval]))",
                    "{{chain}}",
                ),
                Query(_limit(age), "limit {{chain}}", Role.LIMIT),
                place=Place(12, 8),
                scale=Scale("s"),
            )
        )
    return found


def _nodes() -> list[AnyPanel]:
    failed = f"sum by (chain, provider) (rate(pyrometer_provider_errors_total{{{CHOSEN}}}[$__rate_interval]))"
    asked = f"sum by (chain, provider) (rate(pyrometer_provider_requests_total{{{CHOSEN}}}[$__rate_interval]))"
    return [
        lines(
            About(
                "Accounts that can't be read, by reason",
                "Accounts (times tokens) without a current reading; the reasons stand in docs/metrics.md.",
                f"nothing is unread, or {NOBODY} The number above tells which: it is 0, or not there.",
                "Nothing is unread, if the number above is 0",
            ),
            Query(
                f"sum by (chain, reason) (max by (chain, reason) (pyrometer_unread_accounts{{{CHOSEN}}}))",
                "{{chain}}: {{reason}}",
            ),
            place=Place(12, 8),
            scale=Scale("none", decimals=0, soft_most=2),
        ),
        lines(
            About(
                "Errors by reason",
                "Requests that failed within each step, by node and reason. The first ever of its kind does not "
                "show: a counter that appears has not grown yet.",
                f"no request has failed, or {DOWN} Requests beside tell which.",
                "No request has failed, if there are any",
            ),
            Query(
                "sum by (chain, provider, reason) "
                f"(increase(pyrometer_provider_errors_total{{{CHOSEN}}}[$__rate_interval]))",
                "{{chain}} {{provider}}: {{reason}}",
            ),
            place=Place(12, 8),
            scale=Scale("short", decimals=0, soft_most=2),
            style=BARS,
        ),
        lines(
            About(
                "Requests to nodes", "Requests in a second, by node.", f"no node is asked, or {DOWN}", "NOBODY IS ASKED"
            ),
            Query(asked, "{{chain}} {{provider}}"),
            place=Place(12, 8),
            scale=Scale("reqps"),
        ),
        lines(
            About(
                "Share of requests that fail",
                "Errors over requests, by node.",
                f"no node is asked, or {DOWN}",
                "NOBODY IS ASKED",
            ),
            Query(f"({failed} or 0 * {asked}) / ({asked} > 0)", "{{chain}} {{provider}}"),
            place=Place(12, 8),
            scale=Scale("percentunit", soft_most=0.1),
        ),
    ]


def _contradictions() -> list[AnyPanel]:
    found: list[AnyPanel] = []
    for metric, labels, legend, title, shows in (
        (
            "provider_disagreements",
            "chain, provider",
            "{{chain}} {{provider}}",
            "Disagreements",
            "Readings within each step in which a node contradicted the others at the same block: evidence, not noise.",
        ),
        ("reorgs", "chain", "{{chain}}", "Reorganisations", "That were followed, within each step."),
        (
            "drift_accounts",
            "chain",
            "{{chain}}",
            "Drift",
            "Accounts of which a scheduled sweep found something else than was followed, within each step.",
        ),
    ):
        found.append(
            lines(
                About(
                    title, shows, f"the chain has no worker, or {DOWN} While all is well the bars are 0.", "NOT COUNTED"
                ),
                Query(f"sum by ({labels}) (increase(pyrometer_{metric}_total{{{CHOSEN}}}[$__rate_interval]))", legend),
                place=Place(8, 7),
                scale=Scale("short", decimals=0, soft_most=2),
                style=BARS,
            )
        )
    return found


def _totals() -> AnyPanel:
    def counted(what: str) -> str:
        return f"sum by (chain, provider) (pyrometer_provider_{what}_total{{{CHOSEN}}})"

    asked = counted("requests")
    return grid(
        About(
            "Nodes",
            f"What each node was asked and how it answered, since it is counted. {SINCE}",
            f"no node is asked, or {DOWN}",
            "NOBODY IS ASKED",
        ),
        Column("chain", label="chain"),
        Column("node", label="provider"),
        Column("requests", expr=asked, decimals=0),
        Column("errors", expr=f"{counted('errors')} or 0 * {asked}", decimals=0, steps=steps((0, OK), (1, NEAR))),
        Column("disagreements", expr=counted("disagreements"), decimals=0, steps=steps((0, OK), (1, UNKNOWN))),
        place=Place(24, 8),
    )
