"""Reading YAML: texts as written, their places, and files that are no configuration at all."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.document import MOST_BYTES, Document, Keys, Value, key_path, mapped, read, shown
from daemon.errors import ConfigError


def document(tmp_path: Path, text: str | bytes) -> Document:
    path = tmp_path / "d.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path)


def complaint(tmp_path: Path, text: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        document(tmp_path, text)
    return str(caught.value).removeprefix(f"{tmp_path}/")


@pytest.mark.parametrize(
    "written",
    ["0.05", "0.1000000000000000055", "NO", "on", "2026-01-01", "1:30", "010", "1_000", "true", "1e3", "=", "."],
)
def test_an_unquoted_scalar_stays_the_text_that_was_written(tmp_path: Path, written: str) -> None:
    assert document(tmp_path, f"{written}: {written}\n").value == {written: written}


@pytest.mark.parametrize("written", ["", "~", "null", "Null", "NULL"])
def test_nothing_is_nothing_unless_it_is_quoted(tmp_path: Path, written: str) -> None:
    assert document(tmp_path, f"a: {written}\nb: '{written}'\n").value == {"a": None, "b": written}


def test_every_value_knows_its_line(tmp_path: Path) -> None:
    read_back = document(tmp_path, "a: 1\nb:\n  - x\n  - c: 2\n    d:\n      - 3\n")
    lines: dict[Keys, int] = {
        (): 1,
        ("a",): 1,
        ("b",): 2,
        ("b", 0): 3,
        ("b", 1): 4,
        ("b", 1, "c"): 4,
        ("b", 1, "d", 0): 6,
    }
    assert {keys: read_back.line(keys) for keys in lines} == lines
    assert read_back.where(("b", 1, "d", 0)) == f"{tmp_path}/d.yaml:6: b[1].d[0]"


def test_what_does_not_stand_in_the_file_is_placed_where_it_would_be(tmp_path: Path) -> None:
    read_back = document(tmp_path, "a: 1\nb:\n  c: 2\n")
    assert read_back.line(("b", "missing", "deeper")) == 2
    assert read_back.line(("missing",)) == 1


def test_anchors_are_followed(tmp_path: Path) -> None:
    read_back = document(tmp_path, "a: &x {k: 1}\nb: [*x, *x]\n")
    assert read_back.value == {"a": {"k": "1"}, "b": [{"k": "1"}, {"k": "1"}]}


def test_json_is_yaml(tmp_path: Path) -> None:
    assert document(tmp_path, '{"a": [1, null, "x"]}').value == {"a": ["1", None, "x"]}


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    assert document(tmp_path, b"\xef\xbb\xbfa: 1\r\nb: 2\r\n").value == {"a": "1", "b": "2"}


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "~\n"])
def test_an_empty_file_is_called_empty(tmp_path: Path, text: str) -> None:
    assert complaint(tmp_path, text) == "d.yaml: the file is empty"


def test_other_encodings_are_named_with_their_line(tmp_path: Path) -> None:
    assert complaint(tmp_path, b"a: 1\nb: \xff\n") == "d.yaml:2: is not UTF-8"
    assert complaint(tmp_path, "a: 1".encode("utf-16")) == "d.yaml:1: is not UTF-8"


def test_control_characters_are_named_by_code_and_line(tmp_path: Path) -> None:
    assert complaint(tmp_path, "a: 1\nb: \x07\n") == "d.yaml:2: the character U+0007 can't stand in YAML"


def test_endless_files_are_not_read_to_their_end() -> None:
    with pytest.raises(ConfigError, match=r"^/dev/zero: is larger than 1 MiB"):
        read(Path("/dev/zero"))


def test_the_largest_file_is_still_read(tmp_path: Path) -> None:
    text = "a: 1\n#" + " " * (MOST_BYTES - 7) + "\n"
    assert len(text) == MOST_BYTES
    assert document(tmp_path, text).value == {"a": "1"}
    assert complaint(tmp_path, text + "\n").startswith("d.yaml: is larger than 1 MiB")


def test_what_is_no_file_is_said_in_the_words_of_the_system(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none.yaml", "no such file or directory"), (tmp_path, "is a directory")):
        with pytest.raises(ConfigError) as caught:
            read(path)
        assert str(caught.value) == f"{path}: can't be read: {why}"


@pytest.fixture
def nobody() -> Iterator[None]:
    """Root may read everything: for one test it is somebody else."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65_534)
    yield
    os.seteuid(before)


