"""Walks on a real chain: does what a plan says, and compares every report with a recomputation of all blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tests.integration.bcoin import NOWHERE
from tests.integration.recomputed import Blocks
from tests.integration.regtest import Regtest
from tests.integration.spending import Signed, Spending
from tests.integration.walk_accounts import DATA, USED, Accounts
from tests.integration.walk_steps import (
    DEEPEST,
    Chain,
    Choice,
    Evict,
    Kill,
    Mine,
    Pay,
    Plan,
    Reorganise,
    Replace,
    Restart,
    Spend,
    Step,
)
from tests.integration.watcher import Watcher

MOST_PENDING = 15
"""Of 25 that bcoin lets hang together."""

WHOLE_SCAN = "every script"
"""In `Scans`: a scan of everything that is watched."""

Scans = Callable[[], Mapping[str, int]]
"""How often each thing was looked for by now: WHOLE_SCAN, or a script by itself."""


class _Looks(NamedTuple):
    """What was looked for when the newest block was at `height`."""

    scans: Mapping[str, int]
    scanned_at: int
    height: int


class Walk:
    """One walk, on a chain that may have seen others."""

    def __init__(self, chain: Regtest, *, blocks: Blocks, accounts: Accounts, watcher: Watcher, scans: Scans) -> None:
        self._node = chain.node
        self._blocks = blocks
        self._accounts = accounts
        self._spending = Spending(chain, blocks=blocks, accounts=accounts)
        self._watcher = watcher
        self._scans = scans
        self._tip = ""
        self._lowest = 0
        """No reorganisation goes below."""
        self._scanned = 0
        self._scanned_at = 0
        """All blocks above this height were followed one by one since the last whole scan."""

    @property
    def _height(self) -> int:
        return self._blocks.height(self._tip)

    async def take(self, plan: Plan) -> None:
        """All of its steps, and one more block."""
        await self._mined(await self._node.mine())
        if plan.early:
            await self._begin(plan)
        await self._bury()
        if not plan.early:
            await self._begin(plan)
        for step in (*plan.steps, Mine()):
            if len(await self._node.mempool()) > MOST_PENDING:
                await self._do(Mine())
            await self._do(step)

    async def _begin(self, plan: Plan) -> None:
        await self._watcher.start(die_in=plan.die_in)
        if plan.die_in is not None:
            await self._watcher.dies(within=1.0)
            await self._watcher.kill()
            await self._watcher.start()
        await self._settle()

    async def _bury(self) -> None:
        """The first payments, deeper than any reorganisation reaches."""
        await self._pay([(scripts[USED], 30_000) for scripts in self._accounts.branches])
        await self._mined(await self._node.mine(1 + DEEPEST))
        self._lowest = self._height - DEEPEST

    async def _do(self, step: Step) -> None:
        match step:
            case Pay():
                await self._pay([(self._accounts.place(choice), value) for choice, value in step.to])
            case Spend():
                await self._spend(step)
            case Chain():
                await self._hand_on(step)
            case Replace():
                await self._replace(step)
            case Evict():
                pending = await self._blocks.pending()
                if pending:
                    await self._node.evict(pending[step.which % len(pending)].txid)
            case Mine():
                await self._mine(step.reward)
                await self._settle()
            case Reorganise():
                await self._reorganise_and_settle(step)
            case Restart():
                await self._restart(step)
            case Kill():
                await self._kill(step)

    # ── transactions ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _pay(self, outputs: Sequence[tuple[bytes, int]]) -> None:
        coins = await self._spending.coins(self._tip)
        await self._spending.send(self._spending.from_faucet(outputs, coins=coins, height=self._height))

    async def _spend(self, step: Spend) -> None:
        coins = await self._spending.coins(self._tip)
        chosen = {self._spending.own(coins, choice) for choice in step.coins}
        inputs = {place: coins[place] for place in sorted(place for place in chosen if place is not None)}
        await self._send(self._spending.passed_on(inputs, to=[self._accounts.place(choice) for choice in step.to]))

    async def _hand_on(self, step: Chain) -> None:
        coins = await self._spending.coins(self._tip)
        place = self._spending.own(coins, step.coin)
        for choice in step.over:
            if place is None or coins[place].script not in self._accounts.keys:
                return
            signed = self._spending.passed_on({place: coins[place]}, to=[self._accounts.place(choice)])
            if signed is None:
                return
            await self._send(signed)
            coins = signed.transaction.outputs(height=None)
            place = min(coins)

    async def _replace(self, step: Replace) -> None:
        pending = await self._blocks.pending()
        if not pending:
            return
        known = self._blocks.coins(self._tip)
        for one in pending:
            known |= one.outputs(height=None)
        old, to = pending[step.which % len(pending)], self._accounts.place(step.to)
        await self._send(self._spending.replacing(old, inputs=step.inputs, to=to, known=known), instead=True)

    async def _send(self, signed: Signed | None, *, instead: bool = False) -> None:
        if signed is not None:
            await self._spending.send(signed, instead=instead)

    # ── blocks ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _mine(self, reward: Choice | None) -> None:
        script = NOWHERE if reward is None else self._accounts.place(reward)
        await self._mined(await self._node.mine(script=NOWHERE if script == DATA else script))

    async def _mined(self, hashes: Sequence[str]) -> None:
        self._tip = hashes[-1]
        await self._blocks.learn(self._tip)

    async def _reorganise_and_settle(self, step: Reorganise) -> None:
        before = self._looks()
        parting = await self._reorganise(step)
        await self._settle()
        self._assert_resumed(before, parting=parting)

    async def _reorganise(self, step: Reorganise) -> int:
        """The height of the last block that both branches have."""
        parting = max(self._height - step.depth, self._lowest)
        old = self._blocks.branch(self._tip, above=parting)
        plan = self._spending.other_branch(old, step=step)
        if step.at_once:
            raws = [[signed.raw for signed in block] for block in plan]
            await self._mined(await self._node.branch(str(old[0].parent), raws))
            return parting
        await self._node.rpc("invalidateblock", old[0].hash)
        for block in plan:
            for signed in block:
                await self._spending.send(signed)
            await self._mined(await self._node.mine())
        return parting

    # ── ends ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _restart(self, step: Restart) -> None:
        await self._watcher.stop()
        before = self._looks()
        parting = await self._happen(step.blocks, step.away)
        await self._watcher.start()
        await self._settle()
        self._assert_resumed(before, parting=parting)

    async def _kill(self, step: Kill) -> None:
        before = self._looks()
        self._watcher.die_in(step.statements)
        parting = await self._happen(step.blocks, step.meanwhile)
        await self._watcher.dies(within=step.milliseconds / 1000)
        await self._watcher.kill()
        if step.again is not None:
            await self._watcher.start(die_in=step.again)
            await self._watcher.dies(within=1.0)
            await self._watcher.kill()
        await self._watcher.start()
        await self._settle()
        self._assert_resumed(before, parting=parting)

    async def _happen(self, blocks: int, reorganisation: Reorganise | None) -> int:
        """Nobody waits for the connector meanwhile. The height of the last block that is still there."""
        if reorganisation is not None:
            return await self._reorganise(reorganisation)
        height = self._height
        for _ in range(blocks):
            await self._mine(None)
        return height

    def _looks(self) -> _Looks:
        return _Looks(dict(self._scans()), self._scanned_at, self._height)

    def _assert_resumed(self, before: _Looks, *, parting: int) -> None:
        """Nothing that was kept is looked for again, as long as it leads to the new branch."""
        again = [
            name for name, times in self._scans().items() if before.scans.get(name) and times != before.scans[name]
        ]
        if parting >= before.scanned_at:
            assert WHOLE_SCAN not in again, f"a scan, though every block from {parting} on was followed"
        if parting == before.height:
            assert not again, f"looked for anew, though the chain has the block that was kept: {again}"

    # ── the comparison ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _settle(self) -> None:
        """Waits for the report at the newest block, and compares it and all before it."""
        await self._watcher.reach(self._tip)
        reports, self._watcher.reports = self._watcher.reports, []
        for report in reports:
            expected = self._blocks.balances(report.tip, self._accounts.scripts)
            assert report.held.keys() == expected.keys()
            wrong = {name: (report.held[name], units) for name, units in expected.items() if report.held[name] != units}
            assert not wrong, f"at {report.tip}, account: (held, by all blocks): {wrong}"
            assert not report.doubts, f"at {report.tip}: {report.doubts}"
        scanned = self._scans().get(WHOLE_SCAN, 0)
        if scanned != self._scanned:
            self._scanned, self._scanned_at = scanned, self._height
