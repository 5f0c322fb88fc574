"""How the tests read the commands that the documentation shows, and that no chapter of operations goes unread."""

import re
from pathlib import Path

import pytest

from tests.system.written import DOCS, matches, written

SYSTEM = Path(__file__).parents[1] / "system"
WALKED = "".join((SYSTEM / f"test_{name}.py").read_text() for name in ("operations", "changes", "fire_drill"))


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        (["ok"], ["ok"], True),
        (["ok"], ["ok", "and more"], False),
        (["ok"], [], False),
        (["the last is …"], ["the last is 5b1c"], True),
        (["a … c"], ["a b d"], False),
        (["a (b)…"], ["a (b)"], True),
        (["a", "…", "d"], ["a", "b", "c", "d"], True),
        (["a", "…", "d"], ["a", "d"], True),
        (["a", "…", "d"], ["a", "d", "e"], False),
        (["…"], [], True),
        ([], ["anything"], False),
    ],
)
def test_what_is_shown_is_what_is_printed_but_for_what_is_left_out(
    shown: list[str], printed: list[str], *, same: bool
) -> None:
    assert matches(shown, printed) is same


def test_a_chapter_ends_at_the_next_heading_and_what_is_no_command_is_what_the_one_before_prints() -> None:
    verify, again, code = written("operations.md", under="## The audit log")
    assert (verify.command, again.command) == ("pyrometer audit verify --config pyrometer.yaml",) * 2
    assert (code.command, code.shown) == ("echo $?", ("6",))


@pytest.mark.parametrize("page", ["operations.md", "changes.md", "fire-drill.md"])
def test_every_chapter_with_commands_is_walked_by_a_test(page: str) -> None:
    heading, found = "", set()
    for line in (DOCS / page).read_text().splitlines():
        heading = line if re.match("#+ ", line) else heading
        if line.startswith("$ "):
            found.add(heading)
    walked = set(re.findall(r'"(#+ [^"]+)"', WALKED))
    assert found
    assert found <= walked
