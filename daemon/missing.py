"""Names that lead nowhere, said with the nearest one that does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from daemon.diagnosis import nearest
from daemon.document import Keys, shown

Problem = tuple[Keys, str]
"""Where, and what is wrong with it."""


class Named(Protocol):
    """The names that rules may use. `variable` are the places whose values came from the environment."""

    @property
    def chains(self) -> Mapping[str, object]: ...
    @property
    def assets(self) -> Mapping[str, object]: ...
    @property
    def wallets(self) -> Mapping[str, object]: ...
    @property
    def variable(self) -> frozenset[Keys]: ...


class Missing:
    """Problems with a name, none when it is known; a name that came from the environment is not repeated."""

    def __init__(self, settings: Named) -> None:
        self._settings = settings

    def chain(self, name: str, *, keys: Keys) -> Iterator[Problem]:
        return self._unless(name, keys=keys, sort="chain", known=self._settings.chains)

    def asset(self, name: str, *, keys: Keys) -> Iterator[Problem]:
        return self._unless(name, keys=keys, sort="asset", known=self._settings.assets)

    def assets(self, patterns: Sequence[str], *, keys: Keys) -> Iterator[Problem]:
        return self._patterns(patterns, keys=keys, sort="asset", known=self._settings.assets)

    def wallets(self, patterns: Sequence[str], *, keys: Keys) -> Iterator[Problem]:
        return self._patterns(patterns, keys=keys, sort="wallet", known=self._settings.wallets)

    def _patterns(
        self, patterns: Sequence[str], *, keys: Keys, sort: str, known: Mapping[str, object]
    ) -> Iterator[Problem]:
        for place, pattern in enumerate(patterns):
            if "*" not in pattern:
                yield from self._unless(pattern, keys=(*keys, place), sort=sort, known=known)
            elif not any(fnmatchcase(name, pattern.replace("[", "[[]")) for name in known):
                yield (*keys, place), f"matches no {sort}"

    def _unless(self, name: str, *, keys: Keys, sort: str, known: Mapping[str, object]) -> Iterator[Problem]:
        if name not in known:
            called = "called so" if keys in self._settings.variable else f"called {shown(name)}"
            yield keys, f"no {sort} is {called}{nearest(name, known)}"
