"""Real Safes on a real chain: the contracts as published, from npm, deployed and moved by their owners."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from connectors.base import Address
from tests.integration.anvil import AnvilNode

HINT = (
    "npm pack @gnosis.pm/safe-contracts@1.1.1 (and 1.3.0), @safe-global/safe-contracts@1.4.1,"
    " @safe-global/safe-smart-account@1.5.0, each unpacked in a folder called by its version, and"
    " PYROMETER_SAFE set to the folder of those"
)
VERSIONS = ("1.1.1", "1.3.0", "1.4.1", "1.5.0")
SINGLETONS = ("GnosisSafe", "Safe")
PROXIES = ("GnosisSafeProxy", "SafeProxy", "Proxy")
NOBODY = "0x" + "00" * 20
SENTINEL = "0x" + "00" * 19 + "01"

ANSWERS_YES = "0x600160005260206000f3"
"""A contract that returns 1 to every call: a guard that lets everything pass."""

EXEC = "(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address"


def folder() -> Path:
    """Where the contracts are, else the test is skipped; a failure in CI."""
    told = os.environ.get("PYROMETER_SAFE")
    if told and Path(told).is_dir():
        return Path(told)
    reason = f"the contracts of Safe are missing: {HINT}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@cache
def creation_code(version: str, names: Sequence[str]) -> str:
    """The published creation code of the first of these contracts that the version has."""
    build = folder() / version / "package" / "build"
    found = (path for name in names for path in sorted(build.rglob(f"{name}.json")) if "openzeppelin" not in str(path))
    return str(json.loads(next(found).read_text())["bytecode"])


def call(signature: str, *values: object) -> str:
    """Call data, `owner(address)` and its values."""
    types = signature[signature.index("(") + 1 : -1].split(",")
    return "0x" + (keccak(signature.encode())[:4] + encode(types if types != [""] else [], values)).hex()


def overwriting(slot: int, value: str) -> str:
    """A contract that writes this address to this slot of whoever delegates to it: what Bybit's signers were shown as
    a transfer of nothing."""
    return f"0x73{value[2:]}60{slot:02x}5500"


async def sent(node: AnvilNode, sender: str, *, data: str, to: str | None = None) -> str:
    transaction: dict[str, Any] = {"from": sender, "data": data, "gas": "0x989680", "gasPrice": "0x0"}
    return str(await node.rpc("eth_sendTransaction", transaction if to is None else {**transaction, "to": to}))


async def deployed(node: AnvilNode, sender: str, *, code: str) -> Address:
    name = await sent(node, sender, data=code)
    await node.mine()
    receipt = await node.rpc("eth_getTransactionReceipt", name)
    assert receipt["status"] == "0x1"
    return Address(str(receipt["contractAddress"]).lower())


@dataclass(frozen=True, slots=True)
class Safe:
    node: AnvilNode
    address: Address
    singleton: Address
    owners: tuple[str, ...]

    async def run(self, data: str, *, to: str | None = None, operation: int = 0, signers: int) -> str:
        """Puts what so many owners want into the mempool: all but the first approve it, who sends it. Its hash."""
        what = (to or self.address, 0, bytes.fromhex(data[2:]), operation, 0, 0, 0, NOBODY, NOBODY)
        nonce = int(await self.node.rpc("eth_getStorageAt", self.address, "0x5", "latest"), 16)
        ask = call(f"getTransactionHash{EXEC},uint256)", *what, nonce)
        digest = bytes.fromhex((await self.node.rpc("eth_call", {"to": self.address, "data": ask}, "latest"))[2:])
        signing = self.owners[:signers]
        for owner in signing[1:]:
            await sent(self.node, owner, to=self.address, data=call("approveHash(bytes32)", digest))
        # r: the owner, s: nothing, v = 1: approved beforehand, or the sender himself (GnosisSafe.sol, checkSignatures)
        proof = b"".join(bytes.fromhex(f"{owner[2:]:0>64}") + bytes(32) + b"\x01" for owner in sorted(signing))
        return await sent(
            self.node, signing[0], to=self.address, data=call(f"execTransaction{EXEC},bytes)", *what, proof)
        )


async def safe_on(node: AnvilNode, *, version: str, owners: Sequence[str], threshold: int) -> Safe:
    """A new Safe behind its proxy, as of a mined block."""
    folder()
    builder = owners[0]
    singleton = await deployed(node, builder, code=creation_code(version, SINGLETONS))
    proxy = creation_code(version, PROXIES) + encode(["address"], [singleton]).hex()
    address = await deployed(node, builder, code=proxy)
    setup = "setup(address[],uint256,address,bytes,address,address,uint256,address)"
    data = call(setup, list(owners), threshold, NOBODY, b"", NOBODY, NOBODY, 0, NOBODY)
    await sent(node, builder, to=address, data=data)
    await node.mine()
    return Safe(node, address, singleton, tuple(owners))
