"""Who controls contract wallets on a real chain: real Safes, proxies and delegated accounts, block by block."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from eth_account import Account
from eth_utils.address import to_checksum_address

from connectors.base import UNREAD, Address, Control, Update, Watch
from tests.integration.anvil import AnvilNode, Forger
from tests.integration.evm_chain import COIN, followed
from tests.integration.safe import ANSWERS_YES, SENTINEL, VERSIONS, Safe, call, overwriting, safe_on, sent

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

ALICE, BOB, CAROL, MALLORY = (f"0x{letter * 20}" for letter in ("a1", "b2", "c3", "e5"))
OWNERS = (ALICE, BOB, CAROL)
MODULE, GUARD, FOREIGN, TRICK = (f"0x{letter * 20}" for letter in ("d0", "d1", "d2", "d3"))
PLAIN = Address("0x" + "ab" * 20)
WITH_GUARD = ("1.3.0", "1.4.1", "1.5.0")
Facts = dict[str, list[str]]


def facts(control: Control) -> Facts:
    found: Facts = {}
    for name, value in control.facts:
        found.setdefault(name, []).append(value)
    return found


@dataclass
class Scene:
    """A watched chain; `told` is the newest control of each account."""

    node: AnvilNode
    updates: AsyncGenerator[Update, None]
    told: dict[Address, Control] = field(default_factory=dict)

    async def block(self) -> Update:
        """Mines what waits; the update at that block."""
        await self.node.mine()
        return await self.at_head()

    async def at_head(self) -> Update:
        head = (await self.node.head())[1]
        async for update in self.updates:
            assert update.failure is None, update.failure
            self.told |= {one.account: one for one in update.controls}
            if update.tip is not None and update.tip.hash == head:
                return update
        raise AssertionError("the updates ended")


@asynccontextmanager
async def watched(
    node: AnvilNode, accounts: Sequence[Address], *, urls: Sequence[str] = (), **settings: object
) -> AsyncIterator[Scene]:
    watch = Watch("eth", tuple(accounts), (COIN,))
    async with followed(urls or [node.url], watch=watch, **{"pending": "off", **settings}) as updates:
        scene = Scene(node, updates)
        await scene.at_head()
        yield scene


@asynccontextmanager
async def watched_safe(version: str, *, threshold: int = 2) -> AsyncIterator[tuple[Scene, Safe]]:
    async with AnvilNode() as node:
        safe = await safe_on(node, version=version, owners=OWNERS, threshold=threshold)
        await node.set_balances({safe.address: 10**20})
        await node.rpc_batch([("anvil_setCode", (one, ANSWERS_YES)) for one in (MODULE, GUARD, FOREIGN)])
        await node.rpc("anvil_setCode", TRICK, overwriting(0, FOREIGN))
        await node.mine()
        async with watched(node, [safe.address, PLAIN]) as scene:
            yield scene, safe


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_safe_is_told_with_singleton_owners_threshold_and_nonce(version: str) -> None:
    async with watched_safe(version) as (scene, safe):
        control = scene.told[safe.address]
        told = facts(control)
        assert (control.kind, control.transaction) == ("safe", None)
        assert told.pop("code")[0].startswith("0x")
        assert told == {"singleton": [safe.singleton], "threshold": ["2"], "owner": [*OWNERS], "nonce": ["0"]}
        assert scene.told[PLAIN] == Control(PLAIN, "single", ())


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_owner_that_is_added_is_told_from_the_block_of_the_transaction_that_adds_him(version: str) -> None:
    async with watched_safe(version) as (scene, safe):
        name = await safe.run(call("addOwnerWithThreshold(address,uint256)", MALLORY, 2), signers=2)
        update = await scene.block()
        (control,) = update.controls
        assert facts(control)["owner"] == sorted([*OWNERS, MALLORY])
        assert (control.transaction, control.tip) == (name, update.tip)
        assert not update.held


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_threshold_that_is_lowered_and_a_module_that_is_enabled_are_told(version: str) -> None:
    async with watched_safe(version) as (scene, safe):
        first = await safe.run(call("changeThreshold(uint256)", 1), signers=2)
        (control,) = (await scene.block()).controls
        assert (facts(control)["threshold"], control.transaction) == (["1"], first)
        second = await safe.run(call("enableModule(address)", MODULE), signers=1)
        (control,) = (await scene.block()).controls
        assert (facts(control)["module"], control.transaction) == ([MODULE], second)
        await safe.run(call("disableModule(address,address)", SENTINEL, MODULE), signers=1)
        (control,) = (await scene.block()).controls
        assert "module" not in facts(control)


@pytest.mark.parametrize("version", WITH_GUARD)
async def test_a_guard_that_comes_and_goes_is_told_and_so_is_the_fallback_handler(version: str) -> None:
    async with watched_safe(version, threshold=1) as (scene, safe):
        await safe.run(call("setGuard(address)", GUARD), signers=1)
        (control,) = (await scene.block()).controls
        assert facts(control)["guard"] == [GUARD]
        name = await safe.run(call("setGuard(address)", "0x" + "00" * 20), signers=1)
        (control,) = (await scene.block()).controls
        assert "guard" not in facts(control)
        assert control.transaction == name
        await safe.run(call("setFallbackHandler(address)", MODULE), signers=1)
        (control,) = (await scene.block()).controls
        assert facts(control)["fallback_handler"] == [MODULE]


async def test_a_module_guard_is_told_of_the_newest_version() -> None:
    async with watched_safe("1.5.0", threshold=1) as (scene, safe):
        await safe.run(call("setModuleGuard(address)", GUARD), signers=1)
        (control,) = (await scene.block()).controls
        assert facts(control)["module_guard"] == [GUARD]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_singleton_that_is_overwritten_by_delegatecall_is_told_before_anything_moves(version: str) -> None:
    """Bybit's way. The foreign singleton answers every question as it likes, and is asked nothing."""
    async with watched_safe(version) as (scene, safe):
        name = await safe.run("0x", to=TRICK, operation=1, signers=2)
        update = await scene.block()
        (control,) = update.controls
        assert control.kind == "safe"
        assert facts(control)["singleton"] == [FOREIGN]
        assert (facts(control)["owner"], facts(control)["threshold"]) == ([*OWNERS], ["2"])
        assert (control.transaction, control.tip) == (name, update.tip)
        assert (update.held, update.movements) == ((), ())


