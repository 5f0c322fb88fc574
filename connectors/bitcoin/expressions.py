"""What a parsed output descriptor is made of, and the output scripts it stands for (BIP-380 to 386, BIP-389)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from connectors.bitcoin.derive import ExtendedKey, taproot_output_key
from connectors.bitcoin.scripts import hash160, multisig, p2pk, p2pkh, p2sh, witness

Step = int | tuple[int, ...]
"""One step of a path; a tuple is a multipath step, `<0;1>`, of which each branch takes one."""


@dataclass(frozen=True, slots=True)
class KeyExpression:
    """A key and where it leads: `[origin]key/path/*`. A plain public key has neither path nor `ranged`.

    `written` is the key with its origin as it stands in the canonical form.
    """

    written: str
    key: bytes | ExtendedKey
    path: tuple[Step, ...] = ()
    ranged: bool = False

    @property
    def branches(self) -> int:
        """How many values its multipath step has, 0 without one."""
        return max((len(step) for step in self.path if isinstance(step, tuple)), default=0)

    def text(self) -> str:
        steps = (f"<{';'.join(map(str, step))}>" if isinstance(step, tuple) else str(step) for step in self.path)
        return "/".join((self.written, *steps, *(("*",) if self.ranged else ())))

    def branch(self, number: int) -> KeyExpression:
        """The key expression with the `number`-th value of its multipath step."""
        path = tuple(step[number] if isinstance(step, tuple) else step for step in self.path)
        return KeyExpression(self.written, self.key, path, self.ranged)

    def public_keys(self, start: int, stop: int) -> list[bytes]:
        """The public keys at these indices; the same one for each when it is not ranged. Not for multipath."""
        if isinstance(self.key, bytes):
            return [self.key] * (stop - start)
        parent = self.key.at([step for step in self.path if isinstance(step, int)])
        return parent.public_keys(start, stop) if self.ranged else [parent.key] * (stop - start)


@dataclass(frozen=True, slots=True)
class Expression:
    """A script expression: a function of keys (`threshold` of them for a multisig) or of another expression."""

    function: str
    keys: tuple[KeyExpression, ...] = ()
    threshold: int = 0
    inner: Expression | None = None

    def all_keys(self) -> tuple[KeyExpression, ...]:
        return self.keys if self.inner is None else self.inner.all_keys()

    def text(self) -> str:
        """The expression in its canonical form, without checksum."""
        threshold = (str(self.threshold),) if self.threshold else ()
        inner = (self.inner.text(),) if self.inner else ()
        return f"{self.function}({','.join((*threshold, *(key.text() for key in self.keys), *inner))})"

    def branch(self, number: int) -> Expression:
        """The expression with every multipath step replaced by its `number`-th value."""
        keys = tuple(key.branch(number) for key in self.keys)
        return Expression(self.function, keys, self.threshold, self.inner and self.inner.branch(number))

    def scripts(self, start: int, stop: int) -> list[bytes]:
        """The scripts at the indices from `start` up to, not including, `stop`."""
        if self.inner is not None:
            return [WRAP[self.function](script) for script in self.inner.scripts(start, stop)]
        columns = [key.public_keys(start, stop) for key in self.keys]
        if self.function in MULTISIG:
            order: Callable[[Sequence[bytes]], list[bytes]] = sorted if self.function == "sortedmulti" else list
            return [multisig(self.threshold, order(keys)) for keys in zip(*columns, strict=True)]
        return [SINGLE[self.function](key) for key in columns[0]]


MULTISIG = frozenset(("multi", "sortedmulti"))
SEGWIT = frozenset(("wpkh", "wsh", "tr"))

SINGLE: Mapping[str, Callable[[bytes], bytes]] = {
    "pk": p2pk,
    "pkh": lambda key: p2pkh(hash160(key)),
    "wpkh": lambda key: witness(0, hash160(key)),
    "tr": lambda key: witness(1, taproot_output_key(key[-32:])),
}
"""Script of one key. Taproot takes its x coordinate, the last 32 bytes whether or not the parity stands before it."""

WRAP: Mapping[str, Callable[[bytes], bytes]] = {
    "sh": lambda script: p2sh(hash160(script)),
    "wsh": lambda script: witness(0, sha256(script).digest()),
}
"""Script of another script."""
