"""Reports as `/api/v1/report` serves them, one for each face that the page can show."""

from collections.abc import Mapping
from typing import Any

JsonObject = dict[str, Any]


def interval(value: str | None, *, low: str | None = None, high: str | None = None) -> JsonObject:
    return {"value": value, "low": value if low is None else low, "high": value if high is None else high}


def wallet(
    tier: str,
    holdings: Mapping[str, tuple[str, str]],
    *,
    owner: str = "customer",
    unread: int = 0,
    last: JsonObject | None = None,
) -> JsonObject:
    held = {asset: {"units": "1", "amount": amount, "value": value} for asset, (amount, value) in holdings.items()}
    return {
        "chain": "ethereum",
        "tier": tier,
        "observed_tier": tier,
        "owner": owner,
        "gate": "open",
        "unread": unread,
        "holdings": held,
    } | ({"last": last} if last else {})


def verdict(policy: str, subject: str, *, is_: str, figures: JsonObject, limit: str | None) -> JsonObject:
    return {"policy": policy, "subject": subject, "verdict": is_, "severity": "critical", "limit": limit} | figures


def ok() -> JsonObject:
    """A quiet morning."""
    share = interval("0.0349")
    return {
        "entity": "Example Exchange KK",
        "at": "2026-11-20T08:12:09Z",
        "currency": "JPY",
        "chains": {
            "ethereum": {
                "height": 492,
                "hash": "0xd41cd64abc4d1e40a0cc3b3ab4b6c5f3bd5c34e2d79fc9a7cbd6db9c0e6a1f77",
                "time": "2026-11-20T08:12:00Z",
                "age_seconds": 9.2,
                "unread": 0,
                "reader": "batch",
                "reason": None,
            }
        },
        "wallets": {
            "eth-hot-1": wallet("hot", {"ETH": ("631.24", "315620000.00"), "USDC": ("296113.5", "44417025.00")}),
            "token-hot-1": wallet(
                "hot",
                {"ETH": ("5", "2500000.00"), "USDC": ("503210.12", "75481518.00"), "LINK": ("36112.4", "79447280.00")},
            ),
            "deposits": wallet(
                "hot",
                {"ETH": ("43.07", "21535000.00"), "USDC": ("41200", "6180000.00"), "LINK": ("2051", "4512200.00")},
            ),
            "company-fees": wallet(
                "hot", {"ETH": ("25", "12500000.00"), "USDC": ("60000", "9000000.00")}, owner="company"
            ),
            "eth-warm-1": wallet("warm", {"ETH": ("1600", "800000000.00")}),
            "eth-vault-1": wallet("cold", {"ETH": ("14000", "7000000000.00")}),
            "usdc-vault": wallet("cold", {"USDC": ("12000000", "1800000000.00")}),
            "guarantee": wallet("cold", {"ETH": ("950", "475000000.00")}, owner="guarantee"),
        },
        "exposure": {
            "value": interval("645211023.00"),
            "hot_share": {
                "all": share,
                "ETH": interval("0.0272"),
                "USDC": interval("0.0549"),
                "LINK": interval("0.0783"),
            },
        },
        "coverage": {"guarantee": {"ETH": interval("1.2107")}, "backing": {}, "reserve": {}},
        "verdicts": [
            verdict("jp-psa/hot-share", "all", is_="ok", figures=share, limit="0.05"),
            verdict("hot-floor", "eth-hot-1", is_="ok", figures=interval("631.24"), limit="250"),
        ],
        "findings": [],
        "feeds": {"prices": {"source": "fixed", "age_seconds": 0}},
    }


def breach() -> JsonObject:
    """Too much was moved to a hot wallet."""
    share = interval("0.0755")
    report = ok()
    report["at"] = "2026-11-20T09:41:07Z"
    report["wallets"]["eth-hot-1"] = wallet(
        "hot", {"ETH": ("2133.24", "1066620000.00"), "USDC": ("296113.5", "44417025.00")}
    )
    report["exposure"]["hot_share"] |= {"all": share, "ETH": interval("0.0792")}
    report["verdicts"][0] = verdict("jp-psa/hot-share", "all", is_="breach", figures=share, limit="0.05")
    report["findings"] = [
        {
            "id": "f1",
            "alert": "PyrometerHotShareHigh",
            "policy": "jp-psa/hot-share",
            "subject": "all",
            "severity": "critical",
            "state": "firing",
            "since": "2026-11-20T09:41:00Z",
            "summary": "7.55 % of customers' assets are hot, over the limit of 5 %",
            "moves": [{"wallet": "eth-hot-1", "asset": "ETH", "amount": "942.118", "direction": "out"}],
            "evidence": {},
        }
    ]
    return report


def unknown() -> JsonObject:
    """The node does not answer: nothing of the chain is known."""
    share = interval(None, low="0.0018", high="1")
    report = ok()
    report["at"] = "2026-11-20T17:12:00Z"
    report["chains"]["ethereum"] |= {
        "age_seconds": 702,
        "unread": 150,
        "reason": "unavailable",
        "detail": "127.0.0.1:8545 refuses connections",
        "since": "2026-11-20T17:00:00Z",
    }
    for held in report["wallets"].values():
        held["last"] = {
            asset: {"amount": had["amount"], "at": "2026-11-20T16:59:42Z"} for asset, had in held["holdings"].items()
        }
        held["unread"] = len(held["holdings"])
        held["holdings"] = {}
    report["exposure"] = {
        "value": interval(None, low="318000000", high=None),
        "hot_share": {
            "all": share,
            "ETH": interval(None, low="0", high=None),
            "USDC": interval(None, low="0.01", high="0.4"),
            "LINK": {},
        },
    }
    report["coverage"] = {"guarantee": {"ETH": interval(None, low="0", high="1.21")}, "backing": {}, "reserve": {}}
    report["verdicts"] = [
        verdict("jp-psa/hot-share", "all", is_="unknown", figures=share, limit="0.05"),
        verdict("hot-floor", "eth-hot-1", is_="unknown", figures=interval(None, low="0", high="620.1"), limit="250"),
        verdict("blind", "chain:ethereum", is_="breach", figures=interval(None), limit=None),
    ]
    report["findings"] = [
        {
            "id": "f2",
            "alert": "PyrometerBlind",
            "policy": "blind",
            "subject": "chain:ethereum",
            "severity": "critical",
            "state": "firing",
            "since": "2026-11-20T17:02:00Z",
            "summary": "ethereum has not been readable for 10 minutes",
            "moves": [],
            "evidence": {},
        }
    ]
    return report