def test_a_file_that_is_forbidden_is_said_to_be(tmp_path: Path, nobody: None) -> None:
    path = tmp_path / "d.yaml"
    with contextlib.suppress(PermissionError):
        path.touch(mode=0o200)
    with pytest.raises(ConfigError, match="can't be read: permission denied"):
        read(path)


@pytest.fixture
def endless_stack() -> Iterator[None]:
    """As some libraries leave it behind: what relies on RecursionError overflows the real stack instead."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_ends_in_a_line_whatever_the_stack_allows(
    tmp_path: Path, opening: str, endless_stack: None
) -> None:
    assert complaint(tmp_path, opening * 50_000) == "d.yaml:1: is nested deeper than 32 levels"


def test_as_many_levels_as_may_be_are_read(tmp_path: Path) -> None:
    assert document(tmp_path, "[" * 32 + "x" + "]" * 32).places[(0,) * 32].text == "x"
    assert complaint(tmp_path, "[" * 33 + "x" + "]" * 33) == "d.yaml:1: is nested deeper than 32 levels"


def test_an_alias_of_itself_is_too_deep(tmp_path: Path) -> None:
    assert complaint(tmp_path, "a: &a [*a]\n") == "d.yaml: is nested deeper than 32 levels"


def test_a_bomb_of_anchors_is_defused(tmp_path: Path) -> None:
    levels = "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefghijk", "bcdefghijkl", strict=True)
    )
    text = "a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" + levels
    assert complaint(tmp_path, text) == "d.yaml: its anchors expand to more than 100,000 values"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
@settings(deadline=None)
def test_any_text_is_a_value_or_one_line(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.yaml"
        path.write_text(text, newline="")
        try:
            assert read(path).value is not None
        except ConfigError as error:
            assert "\n" not in str(error)


def test_variables_are_filled_in_and_remembered(tmp_path: Path) -> None:
    text = "a: ${A}-${B_2}\nb: [x, '$${A}', '$$']\n${A}: plain\n"
    filled = document(tmp_path, text).interpolated({"A": "1", "B_2": "${A}\n- x"})
    assert filled.value == {"a": "1-${A}\n- x", "b": ["x", "${A}", "$"], "${A}": "plain"}
    assert filled.variable == {("a",)}


def test_a_digest_may_come_from_the_environment_where_one_is_expected(tmp_path: Path) -> None:
    """As in the file itself: 64 hexadecimal digits are a hash under such a key, and a private key under any other."""
    path, digits = tmp_path / "d.yaml", "ab" * 32
    path.write_text("nemesis: ${X}\n")
    env = {"X": digits}
    assert read(path, digests=frozenset(("nemesis",))).interpolated(env).value == {"nemesis": digits}
    with pytest.raises(ConfigError, match=r"d.yaml:1: nemesis: the environment's value looks like a private key"):
        read(path, digests=frozenset(("other",))).interpolated(env)


def test_where_a_digest_is_expected_other_secrets_of_the_environment_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_text("nemesis: ${X}\n")
    with pytest.raises(ConfigError, match="the environment's value looks like"):
        read(path, digests=frozenset(("nemesis",))).interpolated({"X": "-----BEGIN PRIVATE KEY-----"})


@pytest.mark.parametrize("text", ["$", "${}", "${1A}", "${A B}", "a$b", "$$$", "${A", "${A:-x}"])
def test_a_dollar_sign_without_a_meaning_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"d.yaml:1: a: a `\$` stands alone"):
        document(tmp_path, f"a: '{text}'\n").interpolated({"A": "1"})


def test_mapped_changes_texts_and_keeps_the_shape() -> None:
    value: Value = {"a": ["x", None, {"b": "y"}]}
    assert mapped(value, change=lambda keys, text: f"{key_path(keys)}={text}") == {
        "a": ["a[0]=x", None, {"b": "a[2].b=y"}]
    }


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ((), ""),
        (("a", "b-1", 0, "c"), "a.b-1[0].c"),
        ((0, "name"), "[0].name"),
        (("a.b",), "'a.b'"),
        (("a", "b\nc"), "a.a text of 3 characters"),
        (("x" * 50,), "a text of 50 characters"),
    ],
)
def test_key_paths_are_short_and_of_one_line(keys: Keys, text: str) -> None:
    assert key_path(keys) == text


def test_only_short_texts_are_shown() -> None:
    assert shown("hott") == "'hott'"
    assert shown("x" * 33) == "a text of 33 characters"
    assert shown("a\nb") == "a text of 3 characters"
