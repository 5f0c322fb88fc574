"""Secrets that stand in a file of their own (`url_file`, `password_file` and their like), not in the configuration."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

from daemon.document import TAKES_NONE, Document, Keys, first_bytes, reason
from daemon.errors import ConfigError
from daemon.keyless import key_material

STANDS_FOR = {
    "url_file": "url",
    "store_file": "store",
    "password_file": "password",
    "store_password_file": "store_password",
}
LONGEST = 4096


def with_secret_files(document: Document, *, folder: Path) -> Document:
    """The document with what each such file holds under the key that it stands for; paths count from `folder`.

    ConfigError, at the key, for a file that can't be read, is no single line, or holds key material.
    """
    value = deepcopy(document.value)
    places = dict(document.places)
    filled = replace(document, value=value, places=places)
    for keys in document.places:
        name = document.at(keys)
        target = STANDS_FOR.get(str(keys[-1])) if keys else None
        around = filled.at(keys[:-1])
        if target is None or not isinstance(name, str) or not isinstance(around, dict):
            continue
        if target in around:
            raise document.error(keys, f"expected either {target} or {keys[-1]}, found both")
        around[target] = _line_of(folder / name, keys=keys, document=document)
        places[*keys[:-1], target] = places[keys]
    return filled


def _line_of(path: Path, *, keys: Keys, document: Document) -> str:
    text = _text_of(path, keys=keys, document=document).strip()
    # The only way in for a provider whose API keys look like private keys: a URL in a file of its own.
    is_url = text.startswith(("http://", "https://"))
    secret = key_material(text, hexadecimal=not is_url)
    if secret is not None:
        raise document.error(keys, f"the file holds what looks like {secret}; {TAKES_NONE}")
    if not text or not text.isprintable():
        raise document.error(keys, "expected a file that holds one line")
    return text


def _text_of(path: Path, *, keys: Keys, document: Document) -> str:
    try:
        raw = first_bytes(path)
    except OSError as error:
        raise _unreadable(document, keys=keys, why=reason(error)) from error
    if len(raw) > LONGEST:
        raise _unreadable(document, keys=keys, why=f"larger than {LONGEST} bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unreadable(document, keys=keys, why="not UTF-8") from None


def _unreadable(document: Document, *, keys: Keys, why: str) -> ConfigError:
    return document.error(keys, f"the file can't be read: {why}")
