"""Which transaction changed who controls an account: by the account's own events, else the only one that touched it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from eth_hash.auto import keccak

from connectors.base import Address, Tip
from connectors.errors import ConnectorError
from connectors.evm import answers
from connectors.evm.mined import Mined
from connectors.evm.node import EvmNode

EVENTS = (
    *("AddedOwner(address)", "RemovedOwner(address)", "ChangedThreshold(uint256)"),  # Safe: OwnerManager.sol
    *("EnabledModule(address)", "DisabledModule(address)"),  # ModuleManager.sol
    *("ChangedGuard(address)", "ChangedModuleGuard(address)", "ChangedFallbackHandler(address)"),
    "ChangedMasterCopy(address)",  # MasterCopy.sol, 1.0.0 to 1.1.1
    *("Upgraded(address)", "AdminChanged(address,address)", "BeaconUpgraded(address)"),  # EIP-1967
)
EXECUTIONS = ("ExecutionSuccess(bytes32,uint256)", "ExecutionFromModuleSuccess(address)")
"""What a Safe says when it has done what it was told to (GnosisSafe.sol, ModuleManager.sol): also when its storage was
written by what it delegated to, which says nothing."""

MOST_BLOCKS = 8
"""Blocks in which the transaction is looked for, the newest."""

Cause = tuple[str, Tip]


class Log(NamedTuple):
    contract: Address
    topic: str
    transaction: str


async def causes(node: EvmNode, accounts: Sequence[Address], *, blocks: Sequence[Mined]) -> Mapping[Address, Cause]:
    """The newest transaction and its block, where one can be named. One node's word. Raises ConnectorError."""
    newest = blocks[-MOST_BLOCKS:]
    asked = [("eth_getLogs", ({"blockHash": block.tip.hash, "address": [*accounts]},)) for block in newest]
    results = await node.node.batch(asked)
    logged = [
        (block, [] if isinstance(result, ConnectorError) else _logs(result, at=block.tip.hash))
        for block, result in zip(newest, results, strict=True)
    ]
    found = ((account, _of(account, logged)) for account in accounts)
    return {account: cause for account, cause in found if cause is not None}


def _topics(names: Iterable[str]) -> frozenset[str]:
    return frozenset(f"0x{keccak(name.encode()).hex()}" for name in names)


SAYING = _topics(EVENTS)
EXECUTING = _topics(EXECUTIONS)


def _of(account: Address, logged: Sequence[tuple[Mined, Sequence[Log]]]) -> Cause | None:
    """The last that says so; else, in the newest block that touches the account, its only execution or transaction."""
    own = [(block, [log for log in logs if log.contract == account]) for block, logs in reversed(logged)]
    for block, logs in own:
        saying = [log.transaction for log in logs if log.topic in SAYING]
        if saying:
            return saying[-1], block.tip
    for block, logs in own:
        executing = {log.transaction for log in logs if log.topic in EXECUTING}
        touching = {log.transaction for log in logs} | {name for touched, name in block.touched if touched == account}
        for names in (executing, touching):
            if names:
                return (names.pop(), block.tip) if len(names) == 1 else None
    return None


def _logs(raw: object, *, at: str) -> Sequence[Log]:
    """Nothing where the answer is no list of logs of this block."""
    try:
        return [_log(answers.fields_of(one), at=at) for one in answers.items(raw)]
    except ValueError:
        return []


def _log(fields: answers.Raw, *, at: str) -> Log:
    topics = answers.items(fields.get("topics"))
    if fields.get("blockHash") != at:
        raise ValueError("a log of another block")
    topic = str(topics[0]) if topics else ""
    return Log(answers.address(fields.get("address")), topic, answers.hash_of(fields.get("transactionHash")))
