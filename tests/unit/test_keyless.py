"""What is recognised as key material, and what must not be mistaken for it."""

import hashlib
import importlib.util
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.keyless import PROSE, SHORTEST, key_material, key_material_in_list, secret_name
from tests.unit import key_material as forms
from tests.unit.key_material import WORDS

KEY = hashlib.sha256(b"a key that was never used").digest()


@given(forms.any_form)
@settings(deadline=None)
def test_every_form_of_key_material_is_recognised(secret: str) -> None:
    assert key_material(secret) is not None


@given(forms.one_line, st.text(alphabet="äß ./:=()#", max_size=8), st.text(alphabet=" ./:)#ü", max_size=8))
@settings(deadline=None)
def test_it_is_recognised_inside_other_text(secret: str, before: str, after: str) -> None:
    assert key_material(f"{before} {secret} {after}") is not None


@given(forms.any_form)
@settings(deadline=None)
def test_the_answer_names_a_sort_and_repeats_nothing(secret: str) -> None:
    answer = str(key_material(secret))
    assert not [piece for piece in forms.pieces(secret) if piece in answer]


@given(st.binary(min_size=32, max_size=32), st.sampled_from(forms.WALLET_IMPORT), st.booleans())
@settings(deadline=None)
def test_the_first_characters_cover_every_key_of_the_known_versions(key: bytes, version: int, compressed: bool) -> None:
    text = forms.wallet_import(key, version=version, compressed=compressed)
    assert key_material(text) == "a private key in wallet import format"


@pytest.mark.parametrize(("prefix", "version"), sorted(forms.EXTENDED.items()))
def test_extended_private_keys_of_every_kind_are_recognised(prefix: str, version: str) -> None:
    text = forms.extended(KEY, version=version)
    assert text.startswith(prefix)
    assert key_material(text) == "an extended private key"
    assert key_material(f"wpkh([d34db33f/84h/0h/0h]{text}/0/*)") == "an extended private key"
    assert key_material(text[:60]) == "an extended private key"


@pytest.mark.parametrize(
    "text",
    [
        f"{KEY.hex()[:32]}\n  {KEY.hex()[32:]}",
        " ".join(KEY.hex()[start : start + 8] for start in range(0, 64, 8)),
        forms.wallet_import(KEY, version=0x80, compressed=True)[:30]
        + "\n"
        + forms.wallet_import(KEY, version=0x80, compressed=True)[30:],
        "".join(chr(ord(digit) + 0xFEE0) for digit in KEY.hex()),
        "\u3000".join(["あいこくしん", "あいさつ", "あいだ"] * 4),
        " ".join(WORDS).upper(),
        " ".join(f"{number}. {word}" for number, word in enumerate(WORDS, start=1)),
        "my words: " + " ".join(WORDS) + " zebra",
    ],
    ids=["two lines", "groups", "WIF in two lines", "full-width", "Japanese", "capitals", "numbered", "thirteen words"],
)
def test_disguises_do_not_help(text: str) -> None:
    assert key_material(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed 0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "1Kr6QSydW9bFQG1mXiPNNu6WpJGmUa9i1g",
        "bc1qgdjqv0av3q56jvd82tkdjpy7gdp9ut8tlqmgrpmv24sq90ecnvqqjwvw97",
        "NC3BI3DNMR2PGEOOMP2NKXQGSAKMS7GYRKVA5CSZ",
        "postgresql+asyncpg://pyrometer:secret@db.internal/pyrometer",
        "https://mainnet.example/v3/9aa3d95b3bc440fa88ea12eaa4456161",
        "Payment Services Act 63-11(2), 63-11-2; Cabinet Office Ordinance 7/2017 Arts. 27, 33, 38",
        "none; what a monitor owes its users",
        "zpub" + forms.extended(KEY, version=forms.EXTENDED["zprv"])[4:],
        "ab" * 31,
        "ab" * 33,
        " ".join(WORDS[:11]),
        forms.wallet_import(KEY, version=0x80, compressed=True)[:-1] + "1",
        forms.wallet_import(KEY, version=0x00, compressed=True),
    ],
)
def test_what_belongs_into_a_configuration_is_let_through(text: str) -> None:
    assert key_material(text) is None


def test_hexadecimal_digits_pass_only_where_a_hash_is_expected() -> None:
    assert key_material(KEY.hex(), hexadecimal=False) is None
    assert key_material(KEY.hex()) == "a private key in hexadecimal"
    assert key_material(forms.extended(KEY, version="0488ade4"), hexadecimal=False) == "an extended private key"


@given(forms.one_line)
@settings(deadline=None)
def test_nothing_recognisable_is_shorter_than_the_shortest(secret: str) -> None:
    assert len(secret) >= SHORTEST == len(" ".join(["zoo"] * 12))


@pytest.mark.parametrize("length", [12, 15, 18, 21, 24])
def test_a_list_of_words_is_a_phrase(length: int) -> None:
    assert key_material_in_list((WORDS * 2)[:length]) == "a seed phrase"


def test_lists_of_names_are_not_phrases() -> None:
    assert key_material_in_list(WORDS[:11]) is None
    assert key_material_in_list((*WORDS, "zebra")) is None
    assert key_material_in_list([f"{word}-1" for word in WORDS]) is None


@pytest.mark.parametrize(
    "name",
    [
        "private_key",
        "privateKey",
        "PRIVATE-KEY",
        "seed",
        "mnemonic",
        "secret_key",
        "xprv",
        "wif",
        "seed phrase",
        "ciphertext",
    ],
)
def test_names_that_ask_for_a_secret_are_known(name: str) -> None:
    assert secret_name(name)


@pytest.mark.parametrize("name", ["url", "tokens_file", "eth-hot-1", "seeds-of-growth", "key", "sha256", ""])
def test_other_names_are_free(name: str) -> None:
    assert not secret_name(name)


def test_words_that_tell_a_sentence_stand_in_no_list_of_seed_words() -> None:
    spec = importlib.util.find_spec("bitcoinlib")
    assert spec is not None
    assert spec.origin is not None
    lists = sorted((Path(spec.origin).parent / "wordlist").glob("*.txt"))
    assert len(lists) >= 9
    assert not [path.stem for path in lists if PROSE & set(path.read_text(encoding="utf-8").split())]


def test_a_sentence_of_plain_words_is_no_phrase_but_a_phrase_inside_a_sentence_is_one() -> None:
    assert (
        key_material("hot wallets were filled every hour and large customers took what was theirs from the vault")
        is None
    )
    assert key_material(f"the phrase was {' '.join(WORDS[:12])} and nobody knew") == "a seed phrase"
