"""Where the files stand that come with the program: in a checkout, or where an installation puts them."""

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1] / "config"
INSTALLED = Path(sys.prefix) / "share" / "pyrometer"


def shipped(name: Path) -> Path:
    """The path of a file under `config/`, such as `demo.yaml`."""
    return next((folder / name for folder in (CHECKOUT, INSTALLED) if (folder / name).exists()), CHECKOUT / name)
