"""Laws 2 and 3 on a real node: a thousand wallets, two tokens, to the last unit, while blocks are being mined."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.integration.anvil import AnvilNode
from tests.integration.erc20 import balance_of_data
from tests.system.daemon import Daemon, run_command, running_daemon

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

ACCOUNTS = [f"0x{0xACC0000000 + number:040x}" for number in range(1000)]
COARSE, FINE = "0x" + "c0" * 20, "0x" + "f1" * 20
CONTRACTS = {"USDC": (COARSE, 6), "LINK": (FINE, 18)}


def config(url: str) -> dict[str, Any]:
    """One wallet per account, three in a hundred hot."""
    wallets = {
        f"w-{number:04}": {"chain": "ethereum", "tier": "hot" if number % 33 == 0 else "cold", "addresses": [account]}
        for number, account in enumerate(ACCOUNTS)
    }
    tokens = {
        asset: {"tokens": [{"chain": "ethereum", "contract": contract, "decimals": decimals}]}
        for asset, (contract, decimals) in CONTRACTS.items()
    }
    chain = {
        "kind": "evm",
        "chain_id": 1,
        "endpoints": [url],
        "poll": "100ms",
        "max_tip_age": "30d",
        # Of its newest block anvil answers from the state on which it executes the next one: asked again for the same
        # hash, it says something else. One block below it answers from its history.
        "confirmations": 2,
    }
    return {
        "chains": {"ethereum": chain},
        "assets": {"ETH": {"tokens": [{"chain": "ethereum"}]}, **tokens},
        "wallets": wallets,
        "feeds": {"prices": [{"kind": "fixed", "values": {"ETH": 500_000, "USDC": 150, "LINK": 2_000}}]},
        "policies": [{"kind": "hot_share", "limit": 0.9}],
    }


async def populate(anvil: AnvilNode, dice: random.Random) -> None:
    await anvil.set_balances({account: dice.randrange(10**24) for account in ACCOUNTS})
    for contract, decimals in CONTRACTS.values():
        units = {account: dice.randrange(10**24) for account in ACCOUNTS}
        await anvil.deploy(contract, decimals=decimals, units=units)
    await anvil.mine()


async def trade(anvil: AnvilNode, dice: random.Random) -> None:
    """Transfers of coins and tokens between watched accounts, a block for every few, without end."""
    while True:
        for _ in range(3):
            source, target = dice.sample(ACCOUNTS, 2)
            await anvil.send(source, to=target, value=dice.randrange(1, 10**15))
            await anvil.send_token(source, contract=FINE, to=target, units=dice.randrange(1, 10**15))
        await anvil.mine()
        await asyncio.sleep(0.2)


async def truth(anvil: AnvilNode, block: str) -> dict[str, dict[str, str]]:
    """What the node itself says of every account at that block hash."""
    at = {"blockHash": block}
    calls: list[tuple[str, list[object]]] = [("eth_getBalance", [account, at]) for account in ACCOUNTS]
    for contract, _ in CONTRACTS.values():
        calls += [("eth_call", [{"to": contract, "data": balance_of_data(account)}, at]) for account in ACCOUNTS]
    answers = [str(int(answer, 16)) for answer in await anvil.rpc_batch(calls)]
    columns = [answers[start : start + 1000] for start in (0, 1000, 2000)]
    return {
        account: dict(zip(("ETH", *CONTRACTS), row, strict=True))
        for account, *row in zip(ACCOUNTS, *columns, strict=True)
    }


async def test_every_account_is_exactly_what_the_node_says_at_that_hash_while_blocks_are_mined(tmp_path: Path) -> None:
    dice = random.Random(7)
    async with AnvilNode() as anvil:
        await populate(anvil, dice)
        daemon = Daemon(tmp_path, config(anvil.url))
        trading = asyncio.create_task(trade(anvil, dice))
        try:
            seen = set()
            for _ in range(2):
                code, out, err = await run_command(
                    "once", "--config", str(daemon.file), "--json", "--accounts", cwd=tmp_path
                )
                assert code == 0, err
                report = json.loads(out)
                block = report["chains"]["ethereum"]["hash"]
                seen.add(block)
                expected = await truth(anvil, block)
                for name, wallet in report["wallets"].items():
                    account = ACCOUNTS[int(name[2:])]
                    assert wallet["readings"] == {account: expected[account]}
                    assert {asset: held["units"] for asset, held in wallet["holdings"].items()} == expected[account]
            assert len(seen) == 2
        finally:
            trading.cancel()
            await asyncio.wait([trading])


async def test_transfers_between_watched_accounts_never_change_a_total(tmp_path: Path) -> None:
    dice = random.Random(8)
    async with AnvilNode() as anvil:
        await populate(anvil, dice)
        async with running_daemon(tmp_path, config(anvil.url)) as daemon:
            await daemon.becomes("/api/v1/status", lambda body: body.get("verdict") == "ok")
            trading = asyncio.create_task(trade(anvil, dice))
            try:
                heights, totals = set[int](), set[int]()
                while len(heights) < 8:
                    body = await daemon.get("/api/v1/exposure")
                    heights.add(body["chains"]["ethereum"]["height"])
                    totals.add(_total(body, "ETH") + _total(body, "LINK"))
                assert len(totals) == 1
            finally:
                trading.cancel()
                await asyncio.wait([trading])


def _total(body: dict[str, Any], asset: str) -> int:
    """In units, over all tiers, of an asset with 18 decimals."""
    amounts = [held["amount"]["value"] for held in body["holdings"] if held["asset"] == asset]
    whole = 0
    for amount in amounts:
        coins, _, rest = amount.partition(".")
        whole += int(coins + rest.ljust(18, "0"))
    return whole
