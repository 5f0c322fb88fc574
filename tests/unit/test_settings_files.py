"""Secrets in files of their own: URLs, and the hashes of the API's tokens."""

import hashlib
from pathlib import Path

import pytest
from sqlalchemy import make_url

from daemon.errors import ConfigError
from daemon.feeds.mqtt import MqttSource
from daemon.settings import Settings, load, redacted
from daemon.tokens import ApiToken, Scope, load_tokens
from tests.build import evm

GOOD = (Path(__file__).parents[1] / "data" / "good.yaml").read_text()
TAKES_NONE = "pyrometer takes none: remove it, and treat it as leaked"
HASH = hashlib.sha256(b"a token").hexdigest()
OTHER = hashlib.sha256(b"another token").hexdigest()


def with_url_file(tmp_path: Path, content: str | bytes) -> Settings:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "url").write_bytes(content if isinstance(content, bytes) else content.encode())
    (tmp_path / "p.yaml").write_text(GOOD.replace('"http://127.0.0.1:8545"', "{url_file: secrets/url}"))
    return load(tmp_path / "p.yaml", env={})


@pytest.mark.parametrize(
    "content", ["https://h/key", "https://h/key\n", "\ufeffhttps://h/key\r\n", "  https://h/key  \n\n"]
)
def test_a_url_may_stand_in_a_file_beside_the_configuration(tmp_path: Path, content: str) -> None:
    loaded = with_url_file(tmp_path, content)
    assert evm(loaded).endpoints[0].url.get_secret_value() == "https://h/key"
    shown = redacted(loaded)["chains"]["ethereum"]["endpoints"][0]
    assert (shown["url"], shown["url_file"]) == ("https://h/***", "secrets/url")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "url_file: expected a file that holds one line"),
        ("\n\n", "url_file: expected a file that holds one line"),
        ("https://h\nhttps://i\n", "url_file: expected a file that holds one line"),
        (b"\xff", "url_file: the file can't be read: not UTF-8"),
        ("x" * 5000, "url_file: the file can't be read: larger than 4096 bytes"),
        ("12" * 32, f"url_file: the file holds what looks like a private key in hexadecimal; {TAKES_NONE}"),
        ("hunter2", "url: expected an http:// or https:// URL"),
    ],
)  # fmt: skip
def test_a_file_without_a_url_is_refused_at_its_key(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_url_file(tmp_path, content)
    assert str(caught.value) == f"{tmp_path}/p.yaml:7: chains.ethereum.endpoints[0].{message}"


def test_an_api_key_of_64_digits_is_taken_from_a_url_file_alone(tmp_path: Path) -> None:
    url = "https://rpc.example/eth/" + "12" * 32
    assert evm(with_url_file(tmp_path, url)).endpoints[0].url.get_secret_value() == url
    (tmp_path / "p.yaml").write_text(GOOD.replace("http://127.0.0.1:8545", url))
    with pytest.raises(ConfigError, match=r"endpoints\[0\]: looks like a private key in hexadecimal"):
        load(tmp_path / "p.yaml", env={})


def test_a_seed_phrase_is_not_taken_from_a_url_file_either(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="looks like a seed phrase"):
        with_url_file(tmp_path, "https://h/" + "-".join(["zoo"] * 12))


def test_the_store_may_stand_in_a_file_whose_name_comes_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("sqlite+aiosqlite:////var/lib/p.db\n")
    (tmp_path / "p.yaml").write_text(GOOD + "store_file: ${WHERE}/store\n")
    loaded = load(tmp_path / "p.yaml", env={"WHERE": str(tmp_path)})
    assert loaded.store_url == "sqlite+aiosqlite:////var/lib/p.db"
    assert redacted(loaded)["store_file"] == "***"


@pytest.mark.parametrize("password", ["hunter2", "a b@c:d/e?f#g%41", "ключ"])
def test_the_password_of_the_store_may_stand_in_a_file_as_it_is(tmp_path: Path, password: str) -> None:
    (tmp_path / "password").write_text(f"{password}\n")
    url = "postgresql+asyncpg://pyrometer@db.internal:5432/p?ssl=require"
    (tmp_path / "p.yaml").write_text(GOOD + f"store: {url}\nstore_password_file: password\n")
    loaded = load(tmp_path / "p.yaml", env={}, importable=lambda module: True)
    assert make_url(loaded.store_url) == make_url(url).set(password=password)
    shown = redacted(loaded)
    assert (shown["store"], shown["store_password"]) == ("postgresql+asyncpg://db.internal:5432/***", "***")
    assert password not in str(shown) + repr(loaded)


@pytest.mark.parametrize("url", ["", "store: postgresql+asyncpg://u:p@h/d\n", "store: postgresql+asyncpg://h/d\n"])
def test_a_password_without_a_store_that_lacks_one_is_refused(tmp_path: Path, url: str) -> None:
    (tmp_path / "p.yaml").write_text(GOOD + url + "store_password: hunter2\n")
    expected = "store_password needs a store postgresql\\+asyncpg://user@host/database, without a password$"
    with pytest.raises(ConfigError, match=expected):
        load(tmp_path / "p.yaml", env={}, importable=lambda module: True)


def test_the_password_of_a_feeds_broker_may_stand_in_a_file_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hun/ter@2\n")
    source = "{kind: mqtt, url: 'mqtt://ledger@broker.internal', password_file: password}"
    (tmp_path / "p.yaml").write_text(GOOD + f"feeds: {{liabilities: [{source}]}}\n")
    loaded = load(tmp_path / "p.yaml", env={})
    (found,) = loaded.feeds.liabilities
    assert isinstance(found, MqttSource)
    assert (found.broker(tmp_path).username, found.broker(tmp_path).password) == ("ledger", "hun/ter@2")
    assert "hun/ter@2" not in str(redacted(loaded)) + repr(loaded)


def test_a_wallet_may_be_called_like_a_secret_file(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(GOOD.replace("eth-hot-1", "url_file"))
    assert list(load(tmp_path / "p.yaml", env={}).wallets) == ["url_file"]


def tokens(tmp_path: Path, text: str) -> tuple[ApiToken, ...]:
    (tmp_path / "tokens.yaml").write_text(text)
    return load_tokens(tmp_path / "tokens.yaml")


def test_tokens_are_names_scopes_and_hashes(tmp_path: Path) -> None:
    text = (
        f"- {{name: grafana, scope: read, sha256: {HASH}}}\n- {{name: a.b@c, scope: admin, sha256: {OTHER.upper()}}}\n"
    )
    assert tokens(tmp_path, text) == (ApiToken("grafana", Scope.READ, HASH), ApiToken("a.b@c", Scope.ADMIN, OTHER))


def test_with_tokens_the_api_may_listen_beyond_loopback(tmp_path: Path) -> None:
    (tmp_path / "tokens.yaml").write_text(f"[{{name: a, scope: operate, sha256: {HASH}}}]\n")
    (tmp_path / "p.yaml").write_text(GOOD + "api: {listen: '0.0.0.0:9517', tokens_file: tokens.yaml}\n")
    loaded = load(tmp_path / "p.yaml", env={})
    assert loaded.tokens == (ApiToken("a", Scope.OPERATE, HASH),)
    assert HASH not in str(redacted(loaded))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": the file is empty"),
        ("[]\n", ": expected at least 1 entry, found an empty list"),
        ("a: b\n", ": expected a list, found a mapping"),
        ("- hunter2\n", ":1: [0]: expected a mapping, found 'hunter2'"),
        (f"- {{name: a, scope: read, sha256: {HASH[1:]}}}\n",
         ":1: [0].sha256: expected the SHA-256 of the token's text, 64 hexadecimal digits"),
        (f"- {{name: a, scope: read, sha256: g{HASH[1:]}}}\n",
         ":1: [0].sha256: expected the SHA-256 of the token's text, 64 hexadecimal digits"),
        (f"- {{name: a, scope: read, sha256: '0x{HASH}'}}\n",
         ":1: [0].sha256: expected the SHA-256 of the token's text, 64 hexadecimal digits"),
        (f"- {{name: a, scope: reed, sha256: {HASH}}}\n",
         ":1: [0].scope: expected one of read, operate, admin, found 'reed'; did you mean read?"),
        (f"- {{name: a, scope: read, sha265: {HASH}}}\n",
         f":1: [0].sha265: looks like a private key in hexadecimal; {TAKES_NONE}"),
        ("- {name: a, scope: read, token: x}\n",
         ":1: [0]: sha256 is missing (SHA-256 of the token's text, 64 hexadecimal digits) (and 1 more)"),
        (f"- name: {HASH}\n", f":1: [0].name: looks like a private key in hexadecimal; {TAKES_NONE}"),
        (f"- {{name: a, scope: read, sha256: {HASH}}}\n- {{name: a, scope: read, sha256: {OTHER}}}\n",
         ":2: [1].name: [0] has this name already"),
        (f"- {{name: a, scope: read, sha256: {HASH}}}\n- {{name: b, scope: read, sha256: {HASH.upper()}}}\n",
         ":2: [1].sha256: [0] has this hash already"),
    ],
)  # fmt: skip
def test_a_bad_tokens_file_is_said_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        tokens(tmp_path, text)
    assert str(caught.value) == f"{tmp_path}/tokens.yaml{message}"
