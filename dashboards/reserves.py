"""Reserves: what stands behind the customers' assets, within which bounds, and how fresh what the books say is."""

from __future__ import annotations

from grafana_foundation_sdk.builders import timeseries
from grafana_foundation_sdk.models import dashboard as model

from dashboards import rules
from dashboards.board import board, choice
from dashboards.looks import NEAR, OK, OVER, UNKNOWN, steps
from dashboards.overview import NAMED, NOBODY
from dashboards.panels import (
    HIGH,
    LOW,
    About,
    AnyPanel,
    Column,
    Place,
    Query,
    Role,
    Scale,
    grid,
    lines,
    number,
    repeated,
    rows,
)

UP = {1: ("current", OK), 0: ("NOT CURRENT", UNKNOWN)}


def reserves() -> model.Dashboard:
    """The dashboard."""
    return board(
        "reserves",
        title="Reserves",
        shows="Guarantee and backing asset by asset, the reserve, each with bounds and limit; and how old the "
        "books and prices are.",
        choices=[
            choice("asset", label="Asset", metric='pyrometer_coverage_ratio{kind=~"guarantee|backing"}', of="asset")
        ],
        panels=[
            *_now(),
            _by_asset("guarantee", "Own coins set aside and kept cold, over the customers' coins that are hot."),
            _by_asset(
                "backing", "What is kept for customers in every tier, custodians included, over what they are owed."
            ),
            _covered(
                "reserve",
                title="Reserve",
                shows="Fund and insurance, over what is required.",
                asset="all",
                place=Place(12, 8),
            ),
            *_feeds(),
            _held(),
        ],
    )


def _now() -> list[AnyPanel]:
    at_worst = f"{rules.coverage('low', kind='.+')} / on (kind, asset) {rules.coverage_limit(kind='.+')}"
    return [
        number(
            About(
                "Coverage at worst, over its limit",
                "Of each kind the asset that is covered least, with the unknown counted against us. Below 100 % "
                "the limit may not be met.",
                f"no rule judges this kind of coverage, nothing is to be covered, or {NOBODY}",
                "NOT JUDGED",
            ),
            Query(f"min by (kind) ({at_worst})", "{{kind}}"),
            place=Place(15, 4),
            scale=Scale("percentunit", decimals=1),
            steps=steps((0, OVER), (1, OK)),
            text=NAMED,
        ),
        number(
            About(
                "Sources not current",
                "Sources of prices, books, funds and approvals whose values are too old or were never there.",
                NOBODY,
                "ALL",
            ),
            Query("sum(1 - max by (feed, source) (pyrometer_feed_up))"),
            place=Place(4, 4),
            scale=Scale("none", decimals=0),
            steps=steps((0, OK), (1, UNKNOWN)),
        ),
        number(
            About(
                "Oldest values, of their limit",
                "Age of a source's values over its `max_age`; the worst of all. From 100 % on they are not used "
                "any more; a source that has none that could be used, or has never answered, counts as that old.",
                f"no source's values age, or {NOBODY}",
                "NONE AGES",
            ),
            Query(
                f"max({_age()} / on (feed, source) {_age_limit()} or on (feed, source) 1 + 0 * {_age_limit()})",
            ),
            place=Place(5, 4),
            scale=Scale("percentunit", decimals=0),
            steps=steps((0, OK), (0.67, NEAR), (1, UNKNOWN)),
        ),
    ]


def _covered(kind: str, *, title: str, shows: str, asset: str, place: Place) -> timeseries.Panel:
    return lines(
        About(
            title,
            f"{shows} The ratio, the band in which it must lie where it is not known exactly, and the limit (dashed).",
            f"nothing must be covered, no rule and no source speaks of it, or {NOBODY} A band alone: it is not "
            "known exactly.",
            "NOTHING TO COVER, OR NOT KNOWN",
        ),
        Query(rules.coverage("low", kind=kind, asset=asset), LOW, Role.LOW),
        Query(rules.coverage("high", kind=kind, asset=asset), HIGH, Role.HIGH),
        Query(rules.coverage("value", kind=kind, asset=asset), kind),
        Query(rules.coverage_limit(kind=kind, asset=asset), "limit", Role.LIMIT),
        place=place,
        scale=Scale("percentunit", least=None),
    )


def _by_asset(kind: str, shows: str) -> AnyPanel:
    panel = _covered(kind, title=f"{kind.capitalize()} of $asset", shows=shows, asset="$asset", place=Place(24, 8))
    return repeated(panel, "asset", a_row=4)


def _age() -> str:
    return "min by (feed, source) (pyrometer_feed_age_seconds)"


def _oldest() -> str:
    """Within each step, so that none is missed between two."""
    return "min by (feed, source) (max_over_time(pyrometer_feed_age_seconds[$__rate_interval]))"


def _age_limit() -> str:
    return "max by (feed, source) (pyrometer_feed_max_age_seconds)"


def _feeds() -> list[AnyPanel]:
    return [
        lines(
            About(
                "Age of what sources say, of its limit",
                "Of each source of prices, books, funds and approvals: age of its values over its `max_age`. From "
                "100 % (dashed) on they are not used.",
                f"no source's values age, none has ever answered, or {NOBODY}",
                "NEVER",
            ),
            Query(f"{_oldest()} / on (feed, source) {_age_limit()}", "{{feed}}/{{source}}"),
            Query("1 + 0 * max(pyrometer_report_age_seconds)", "limit", Role.LIMIT),
            place=Place(12, 8),
            scale=Scale("percentunit"),
        ),
        rows(
            About("Sources", "When the values of each source were current.", NOBODY, "NOT JUDGED"),
            Query("max by (feed, source) (pyrometer_feed_up)", "{{feed}}/{{source}}"),
            place=Place(12, 10),
            said=UP,
        ),
    ]


def _held() -> AnyPanel:
    held = '{asset=~"$asset"}'
    return grid(
        About(
            "What is kept",
            "Whole coins and their value by owner and tier, custodians included.",
            f"a sum of which a part is not known is not shown, or {NOBODY}",
            "NOT KNOWN",
        ),
        Column("asset", label="asset", width=80),
        Column("owner", label="owner"),
        Column("tier", label="tier", width=80),
        Column("coins", expr=f"max by (asset, owner, tier) (pyrometer_holdings{held})", unit="locale", decimals=4),
        Column("value", expr=f"max by (asset, owner, tier) (pyrometer_holdings_value{held})", decimals=2),
        place=Place(12, 10),
    )
