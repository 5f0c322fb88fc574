"""The door to bitcoinlib: late, without a trace in the home directory, and only for names of scripts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.bitcoin.reference import script_type
from tests.unit.bitcoin.published import KEY, UNCOMPRESSED

pytestmark = pytest.mark.timeout(60)  # bitcoinlib takes seconds to import, and is, several times

USE = "from connectors.bitcoin.reference import script_type; print(script_type(bytes.fromhex('6a0161')))"


def run(code: str, *, home: Path, temporary: Path) -> str:
    environment = {**os.environ, "HOME": str(home), "TMPDIR": str(temporary)}
    environment.pop("BCL_DATA_DIR", None)  # other tests may have named a folder for the library
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.stderr == ""
    return done.stdout.strip()


def test_nothing_of_the_connector_imports_bitcoinlib_before_it_is_asked_for() -> None:
    modules = ("networks", "address", "descriptors", "derive", "script_cache", "reference")
    code = "".join(f"import connectors.bitcoin.{module}; " for module in modules)
    done = subprocess.run(
        [sys.executable, "-c", f"{code} import sys; print('bitcoinlib' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


def test_a_home_that_cant_be_written_is_no_matter(tmp_path: Path) -> None:
    """As root every folder can be written, so the home is a file's name: nothing can be made below it."""
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.write_text("no folder")
    temporary.mkdir()
    assert run(USE, home=home, temporary=temporary) == "nulldata"
    assert list(temporary.iterdir()) == []


def test_no_folder_appears_in_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    assert run(USE, home=home, temporary=tmp_path) == "nulldata"
    assert list(home.iterdir()) == []
    assert list(tmp_path.iterdir()) == [home]


def test_the_environment_is_left_as_it_was(tmp_path: Path) -> None:
    code = f"{USE}; import os; print(os.environ.get('BCL_DATA_DIR'))"
    assert run(code, home=tmp_path, temporary=tmp_path) == "nulldata\nNone"
    named = f"import os; os.environ['BCL_DATA_DIR'] = '/nowhere'; {code}"
    assert run(named, home=tmp_path, temporary=tmp_path) == "nulldata\n/nowhere"


@pytest.mark.parametrize(
    ("script", "name"),
    [
        (f"21{KEY}ac", "p2pk"),
        (f"41{UNCOMPRESSED}ac", "p2pk"),
        (f"5121{KEY}41{UNCOMPRESSED}52ae", "multisig"),
        ("6a0b68656c6c6f20776f726c64", "nulldata"),
        ("6a", "nulldata"),
        ("", "unknown"),
        ("51", "unknown"),
        ("4c", "unknown"),
        ("5210751e76e8199196d454941c45d1b3a323", "unknown"),
        ("6a" + "01ff" * 600, "unknown"),
    ],
)
def test_a_script_without_an_address_is_named(script: str, name: str) -> None:
    assert script_type(bytes.fromhex(script)) == name


@settings(deadline=None)
@given(st.binary(max_size=120))
def test_any_script_has_a_name(script: bytes) -> None:
    assert script_type(script) in ("p2pk", "multisig", "nulldata", "unknown")
