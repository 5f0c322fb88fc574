"""The dashboards, and their files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from dashboards.chains import chains
from dashboards.itself import itself
from dashboards.overview import overview
from dashboards.reserves import reserves
from dashboards.wallets import wallets

FOLDER = Path(__file__).parents[1] / "deploy" / "grafana" / "dashboards"
DASHBOARDS: Mapping[str, Callable[[], model.Dashboard]] = {
    "overview": overview,
    "wallets": wallets,
    "chains": chains,
    "reserves": reserves,
    "daemon": itself,
}
"""Name of the file → what makes it."""


def rendered(name: str) -> str:
    """The file that Grafana reads; the same every time."""
    return json.dumps(DASHBOARDS[name](), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