async def test_a_reorganisation_takes_the_change_back() -> None:
    async with watched_safe("1.4.1", threshold=1) as (scene, safe):
        before = scene.told[safe.address]
        await safe.run(call("addOwnerWithThreshold(address,uint256)", MALLORY, 1), signers=1)
        await scene.block()
        assert MALLORY in facts(scene.told[safe.address])["owner"]
        await scene.node.rpc("anvil_reorg", 1, [])
        await scene.node.mine()
        update = await scene.at_head()
        assert update.reorg_depth >= 1
        assert scene.told[safe.address] == before


async def test_a_wallet_whose_nonce_alone_rises_is_told_with_it() -> None:
    async with watched_safe("1.3.0", threshold=1) as (scene, safe):
        before = facts(scene.told[safe.address])
        await safe.run("0x", to=PLAIN, signers=1)
        await scene.block()
        assert facts(scene.told[safe.address]) == {**before, "nonce": ["1"]}


async def test_a_plain_account_that_delegates_to_code_is_told_with_the_delegate_and_so_is_its_end() -> None:
    """EIP-7702; the transaction is sent by somebody else, and touches the account by its authorisation alone."""
    owner = Account.create()
    account = Address(owner.address.lower())
    async with AnvilNode() as node:
        await node.set_balances({account: 10**18, MALLORY: 10**18})
        await node.mine()
        async with watched(node, [account, PLAIN]) as scene:
            assert scene.told[account].kind == "single"
            name = await delegated(node, owner, to=FOREIGN, nonce=0)
            update = await scene.block()
            assert update.controls == (Control(account, "delegated", (("delegate", FOREIGN),), name, update.tip),)
            await delegated(node, owner, to="0x" + "00" * 20, nonce=1)
            update = await scene.block()
            assert [(one.account, one.kind) for one in update.controls] == [(account, "single")]


async def delegated(node: AnvilNode, owner: Account, *, to: str, nonce: int) -> str:
    """Sent by a throw-away account of its own, so that the owner's balance does not change."""
    payer = Account.create()
    signed = owner.sign_authorization({"chainId": 1, "address": bytes.fromhex(to[2:]), "nonce": nonce})
    transaction = {
        "chainId": 1,
        "nonce": 0,
        "gas": 200_000,
        "to": to_checksum_address(PLAIN),
        "value": 0,
        "data": "0x",
        "type": 4,
    }
    transaction |= {"maxFeePerGas": 0, "maxPriorityFeePerGas": 0, "authorizationList": [signed]}
    return str(
        await node.rpc("eth_sendRawTransaction", "0x" + payer.sign_transaction(transaction).raw_transaction.hex())
    )


