"""Who is to control a wallet's accounts, from what the configuration says to the facts that chains tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from connectors.base import Address
from connectors.errors import BadAddress
from daemon.document import Keys
from daemon.errors import ConfigError
from daemon.model import Expected

if TYPE_CHECKING:
    from daemon.settings import ExpectedControl, Settings

FACTS: Mapping[str, tuple[str, ...]] = {
    "owners": ("owner",),
    "threshold": ("threshold", "minimum", "minApproval"),
    "implementation": ("implementation", "singleton"),
    "modules": ("module",),
    "guard": ("guard",),
    "module_guard": ("module_guard",),
    "fallback_handler": ("fallback_handler",),
    "admin": ("admin",),
    "delegate": ("delegate",),
    "cosignatories": ("cosignatory",),
}
"""Key of the configuration -> names that the fact has on one chain or another."""

NONE = "none"


def expected_of(
    config: ExpectedControl | None, *, settings: Settings, wallet: str, canonical: Callable[[str], Address]
) -> Expected:
    """The facts with their values in the canonical form of the chain. ConfigError for what is no address there."""
    if config is None:
        return ()
    return tuple(_facts(config, settings=settings, keys=("wallets", wallet, "expected"), canonical=canonical))


def _facts(
    config: ExpectedControl, *, settings: Settings, keys: Keys, canonical: Callable[[str], Address]
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    for name, facts in FACTS.items():
        told: int | str | tuple[str, ...] | None = getattr(config, name)
        match told:
            case None:
                continue
            case int():
                yield facts, (str(told),)
            case str():
                yield facts, () if told == NONE else (_read(told, settings, at=(*keys, name), canonical=canonical),)
            case _:
                places = enumerate(told)
                yield facts, tuple(_read(one, settings, at=(*keys, name, n), canonical=canonical) for n, one in places)


def _read(text: str, settings: Settings, *, at: Keys, canonical: Callable[[str], Address]) -> str:
    try:
        return canonical(text)
    except BadAddress as error:
        raise ConfigError(settings.where(at), str(error)) from None
