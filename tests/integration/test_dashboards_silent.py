"""Panels of what is worst or missing, on series that are not there: who never said anything is not fine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from dashboards.pictures.reading import read
from tests.integration.prometheus import HINT
from tests.real import require_program

pytestmark = [pytest.mark.real, pytest.mark.timeout(60)]

CHOSEN = {"$entity": "E", "$wallet": ".+", "$asset": ".+", "$__range": "6h", "$__interval": "1m"}


def asked(board: str, *, title: str) -> Sequence[str]:
    """The queries of a panel, with everything chosen."""
    (panel,) = (one for one in read(board).panels if one.title == title)
    found = [target.expr for target in panel.targets]
    for name, value in CHOSEN.items():
        found = [expr.replace(name, value) for expr in found]
    return found


async def says(folder: Path, expr: str, *, series: Mapping[str, str], samples: Mapping[str, float]) -> None:
    """Whether a query gives exactly these samples after ten minutes of such series."""
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": expr,
                "eval_time": "10m",
                "exp_samples": [{"labels": labels, "value": value} for labels, value in samples.items()],
            }
        ],
    }
    (folder / "test.yml").write_text(yaml.safe_dump({"tests": [test]}))
    process = await asyncio.create_subprocess_exec(
        require_program("promtool", HINT),
        *("test", "rules", folder / "test.yml"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


FRESH = {
    'pyrometer_feed_max_age_seconds{entity="E",feed="prices",source="exchange"}': "60x10",
    'pyrometer_feed_age_seconds{entity="E",feed="prices",source="exchange"}': "6x10",
}
SILENT = {'pyrometer_feed_max_age_seconds{entity="E",feed="liabilities",source="sql"}': "300x10"}


@pytest.mark.parametrize(("series", "oldest"), [(FRESH, 0.1), (FRESH | SILENT, 1.0), (SILENT, 1.0)])
async def test_a_source_that_never_answered_is_the_oldest_and_not_left_out(
    tmp_path: Path, series: Mapping[str, str], oldest: float
) -> None:
    (expr,) = asked("reserves", title="Oldest values, of their limit")
    await says(tmp_path, expr, series=series, samples={"{}": oldest})


async def test_a_wallet_that_was_never_read_within_the_range_is_not_known_now(tmp_path: Path) -> None:
    """Beside one that is read, and one that was read until five minutes ago."""
    series = {
        'pyrometer_gate_open{entity="E",wallet="read"}': "1x10",
        'pyrometer_wallet_balance{entity="E",wallet="read",asset="ETH",tier="hot"}': "5x10",
        'pyrometer_wallet_unread_accounts{entity="E",wallet="read"}': "0x10",
        'pyrometer_wallet_balance{entity="E",wallet="lost",asset="ETH",tier="hot"}': "7x4 stale",
        'pyrometer_wallet_unread_accounts{entity="E",wallet="lost"}': "0x4 1x5",
        'pyrometer_wallet_unread_accounts{entity="E",wallet="never"}': "2x10",
    }
    was, _, unread, nobody = asked("wallets", title="Not known now")
    await says(tmp_path, was, series=series, samples={'{wallet="lost",asset="ETH",tier="hot"}': 7})
    await says(tmp_path, unread, series=series, samples={'{wallet="lost"}': 1, '{wallet="never"}': 2})
    await says(tmp_path, nobody, series=series, samples={})
