"""`python -m dashboards` writes the dashboards where Grafana finds them; files of others are left alone."""

from __future__ import annotations

import sys

from dashboards.catalogue import DASHBOARDS, FOLDER, rendered


def main() -> None:
    """Writes all of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in DASHBOARDS:
        path = FOLDER / f"{name}.json"
        path.write_text(rendered(name))
        sys.stdout.write(f"{path.relative_to(FOLDER.parents[2])}\n")


if __name__ == "__main__":
    main()
