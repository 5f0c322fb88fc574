"""Overview: is the exchange inside its policy right now, how far from its limits, and what is not known."""

from __future__ import annotations

from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model

from dashboards import rules
from dashboards.board import board
from dashboards.looks import NEAR, NEUTRAL, OK, OVER, STATES, UNKNOWN, steps
from dashboards.panels import HIGH, LOW, About, AnyPanel, Column, Place, Query, Role, Scale, grid, lines, number, rows

NOBODY = "nobody judges: Pyrometer is down, stuck, or not scraped. The numbers of before are no longer true."
NAMED = options.BigValueTextMode.VALUE_AND_NAME
ALL = ', scope="all"'


def overview() -> model.Dashboard:
    """The dashboard."""
    return board(
        "overview",
        title="Overview",
        shows="Is the exchange inside its policy right now: hot share against limit, exposure against coverage, "
        "what is unknown.",
        panels=[*_now(), *_shares(), *_judged(), *_open()],
    )


def _now() -> list[AnyPanel]:
    return [
        number(
            About("Policy", "The worst verdict of all rules now: ok, not known, or broken.", NOBODY, "NOT JUDGED"),
            Query(f"max({rules.worst('policy')})"),
            place=Place(5, 4),
            scale=Scale("none", least=None),
            steps=steps((0, OK), (1, UNKNOWN), (2, OVER)),
            said={0: ("INSIDE", OK), 1: ("UNKNOWN", UNKNOWN), 2: ("BREACH", OVER)},
        ),
        number(
            About(
                "Hot share",
                "Share of all customers' assets, by value, that a machine that is online can spend alone.",
                f"an account, a chain or a price that matters is not known (its bounds are below), or {NOBODY}",
                "UNKNOWN",
            ),
            Query(rules.share("value", where=ALL)),
            place=Place(4, 4),
            scale=Scale("percentunit", decimals=2),
            steps=steps((0, NEUTRAL)),
        ),
        number(
            About(
                "At worst, of the limit",
                "The hot share as high as it may be, over its strictest limit. From 100 % on the limit may be "
                "exceeded.",
                f"no rule limits the hot share of all assets, nothing bounds it from above, or {NOBODY}",
                "UNKNOWN",
            ),
            Query(f"{rules.share('high', where=ALL)} / on (scope) {rules.share_limit()}"),
            place=Place(4, 4),
            scale=Scale("percentunit", decimals=0),
            steps=steps((0, OK), (0.8, NEAR), (1, OVER)),
        ),
        number(
            About(
                "Exposure",
                "Value of customers' assets in the hot tier.",
                f"an account, a chain or a price that matters is not known, or {NOBODY}",
                "UNKNOWN",
            ),
            Query("max by (currency) (pyrometer_exposure_value)", "{{currency}}"),
            place=Place(4, 4),
            scale=Scale("short", decimals=2),
            steps=steps((0, NEUTRAL)),
            text=NAMED,
        ),
        number(
            About("Not known", "How many verdicts are `unknown` now.", NOBODY, "ALL"),
            Query('sum(max by (policy, subject) (pyrometer_verdict{verdict="unknown"}))'),
            place=Place(2, 4),
            scale=Scale("none"),
            steps=steps((0, OK), (1, UNKNOWN)),
        ),
        number(
            About(
                "Gates closed",
                "Wallets whose signers are told to stop.",
                "Pyrometer is down or not scraped; a signer that gets no answer must read that as closed.",
                "ALL",
            ),
            Query("sum(1 - min by (wallet) (pyrometer_gate_open))"),
            place=Place(2, 4),
            scale=Scale("none"),
            steps=steps((0, OK), (1, OVER)),
        ),
        number(
            About(
                "Judged",
                "How long ago the picture was last judged. After 10 s all numbers are withheld.",
                "Pyrometer is down or not scraped.",
                "NEVER",
            ),
            Query("min(pyrometer_report_age_seconds)"),
            place=Place(3, 4),
            scale=Scale("s", decimals=1),
            steps=steps((0, OK), (5, NEAR), (10, OVER)),
        ),
    ]


def _shares() -> list[AnyPanel]:
    guarantee = '{owner="guarantee", tier="cold"}'
    unknown = f"({rules.coverage('low', kind='guarantee')} unless {rules.coverage('value', kind='guarantee')})"
    return [
        lines(
            About(
                "Hot share of all assets, against its limit",
                "The share itself, the band in which it must lie where it is not known exactly, and the limits "
                "(dashed).",
                "a broken line is a time at which the share was not known; the band says within which bounds. "
                f"Without a band {NOBODY}",
                "NOT JUDGED",
            ),
            Query(rules.share("low", where=ALL), LOW, Role.LOW),
            Query(rules.share("high", where=ALL), HIGH, Role.HIGH),
            Query(rules.share("value", where=ALL), "hot share"),
            Query(
                'min by (scope, policy) (pyrometer_hot_share_limit_ratio{scope="all"})', "limit {{policy}}", Role.LIMIT
            ),
            place=Place(14, 9),
            scale=Scale("percentunit"),
        ),
        lines(
            About(
                "Exposure, and what is set aside behind it",
                "Value of customers' assets in the hot tier, and of the company's own that are kept cold as a "
                "guarantee. "
                "The guarantee of one asset does not cover another: per asset it stands under Reserves.",
                "a part of the sum is not known, and a sum without it would be wrong; no guarantee is kept; or "
                f"{NOBODY}",
                "NOT KNOWN",
            ),
            Query("max by (currency) (pyrometer_exposure_value)", "exposure ({{currency}})"),
            Query(
                f"sum by (currency) (max by (asset, currency) (pyrometer_holdings_value{guarantee}))"
                f" and on () {rules.share('value', where=ALL)} unless on () {unknown}",
                "guarantee ({{currency}})",
            ),
            place=Place(10, 9),
            scale=Scale("short"),
        ),
        _assets(),
        lines(
            About(
                "Coverage at worst, over its limit",
                "Of each kind the asset that is covered least, with the unknown counted against us. At 100 % "
                "(dashed) the limit is met.",
                f"no rule judges this kind of coverage, nothing is to be covered, or {NOBODY}",
                "NOT JUDGED",
            ),
            Query(
                f"min by (kind) ({rules.coverage('low', kind='.+')} / on (kind, asset) "
                f"{rules.coverage_limit(kind='.+')})",
                "{{kind}}",
            ),
            Query("1 + 0 * max(pyrometer_report_age_seconds)", "limit", Role.LIMIT),
            place=Place(9, 8),
            scale=Scale("percentunit"),
        ),
    ]


