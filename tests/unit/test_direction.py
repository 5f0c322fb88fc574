"""The direction of imports: connectors never know the daemon, the daemon never knows a chain library."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHAIN_LIBRARIES = {
    "web3": "connectors/evm",
    "eth_abi": "connectors/evm",
    "eth_account": None,
    "eth_hash": "connectors/evm",
    "eth_keys": "connectors/evm",
    "rlp": "connectors/evm",
    "eth_typing": "connectors/evm",
    "eth_utils": "connectors/evm",
    "hexbytes": "connectors/evm",
    "bitcoinlib": "connectors/bitcoin",
    "coincurve": "connectors/bitcoin",
    "Crypto": "connectors",
}
"""Library → the only folder that may import it; None: nothing may, it handles keys."""


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def test_there_are_modules_to_look_at() -> None:
    assert len(modules("connectors", "daemon")) > 20


@pytest.mark.parametrize("path", modules("connectors"), ids=lambda path: str(path.relative_to(ROOT)))
def test_connectors_never_import_the_daemon(path: Path) -> None:
    assert not [name for name in imported(path) if name.split(".")[0] == "daemon"]


@pytest.mark.parametrize("path", modules("connectors", "daemon"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_chain_library_is_imported_only_by_its_connector(path: Path) -> None:
    for name in imported(path):
        top = name.split(".")[0]
        if top in CHAIN_LIBRARIES:
            home = CHAIN_LIBRARIES[top]
            assert home is not None, f"{path.relative_to(ROOT)} imports {name}"
            assert path.is_relative_to(ROOT / home), f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("path", modules("connectors", "daemon"), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_are_absolute_and_never_reach_into_the_tests_or_the_dashboards(path: Path) -> None:
    outside = ("tests", "dashboards")
    assert not [name for name in imported(path) if name.startswith(".") or name.split(".")[0] in outside]


@pytest.mark.parametrize("path", modules("dashboards"), ids=lambda path: str(path.relative_to(ROOT)))
def test_dashboards_never_import_the_tests_and_only_their_pictures_run_the_daemon(path: Path) -> None:
    tops = {name.split(".")[0] for name in imported(path)}
    assert "tests" not in tops
    assert "daemon" not in tops or path.is_relative_to(ROOT / "dashboards/pictures")


def test_the_store_keeps_its_sessions_to_itself() -> None:
    """But for the source that asks a database of the operator's own."""
    asks = ROOT / "daemon/feeds/sql.py"
    modules_ = [path for path in modules("connectors", "daemon") if path != asks]
    outside = [path for path in modules_ if not path.is_relative_to(ROOT / "daemon/store")]
    assert not [path for path in outside if any(name.split(".")[0] == "sqlalchemy" for name in imported(path))]


def test_configuration_and_deployment_hold_no_python() -> None:
    assert modules("config", "deploy") == []
