"""Random walks on a real EVM chain: whatever happens, balances and movements add up over every range of blocks."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator

import pytest

from connectors.base import Address, Stage, Update
from tests.integration.anvil import AnvilNode, RpcError
from tests.integration.evm_audit import Audit, passing_on, paying, paying_and_failing, send, send_token
from tests.integration.evm_chain import DAI, USDT, followed, furnished, watching

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

WATCH = watching(8)
HOT, COLD, THIRD, *_ = WATCH.accounts
VAULT, PIPE, PURSE = WATCH.accounts[-3:]
STRANGERS = tuple(Address(f"0x{0x57A0000 + number:040x}") for number in range(3))
RELAY, BROKEN = Address("0x" + "c1" * 20), Address("0x" + "c2" * 20)
CODES = {
    VAULT: paying(STRANGERS[0], 700),
    PIPE: passing_on(HOT),
    PURSE: paying(COLD, 9),
    RELAY: passing_on(VAULT),
    BROKEN: paying_and_failing(HOT, 50),
}
PAYERS = (HOT, COLD, THIRD, *STRANGERS)
TARGETS = (*WATCH.accounts, *STRANGERS, RELAY, BROKEN)
BLOCKS = 25


class Walk:
    """What happens, by a seed."""

    def __init__(self, node: AnvilNode, *, updates: AsyncGenerator[Update, None], seed: int) -> None:
        self.audit = Audit(WATCH)
        self._node = node
        self._updates = updates
        self._chance = random.Random(seed)
        self._start = 0

    async def take(self) -> None:
        self._start = (await self._node.head())[0]
        self.audit.take(await anext(self._updates))
        for _ in range(BLOCKS):
            for _ in range(self._chance.randint(0, 4)):
                await self._transact()
            await self._block()
        for _ in range(3):  # so that what a reorg dropped is given up
            await self._node.mine()
            await self._read()

    async def _transact(self) -> None:
        chance = self._chance
        payer, to, price = chance.choice(PAYERS), chance.choice(TARGETS), chance.choice([0, 3, 10**9])
        try:
            match chance.randint(0, 5):
                case 0 | 1 | 2:
                    await send(
                        self._node,
                        payer,
                        to=to,
                        value=chance.choice([0, 1, chance.randint(2, 10**15)]),
                        gas_price=price,
                    )
                case 3:
                    contract = str(chance.choice([USDT, DAI]).contract)
                    units = chance.choice([1, chance.randint(2, 10**5), 10**12])
                    await send_token(self._node, payer, contract=contract, to=to, units=units, gas_price=price)
                case 4:
                    await send(
                        self._node, payer, to=None, value=chance.randint(0, 99), data="0x5f5ff3", gas_price=price
                    )
                case _:
                    await self._replace(payer, to=to)
        except RpcError as refused:
            assert "underpriced" in str(refused) or "Insufficient funds" in str(refused), refused

    async def _replace(self, payer: str, *, to: str) -> None:
        nonce = int(await self._node.rpc("eth_getTransactionCount", payer, "latest"), 16)
        await send(self._node, payer, to=to, value=2, gas_price=self._chance.randint(1, 10**10), nonce=nonce)

    async def _block(self) -> None:
        chance = self._chance
        if chance.random() < 0.2:
            await self._node.rpc("anvil_setCoinbase", chance.choice([COLD, STRANGERS[0]]))
        await self._node.mine(chance.choice([1, 1, 1, 2, 4]))
        height = (await self._node.head())[0]
        if chance.random() < 0.25 and height - self._start > 4:
            await self._read()
            await self._node.rpc("anvil_reorg", chance.randint(1, 4), [])
        await self._read()

    async def _read(self) -> None:
        await self.audit.until(self._updates, block=(await self._node.head())[1])


@pytest.mark.parametrize("seed", range(6))
async def test_balances_and_movements_add_up_over_every_range_of_blocks(seed: int) -> None:
    settings = {"traces": "off" if seed % 3 == 2 else "auto", "pending": "off" if seed % 2 else "auto"}
    async with furnished(WATCH) as node:
        await node.set_balances(dict.fromkeys(STRANGERS, 10**20))
        for account, code in CODES.items():
            await node.rpc("anvil_setCode", account, code)
        await node.mine(2)
        async with followed([node.url], watch=WATCH, **settings) as updates:
            walk = Walk(node, updates=updates, seed=seed)
            await walk.take()
            tips = [update.tip for update in walk.audit.updates if update.tip is not None]
            canonical = {tip.hash for tip in tips if await _is_canonical(node, height=tip.height, hash_=tip.hash)}
            await walk.audit.assert_ranges(node, [tip for tip in dict.fromkeys(tips) if tip.hash in canonical])
            assert {one.tip.hash for one in walk.audit.mined() if one.tip} <= {*canonical, *await _all_blocks(node)}
            waiting = walk.audit.at(Stage.PENDING)
            for name in waiting:
                known = await node.rpc("eth_getTransactionByHash", name)
                assert known is not None and known["blockHash"] is None, f"{name} does not wait: {known}"


async def _is_canonical(node: AnvilNode, *, height: int, hash_: str) -> bool:
    block = await node.rpc("eth_getBlockByNumber", hex(height), False)
    return block is not None and block["hash"] == hash_


async def _all_blocks(node: AnvilNode) -> set[str]:
    top = (await node.head())[0]
    return {(await node.rpc("eth_getBlockByNumber", hex(height), False))["hash"] for height in range(top + 1)}