def _assets() -> AnyPanel:
    known = rules.by_asset('pyrometer_hot_share_ratio{bound="high", scope!="all"}', label="scope")
    state = rules.by_asset(rules.worst("subject"), label="subject")
    shares = {
        bound: rules.by_asset(
            f'pyrometer_hot_share_ratio{{bound="{bound}", scope!="all"}}',
            label="scope",
            merge="min" if bound == "low" else "max",
        )
        for bound in ("low", "value", "high")
    }
    limit = rules.by_asset('pyrometer_hot_share_limit_ratio{scope!="all"}', label="scope", merge="min")
    return grid(
        About(
            "Assets",
            "Each asset's hot share with its bounds and limit, and what stands behind it at worst.",
            f"{NOBODY} An empty cell is not known, or no rule asks for it.",
            "NOT JUDGED",
        ),
        Column("asset", label="asset", width=90),
        Column("rules", expr=f"{state} and on (asset) {known}", unit="none", said=STATES),
        *(
            Column(title, expr=expr, unit="percentunit", decimals=2)
            for title, expr in (
                ("hot share", shares["value"]),
                ("at least", shares["low"]),
                ("at most", shares["high"]),
                ("limit", limit),
            )
        ),
        Column(
            "guarantee ≥",
            expr=f"min by (asset) ({rules.coverage('low', kind='guarantee')})",
            unit="percentunit",
            decimals=1,
        ),
        Column(
            "backing ≥",
            expr=f"min by (asset) ({rules.coverage('low', kind='backing')})",
            unit="percentunit",
            decimals=1,
        ),
        place=Place(15, 8),
    )


def _judged() -> list[AnyPanel]:
    return [
        rows(
            About(
                "Rules",
                "Each rule's worst verdict over its subjects.",
                f"where a row is empty, the rule was not judged: {NOBODY}",
                "NOT JUDGED",
            ),
            Query(rules.worst("policy"), "{{policy}}"),
            place=Place(13, 10),
            said=STATES,
        ),
        grid(
            About(
                "What is not ok now",
                "Every rule and subject that is broken or not known. What to do stands in the runbook of the "
                "alert (docs/alerts).",
                "every rule says ok. While nobody judges, this table says so in a row of its own.",
                "Every rule says ok",
            ),
            Column("rule", label="policy"),
            Column("subject", label="subject"),
            Column("severity", label="severity", width=90),
            Column(
                "state",
                expr='max by (policy, subject, severity) (1 * (pyrometer_verdict{verdict="unknown"} == 1)'
                ' or 2 * (pyrometer_verdict{verdict="breach"} == 1))',
                unit="none",
                said=STATES,
                width=110,
            ),
            more=[Query(rules.unless_blind("pyrometer_verdict", column="policy"))],
            place=Place(11, 10),
        ),
    ]


def _open() -> list[AnyPanel]:
    return [
        lines(
            About(
                "Findings",
                "How many findings fire, and how many wait for their hold time, by severity.",
                NOBODY,
                "NOT JUDGED",
            ),
            Query(
                'max by (state, severity) (pyrometer_findings{severity=~"critical|warning"})', "{{severity}}, {{state}}"
            ),
            place=Place(8, 8),
            scale=Scale("none", decimals=0, soft_most=2),
        ),
        lines(
            About(
                "Accounts that can't be read",
                "Accounts (times tokens) without a current reading, by chain; Chains and nodes shows why.",
                f"{NOBODY} A chain that is read whole shows 0.",
                "NOT JUDGED",
            ),
            Query(rules.unread("chain"), "{{chain}}"),
            place=Place(8, 8),
            scale=Scale("none", decimals=0, soft_most=2),
        ),
        grid(
            About(
                "Closed gates",
                "Wallets whose signers are told to stop.",
                "no gate is closed. While nobody tells, this table says so in a row of its own, and signers must stop.",
                "No gate is closed",
            ),
            Column("wallet", label="wallet"),
            Column(
                "gate",
                expr="min by (wallet) (pyrometer_gate_open) == 0",
                said={0: ("CLOSED", OVER), 1: ("CLOSED", UNKNOWN)},
                width=110,
            ),
            more=[Query(rules.unless_blind("pyrometer_gate_open", column="wallet"))],
            place=Place(8, 8),
        ),
    ]