async def test_code_that_comes_out_of_nothing_is_found_by_a_sweep() -> None:
    """A contract made by a call inside a transaction touches nobody by name."""
    async with AnvilNode() as node:
        await node.mine()
        async with watched(node, [PLAIN], sweep="1ms") as scene:
            assert scene.told[PLAIN].kind == "single"
            await node.rpc("anvil_setCode", PLAIN, ANSWERS_YES)
            await scene.block()
            await scene.block()
            assert scene.told[PLAIN].kind == "contract"


async def test_the_implementation_of_a_proxy_is_told_and_so_is_that_of_its_beacon() -> None:
    slots = {
        "implementation": "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc",
        "admin": "0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103",
        "beacon": "0xa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50",
    }
    async with AnvilNode() as node:
        await node.rpc("anvil_setCode", PLAIN, ANSWERS_YES)
        await node.rpc("anvil_setCode", GUARD, ANSWERS_YES)
        for slot, value in zip(slots.values(), (FOREIGN, MODULE, GUARD), strict=True):
            await node.rpc("anvil_setStorageAt", PLAIN, slot, f"0x{value[2:]:0>64}")
        await node.mine()
        async with watched(node, [PLAIN]) as scene:
            told = facts(scene.told[PLAIN])
            told.pop("code")
            assert scene.told[PLAIN].kind == "proxy"
            assert told == {
                "implementation": [FOREIGN],
                "admin": [MODULE],
                "beacon": [GUARD],
                "beacon_implementation": [SENTINEL],  # what that contract answers to everything
            }


def hiding(address: Address) -> object:
    """A node that shows the storage of the account as if nothing had been written to it."""

    def edit(method: str, params: list[object], result: object) -> object:
        own = method == "eth_getStorageAt" and str(params[0]).lower() == address
        return "0x" + "00" * 32 if own else result

    return edit


async def test_of_three_nodes_one_that_lies_of_storage_is_named_and_the_truth_is_told() -> None:
    async with AnvilNode() as node:
        safe = await safe_on(node, version="1.4.1", owners=OWNERS, threshold=2)
        async with (
            Forger(node.url, edit=hiding(safe.address)).running() as liar,  # type: ignore[arg-type]
            watched(node, [safe.address], urls=[liar.url, node.url, node.url], agree=2) as scene,
        ):
            assert scene.told[safe.address].kind == "safe"
            await node.mine()
            update = await scene.at_head()
            ((name, words), *_) = update.disagreements[0].answers
            assert (name, words.split()[0]) == ("a", "contract")


async def test_what_a_node_refuses_is_told_as_unread_once_and_then_as_it_is() -> None:
    async with AnvilNode() as node:
        safe = await safe_on(node, version="1.4.1", owners=OWNERS, threshold=2)
        async with (
            Forger(node.url).running() as proxy,
            watched(node, [safe.address], urls=[proxy.url]) as scene,
        ):
            before = scene.told[safe.address]
            proxy.unknown = frozenset({"eth_getStorageAt"})
            update = await scene.block()
            assert [one.kind for one in update.controls] == [UNREAD]
            assert (await scene.block()).controls == ()
            proxy.unknown = frozenset()
            await scene.block()
            assert scene.told[safe.address] == before


async def test_an_account_without_code_costs_nothing_when_nothing_touches_it() -> None:
    async with (
        AnvilNode() as node,
        Forger(node.url).running() as proxy,
    ):
        asked: list[str] = []
        await node.mine()

        def listening(method: str, _params: list[object], result: object) -> object:
            asked.append(method)
            return result

        proxy.edit = listening
        async with watched(node, [PLAIN], urls=[proxy.url]) as scene:
            assert "eth_getCode" in asked
            asked.clear()
            await scene.block()
            assert not {"eth_getCode", "eth_getStorageAt"} & {*asked}


async def test_with_controls_off_nothing_is_told_and_nothing_asked() -> None:
    async with AnvilNode() as node:
        await sent(node, ALICE, data=ANSWERS_YES)
        await node.mine()
        async with watched(node, [PLAIN], controls="off") as scene:
            await scene.block()
            assert scene.told == {}
