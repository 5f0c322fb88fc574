"""Law 4, from the outside: wherever key material stands, the start is refused and nothing of it is repeated."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.evm.address import canonical
from daemon.document import TAKES_NONE, read
from daemon.errors import ConfigError
from daemon.inventory import build
from daemon.settings import load
from daemon.tokens import load_tokens
from tests.unit import key_material as forms

GOOD = (Path(__file__).parents[1] / "data" / "good.yaml").read_text()
ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"

PLACES = (
    ("Example Exchange KK", "{}"),
    ("JPY", "{}"),
    ("ethereum:", "{}:"),
    ("kind: evm", "kind: {}"),
    ("chain_id: 1", "chain_id: {}"),
    ("chain_id: 1", "chain_id: {{a: [1, {}]}}"),
    ("chain_id: 1", "{}: 1"),
    ("chain_id: 1", "nonsense: {}"),
    ('"http://127.0.0.1:8545"', "{}"),
    ('"http://127.0.0.1:8545"', "{{url: {}, name: a}}"),
    ("{chain: ethereum}", "{{chain: {}}}"),
    ("{chain: ethereum}", "{{chain: ethereum, contract: {}, decimals: 6}}"),
    ("eth-hot-1:", "{}:"),
    ("tier: hot", "tier: {}"),
    ("tier: hot", "tier: hot\n    custodian: {}"),
    (f'"{ADDRESS}"', "{}"),
    (f'"{ADDRESS}"', f'"{ADDRESS}", {{}}'),
    ("entity:", "policies: [{}]\nentity:"),
    ("entity:", "store: {}\nentity:"),
    ("entity:", "log: {{level: {}}}\nentity:"),
    ("entity:", "mqtt: {}\nentity:"),
    ("entity:", "entity: x\nentity: {}\nentiti:"),
    ("entity:", "a: &a {}\nb: *a\nentity:"),
)
"""What is replaced in the good file, and by what, with the secret as a JSON string in the place of `{}`."""

DAMAGE: tuple[Callable[[str], str], ...] = (
    lambda text: text,
    lambda text: text + "\t: [\n",
    lambda text: text + "'\n",
    lambda text: text.replace("entity", "- entity", 1),
    lambda text: text.replace("wallets:", "wallets: *nobody", 1),
    lambda text: text + "\nx: !!python/object {}\n",
    lambda text: text + "\x07",
)
"""What else may be wrong with the file."""


def complaint(attempt: Callable[[Path], object], content: str) -> str:
    """The whole of what could end up on a screen or in a log: the message and whatever it was raised from."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.yaml"
        path.write_text(content, newline="")
        with pytest.raises(ConfigError) as caught:
            attempt(path)
    error: BaseException | None = caught.value
    text = ""
    while error is not None:
        text += f"{error}\n{error!r}\n"
        error = error.__cause__ if error.__suppress_context__ else error.__cause__ or error.__context__
    assert str(caught.value).count("\n") == 0
    return text.replace(folder, "")  # its name is chance, and may spell a word


def repeats(text: str, secret: str) -> list[str]:
    return [piece for piece in forms.pieces(secret) if piece in text]


@given(forms.any_form, st.sampled_from(PLACES), st.sampled_from(DAMAGE))
@settings(deadline=None)
def test_wherever_it_stands_in_the_file_it_is_refused_and_not_repeated(
    secret: str, place: tuple[str, str], damage: Callable[[str], str]
) -> None:
    old, new = place
    assert old in GOOD
    content = damage(GOOD.replace(old, new.format(json.dumps(secret)), 1))
    assert not repeats(complaint(lambda path: load(path, env={}), content), secret)


@given(forms.any_form, st.sampled_from(PLACES))
@settings(deadline=None)
def test_it_is_refused_for_what_it_is_before_anything_else_is_looked_at(secret: str, place: tuple[str, str]) -> None:
    content = GOOD.replace(place[0], place[1].format(json.dumps(secret)), 1)
    assert "pyrometer takes none" in complaint(lambda path: load(path, env={}), content)


@given(forms.one_line.filter(lambda secret: ": " not in secret and not secret.startswith(("{", "[", "-"))))
@settings(deadline=None)
def test_it_is_refused_without_quotes_too(secret: str) -> None:
    text = complaint(lambda path: load(path, env={}), GOOD.replace("Example Exchange KK", secret))
    assert not repeats(text, secret)
    assert "pyrometer takes none" in text or "quote it" in text


@given(forms.any_form)
@settings(deadline=None)
def test_a_value_of_the_environment_is_refused_by_the_name_of_its_key(secret: str) -> None:
    text = complaint(lambda path: load(path, env={"X": secret}), GOOD.replace("tier: hot", "tier: ${X}"))
    assert "wallets.eth-hot-1.tier: the environment's value looks like" in text
    assert not repeats(text, secret)


@given(forms.any_form, st.sampled_from(("name", "scope", "sha256", "token")))
@settings(deadline=None)
def test_a_tokens_file_is_no_place_for_it(secret: str, key: str) -> None:
    text = complaint(load_tokens, f"- {{name: a, {key}: {json.dumps(secret)}}}\n")
    assert not repeats(text, secret)


@given(forms.any_form)
@settings(deadline=None)
def test_a_preset_is_no_place_for_it(secret: str) -> None:
    text = complaint(read, f"title: {json.dumps(secret)}\n")
    assert "p.yaml:1: title: looks like" in text
    assert not repeats(text, secret)


@given(forms.any_form, st.sampled_from(("{}", "  {}  ", f"{ADDRESS} # {{}}", "# {}", f"{ADDRESS} {{}}", "{} # note")))
@settings(deadline=None)
def test_an_address_file_is_no_place_for_it(secret: str, line: str) -> None:
    def attempt(path: Path) -> object:
        configuration = path.with_name("settings.yaml")
        configuration.write_text(GOOD.replace(f'addresses: ["{ADDRESS}"]', "addresses_file: p.yaml"))
        return build(
            load(configuration, env={}),
            base=path.parent,
            canonical={"ethereum": canonical},
            descriptor={},
            contract={"ethereum": canonical},
        )

    content = f"0x{'1' * 40}\n{line.format(secret)}\n"
    assert not repeats(complaint(attempt, content), secret)


def test_the_names_of_secrets_are_refused_before_their_values_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(GOOD + "    Private-Key: hunter2\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "p.yaml", env={})
    where = f"{tmp_path}/p.yaml:15: wallets.eth-hot-1.Private-Key"
    assert str(caught.value) == f"{where}: is the name of a secret; {TAKES_NONE}"
