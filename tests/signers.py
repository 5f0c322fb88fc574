"""The signers of docs/gate.md: the very code that stands there."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

TEXT = (Path(__file__).parents[1] / "docs" / "gate.md").read_text()


def over_http() -> Callable[..., bool]:
    """`may_sign(wallet, url=, token=)`."""
    found: Callable[..., bool] = _defined("A signer over HTTP")["may_sign"]
    return found


def over_mqtt() -> Callable[..., Any]:
    """`Gates(host, port, prefix=)`."""
    found: Callable[..., Any] = _defined("A signer over MQTT 5")["Gates"]
    return found


def _defined(chapter: str) -> dict[str, Any]:
    """What the code of a chapter defines."""
    _, _, rest = TEXT.partition(f"\n## {chapter}\n")
    code = re.findall(r"^```python\n(.*?)^```$", rest.partition("\n## ")[0], re.M | re.S)
    assert len(code) == 1, chapter
    names: dict[str, Any] = {}
    exec(compile(code[0], "docs/gate.md", "exec"), names)
    return names
