"""Wallets: what each holds, what is not known of it, and whether its signers may go on."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from dashboards import rules
from dashboards.board import board, choice
from dashboards.looks import NEAR, OK, OVER, STATES, UNKNOWN, steps
from dashboards.overview import NOBODY
from dashboards.panels import About, AnyPanel, Column, Place, Query, Scale, grid, lines, repeated, rows

CHOSEN = '{wallet=~"$wallet", asset=~"$asset"}'
BALANCE = f"max by (wallet, asset, tier) (pyrometer_wallet_balance{CHOSEN})"
GATE = 'min by (wallet) (pyrometer_gate_open{wallet=~"$wallet"})'
GATES = {1: ("open", OK), 0: ("CLOSED", OVER)}


def wallets() -> model.Dashboard:
    """The dashboard."""
    return board(
        "wallets",
        title="Wallets",
        shows="What each wallet holds, what is not known of it now, and its gate. Never an address: those stand "
        "in the API.",
        choices=[
            choice("asset", label="Asset", metric='pyrometer_hot_share_ratio{scope!="all"}', of="scope"),
            choice("wallet", label="Wallet", metric="pyrometer_gate_open", of="wallet"),
        ],
        panels=[_balances(), *_states(), *_over_time(), *_sums()],
    )


def _balances() -> AnyPanel:
    most = f"max by (wallet, asset, tier) (max_over_time(pyrometer_wallet_balance{CHOSEN}[$__range]))"
    return grid(
        About(
            "Balances",
            "Whole coins that each wallet holds now, how far that is below its highest balance within the time "
            "range, and its gate.",
            f"a balance that is not known stands in the table beside, not here. With both empty {NOBODY}",
            "NOT KNOWN",
        ),
        Column("wallet", label="wallet"),
        Column("tier", label="tier", width=80),
        Column("asset", label="asset", width=80),
        Column("balance", expr=BALANCE, unit="locale", decimals=4),
        Column(
            "below its highest",
            expr=f"1 - {BALANCE} / ({most} > 0) or 0 * {BALANCE}",
            unit="percentunit",
            decimals=1,
            steps=steps((0, OK), (0.25, NEAR), (0.5, OVER)),
        ),
        Column("gate", expr=f"0 * {BALANCE} + on (wallet) group_left () {GATE}", unit="none", said=GATES, width=100),
        place=Place(14, 14),
    )


def _states() -> list[AnyPanel]:
    gone = f"unless {BALANCE}"
    unread = 'max by (wallet) (pyrometer_wallet_unread_accounts{wallet=~"$wallet"}) > 0'
    last = f"max by (wallet, asset, tier) (last_over_time(pyrometer_wallet_balance{CHOSEN}[$__range]))"
    times = f"timestamp(pyrometer_wallet_balance{CHOSEN})[$__range:$__interval]"
    read = f"max by (wallet, asset, tier) (max_over_time({times}))"
    return [
        grid(
            About(
                "Not known now",
                "Balances that were known within the time range and are not now: the last one, with its age. It "
                "counts for nothing. And how many of a wallet's accounts (times tokens) can't be read, also where its "
                "balance was not known within the time range at all.",
                "every account of these wallets is read. While nobody tells, this table says so in a row of its own.",
                "All balances are known",
            ),
            Column("wallet", label="wallet"),
            Column("asset", label="asset", width=80),
            Column("tier", label="tier", width=80),
            Column("was", expr=f"{last} {gone}", unit="locale", decimals=4, steps=steps((0, UNKNOWN))),
            Column("ago", expr=f"time() - {read} {gone}", unit="s", decimals=0, width=110),
            Column("unread", expr=unread, unit="none", width=80, steps=steps((0, UNKNOWN))),
            more=[Query(rules.unless_blind("pyrometer_gate_open", column="wallet"))],
            place=Place(10, 6),
        ),
        rows(
            About(
                "Gates",
                "When the signers of each wallet could go on, and when they had to stop.",
                "where a row is empty, Pyrometer was down or not scraped, and signers had to stop.",
                "CLOSED: nobody tells",
            ),
            Query(GATE, "{{wallet}}"),
            place=Place(10, 8),
            said=GATES,
        ),
    ]


def _over_time() -> list[AnyPanel]:
    """Vaults apart: beside them, what is hot would be a line at the bottom."""
    found: list[AnyPanel] = []
    for title, tiers, height in (("Hot and warm $asset", "hot|warm", 8), ("Cold $asset", "cold", 7)):
        chosen = f'{{wallet=~"$wallet", asset="$asset", tier=~"{tiers}"}}'
        panel = lines(
            About(
                title,
                "Whole coins in each chosen wallet of these tiers.",
                "a broken line is a time at which the balance was not known; no chosen wallet is of these tiers; "
                f"or {NOBODY}",
                "NOT KNOWN, OR NO SUCH WALLET",
            ),
            Query(f"max by (wallet) (pyrometer_wallet_balance{chosen})", "{{wallet}}"),
            place=Place(24, height),
            scale=Scale("short", least=None),
        )
        found.append(repeated(panel, "asset", a_row=4))
    return found


def _sums() -> list[AnyPanel]:
    held = '{asset=~"$asset"}'
    return [
        grid(
            About(
                "Holdings by tier",
                "Sums over all wallets of a tier and an owner, not only the chosen ones.",
                f"a sum of which a part is not known is not shown, or {NOBODY}",
                "NOT KNOWN",
            ),
            Column("asset", label="asset", width=80),
            Column("owner", label="owner"),
            Column("tier", label="tier", width=80),
            Column("coins", expr=f"max by (asset, owner, tier) (pyrometer_holdings{held})", unit="locale", decimals=4),
            Column("value", expr=f"max by (asset, owner, tier) (pyrometer_holdings_value{held})", decimals=2),
            place=Place(12, 10),
        ),
        rows(
            About(
                "Rules on these wallets",
                "Each rule's worst verdict about a chosen wallet.",
                f"no rule judges single wallets, or {NOBODY}",
                "NOT JUDGED",
            ),
            Query(rules.worst("policy", "subject", where=', subject=~"($wallet)"'), "{{policy}} on {{subject}}"),
            place=Place(12, 10),
            said=STATES,
        ),
    ]
