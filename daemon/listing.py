"""Addresses that a configuration lists, inline or in a file, each with its place, read into their chain's form."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from connectors.base import Address
from connectors.errors import BadAddress
from daemon.document import TAKES_NONE, Keys, key_path, reason
from daemon.errors import ConfigError
from daemon.keyless import SHORTEST, key_material

Canonical = Callable[[str], Address]
"""An account in its chain's canonical form; raises BadAddress."""

LONGEST_LINE = 1000
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Listing:
    """The addresses that stand at `at`, such as a wallet's, in their order: `texts` under `key`, or those in `file`.

    `file` counts from `base`. Read by `canonical`; None where the chain has no such thing as stands under `key`.
    """

    at: tuple[str, str]
    chain: str
    key: str
    texts: tuple[str, ...]
    file: Path | None
    canonical: Canonical | None
    where: Callable[[Keys], str]
    base: Path

    def addresses(self) -> Iterator[tuple[int, Address]]:
        """Each with its index or line; ConfigError, with file and line, at the first that is none."""
        return self._inline() if self.file is None else self._in_file(self.file)

    def place(self, place: int) -> str:
        """For people: `wallets.eth-hot-1.addresses[0]` with its file and line, or `wallets/a.txt:17`."""
        return self.where(self._keys(place)) if self.file is None else f"{self.file}:{place}"

    def told(self, address: Address) -> str:
        """Where an address of it stands, in short."""
        place = next(at for at, other in self.addresses() if other == address)
        return key_path(self._keys(place)) if self.file is None else self.place(place)

    def _keys(self, place: int) -> Keys:
        """Where in the configuration an inline account stands."""
        return (*self.at, self.key, place) if self.key.endswith("s") else (*self.at, self.key)

    def _inline(self) -> Iterator[tuple[int, Address]]:
        for place, text in enumerate(self.texts):
            if self.canonical is None:
                raise ConfigError(self.place(place), f"chain {self.chain} has no descriptors; expected addresses")
            try:
                yield place, self.canonical(text)
            except BadAddress as error:
                raise ConfigError(self.place(place), str(error)) from None

    def _in_file(self, file: Path) -> Iterator[tuple[int, Address]]:
        assert self.canonical is not None, "every chain reads addresses"
        empty = True
        for number, raw in enumerate(self._lines(file), start=1):
            text = self._text(raw, number=number)
            body, _, label = text.partition("#")
            body = body.strip()
            if len(label) >= SHORTEST and (secret := key_material(label)) is not None:
                raise ConfigError(self.place(number), f"the comment looks like {secret}; {TAKES_NONE}")
            if not body:
                continue
            try:
                yield number, self.canonical(body)
            except BadAddress as error:
                raise self._bad_line(text, number=number, why=str(error)) from None
            empty = False
        if empty:
            raise self._file_error("the file holds no address")

    def _lines(self, file: Path) -> Iterator[bytes]:
        try:
            with (self.base / file).open("rb") as stream:
                lines = iter(partial(stream.readline, LONGEST_LINE + 1), b"")
                yield next(lines, b"").removeprefix(BOM)
                yield from lines
        except OSError as error:
            raise self._file_error(f"the file can't be read: {reason(error)}") from error

    def _text(self, raw: bytes, *, number: int) -> str:
        if len(raw) > LONGEST_LINE:
            raise ConfigError(self.place(number), f"the line is longer than {LONGEST_LINE} bytes")
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise ConfigError(self.place(number), "is not UTF-8") from None

    def _bad_line(self, text: str, *, number: int, why: str) -> ConfigError:
        body = text.partition("#")[0].rstrip()
        words = body.split(maxsplit=1)
        at = len(body) - len(words[1] if len(words) > 1 else words[0])
        secret = key_material(text)
        if secret is not None:
            return ConfigError(self.place(number), f"looks like {secret}; {TAKES_NONE}")
        if len(words) > 1:
            why = "expected one address a line, and a # before a label"
        return ConfigError(f"{self.place(number)}:{at + 1}", why)

    def _file_error(self, message: str) -> ConfigError:
        return ConfigError(self.where((*self.at, "addresses_file")), message)
