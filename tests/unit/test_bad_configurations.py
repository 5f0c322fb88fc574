"""What users get to read: for each mistake the exact line, with file, line, key, and what was expected."""

from pathlib import Path
from typing import NotRequired, TypedDict

import pytest
import yaml

from daemon.errors import ConfigError
from daemon.settings import load

DATA = Path(__file__).parents[1] / "data"
GOOD = (DATA / "good.yaml").read_text()


class Mistake(TypedDict):
    """`old` in the good file becomes `new`; without it `new` stands at the end."""

    title: str
    new: str
    expected: str
    old: NotRequired[str]
    env: NotRequired[dict[str, str]]


MISTAKES: list[Mistake] = yaml.safe_load((DATA / "bad_configurations.yaml").read_text())


def spoiled(mistake: Mistake) -> str:
    old = mistake.get("old", "")
    assert old in GOOD, "the table no longer fits the good file"
    return GOOD.replace(old, mistake["new"], 1) if old else GOOD + mistake["new"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_good_file_is_good() -> None:
    Path("p.yaml").write_text(GOOD)
    assert load(Path("p.yaml"), env={}).entity == "Example Exchange KK"


def test_every_mistake_has_a_title_of_its_own() -> None:
    titles = [mistake["title"] for mistake in MISTAKES]
    assert len(set(titles)) == len(titles) >= 35


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake["title"])
def test_a_mistake_is_said_in_one_line(mistake: Mistake) -> None:
    Path("p.yaml").write_text(spoiled(mistake))
    with pytest.raises(ConfigError) as caught:
        load(Path("p.yaml"), env=mistake.get("env", {}))
    assert str(caught.value) == mistake["expected"]
    assert "hunter2" not in repr(caught.value.__cause__)
