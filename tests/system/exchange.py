"""A small exchange on a real anvil: one hot and one cold account of ether, and the configuration that watches them."""

from typing import Any

from tests.integration.anvil import AnvilNode

HOT = "0x" + "a1" * 20
COLD = "0x" + "c1" * 20
OUTSIDE = "0x" + "e1" * 20
ETHER = 10**18


def config(*urls: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - YAML values
    """jp-psa over HOT and COLD, read from these nodes every 50 ms."""
    chain = {
        "kind": "evm",
        "chain_id": 1,
        "endpoints": [{"url": url, "name": f"node-{number}"} for number, url in enumerate(urls, 1)],
        "poll": "50ms",
        "timeout": "2s",
        "max_age": "2s",
        "max_tip_age": "30d",
        **more.pop("chain", {}),
    }
    return {
        "chains": {"ethereum": chain},
        "assets": {"ETH": {"tokens": [{"chain": "ethereum"}]}},
        "wallets": {
            "eth-hot-1": {"chain": "ethereum", "tier": "hot", "addresses": [HOT]},
            "eth-cold-1": {"chain": "ethereum", "tier": "cold", "addresses": [COLD]},
        },
        "feeds": {"prices": [{"kind": "fixed", "values": {"ETH": 500_000}}]},
        "policies": [{"kind": "hot_share", "name": "hot-share", "limit": 0.05, "clear_after": "300ms"}],
        **more,
    }


async def fund(anvil: AnvilNode, *, hot: int, cold: int) -> None:
    """Sets both balances, in thousandths of an ether, and mines them."""
    await anvil.set_balances({HOT: hot * ETHER // 1000, COLD: cold * ETHER // 1000})
    await anvil.mine()


async def move(anvil: AnvilNode, source: str, target: str, *, thousandths: int) -> None:
    """A real transfer, mined."""
    await anvil.send(source, to=target, value=thousandths * ETHER // 1000)
    await anvil.mine()
