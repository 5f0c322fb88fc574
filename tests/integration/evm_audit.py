"""Who holds movements against balances on a real EVM chain, update by update; and things that move ether there."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Iterable

from connectors.base import Address, Movement, Stage, Tip, Token, Update, Watch
from tests.integration.anvil import AnvilNode
from tests.integration.erc20 import transfer_data
from tests.integration.evm_chain import Holdings, held, holdings_at

Key = tuple[str, Token]


class Audit:
    """Takes updates as the daemon does, and asserts with each that balances and mined movements add up."""

    def __init__(self, watch: Watch) -> None:
        self.updates: list[Update] = []
        self.newest: dict[Key, Movement] = {}
        """Of each transaction and token as it was told last."""
        self.stages: dict[str, list[Stage]] = {}
        self.tips: dict[str, Holdings] = {}
        """What was told to be held at each tip."""
        self.watch = watch
        self._held: Holdings = {}
        self._began: Holdings = {}

    async def until(self, updates: AsyncGenerator[Update, None], *, block: str) -> Update:
        """Until this block is read; its update."""
        async for update in updates:
            self.take(update)
            if update.tip is not None and update.tip.hash == block:
                return update
        raise AssertionError("the updates ended")

    async def until_stage(self, updates: AsyncGenerator[Update, None], transaction: str, stage: Stage) -> Movement:
        """Until the transaction has come to this stage; it with the chain's coin, or else with whatever it moves."""
        async for update in updates:
            self.take(update)
            for one in update.movements:
                if one.transaction == transaction and one.stage is stage:
                    return one
        raise AssertionError("the updates ended")

    def take(self, update: Update) -> None:
        assert update.failure is None, update.failure
        assert update.tip is not None
        self.updates.append(update)
        assert not update.unread
        self._held |= held(update)
        if not self._began:
            self._began = dict(self._held)
        for one in update.movements:
            self._enter(one)
        self.tips[update.tip.hash] = dict(self._held)
        expected = self.after(self.mined())
        assert self._held == expected, f"at {update.tip}: {_different(self._held, expected)}"

    def _enter(self, one: Movement) -> None:
        key = (one.transaction, one.token)
        before = self.newest.get(key)
        assert before != one or one.transaction.startswith("block:"), f"told twice: {one}"
        assert (one.tip is not None) == (one.stage is Stage.MINED)
        self.newest[key] = one
        self.stages.setdefault(one.transaction, []).append(one.stage)

    def mined(self) -> list[Movement]:
        return [one for one in self.newest.values() if one.stage is Stage.MINED]

    def rests(self) -> list[Movement]:
        return [one for one in self.mined() if one.transaction.startswith("block:")]

    def at(self, stage: Stage) -> set[str]:
        return {one.transaction for one in self.newest.values() if one.stage is stage}

    def after(self, movements: Iterable[Movement], *, since: Holdings | None = None) -> Holdings:
        """What is held after these, beginning with what was told first."""
        sums = Counter(self._began if since is None else since)
        for one in movements:
            for account, units in one.changes:
                sums[account, one.token] += units
        return dict(sums)

    async def assert_ranges(self, node: AnvilNode, tips: Iterable[Tip]) -> None:
        """Over every range of these blocks, what an account's movements sum up to is what its balance changed by."""
        tips = list(tips)
        known = {tip.hash: await holdings_at(node, watch=self.watch, block=tip.hash) for tip in tips}
        for place, low in enumerate(tips):
            for high in tips[place:]:
                between = [one for one in self.mined() if one.tip and low.height < one.tip.height <= high.height]
                assert self.after(between, since=known[low.hash]) == known[high.hash], (low.height, high.height)


def _different(one: Holdings, other: Holdings) -> dict[tuple[Address, Token], tuple[int, int]]:
    return {key: (one[key], other.get(key, 0)) for key in one if one[key] != other.get(key, 0)}


async def send(node: AnvilNode, sender: str, *, to: str | None, gas_price: int = 0, **fields: object) -> str:
    """A transaction of any account that waits now; its hash. `value`, `nonce` as numbers, `data` in hex."""
    shown = {name: hex(value) if isinstance(value, int) else value for name, value in fields.items()}
    transaction = {"from": sender, "gas": hex(200_000), "gasPrice": hex(gas_price), **shown}
    if to is not None:
        transaction["to"] = to
    return str(await node.rpc("eth_sendTransaction", transaction))


async def send_token(node: AnvilNode, sender: str, *, contract: str, to: str, units: int, gas_price: int = 0) -> str:
    return await send(node, sender, to=contract, data=transfer_data(to, units), gas_price=gas_price)


def passing_on(to: str) -> str:
    """Code of a contract that hands the ether it is called with to this account."""
    return f"0x5f5f5f5f3473{to[2:]}5af100"  # CALL(gas, to, CALLVALUE, 0, 0, 0, 0)


def paying(to: str, units: int) -> str:
    """Code of a contract that, whoever calls it, pays so many wei (below 2**16) of its own to this account."""
    return f"0x5f5f5f5f61{units:04x}73{to[2:]}5af100"


def paying_and_failing(to: str, units: int) -> str:
    """As `paying`, and then it reverts, so that nothing is paid."""
    return f"0x5f5f5f5f61{units:04x}73{to[2:]}5af1505f5ffd"
