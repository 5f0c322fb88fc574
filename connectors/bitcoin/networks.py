"""The parameters of each network of Bitcoin's family, as a literal table.

Sources: `chainparams.cpp` of Bitcoin Core, Litecoin Core, Dogecoin Core and Bitcoin Cash Node; SLIP-132 for the
versions of extended public keys; BIP-173 and SLIP-173 for the prefixes of segwit addresses; the CashAddr specification.
Bitcoinlib's table agrees but for what a test names.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.bitcoin import forms
from connectors.bitcoin.forms import BlockForm


@dataclass(frozen=True, slots=True)
class Network:
    """One network.

    - `genesis`: hash of block 0, as people write it. `fork`: a later (height, hash), for networks that share a genesis.
    - `p2pkh`, `p2sh`: version bytes of base58 addresses; the first of `p2sh` is how one is written, others are read.
    - `hrp`: prefix of segwit addresses, None without segwit. `cashaddr`: prefix of CashAddr, None where it is not used.
    - `extended`: version of an extended public key → the descriptor functions around one that stands alone; the first
      version is how a key is written, and says nothing about the script.
    - `block`: what a raw block may contain, and how much money one output can hold.
    - `looks`: how addresses begin, for people.
    """

    name: str
    looks: str
    genesis: str
    p2pkh: int
    p2sh: tuple[int, ...]
    hrp: str | None
    extended: Mapping[bytes, str] = field(repr=False)
    block: BlockForm
    cashaddr: str | None = None
    fork: tuple[int, str] | None = None

    @property
    def segwit(self) -> bool:
        return self.hrp is not None

    @property
    def anchors(self) -> dict[int, str]:
        """Hashes of blocks by height that together no other network here has."""
        return {0: self.genesis} | ({self.fork[0]: self.fork[1]} if self.fork else {})


def _versions(**functions_of: str) -> dict[bytes, str]:
    """`x0488b21e="pkh"` as {version: functions}."""
    return {bytes.fromhex(name[1:]): functions for name, functions in functions_of.items()}


# SLIP-132. xpub, ypub, zpub, Ypub, Zpub, and the same of the test networks: tpub, upub, vpub, Upub, Vpub.
MAIN = _versions(x0488b21e="pkh", x049d7cb2="sh(wpkh)", x04b24746="wpkh", x0295b43f="sh(wsh)", x02aa7ed3="wsh")
TEST = _versions(x043587cf="pkh", x044a5262="sh(wpkh)", x045f1cf6="wpkh", x024289ef="sh(wsh)", x02575483="wsh")

NETWORKS: Mapping[str, Network] = {
    network.name: network
    for network in (
        Network(
            name="bitcoin",
            looks="1…, 3… or bc1…",
            genesis="000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
            p2pkh=0,
            p2sh=(5,),
            hrp="bc",
            extended=MAIN,
            block=forms.BITCOIN,
            # The first block that Bitcoin Cash does not share.
            fork=(478_559, "00000000000000000019f112ec0a9982926f1258cdcc558dd7c3b7e5dc7fa148"),
        ),
        Network(
            name="testnet",
            looks="m…, n…, 2… or tb1…",
            genesis="000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943",
            p2pkh=111,
            p2sh=(196,),
            hrp="tb",
            extended=TEST,
            block=forms.BITCOIN,
        ),
        Network(
            name="testnet4",
            looks="m…, n…, 2… or tb1…",
            genesis="00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043",
            p2pkh=111,
            p2sh=(196,),
            hrp="tb",
            extended=TEST,
            block=forms.BITCOIN,
        ),
        Network(
            name="signet",
            looks="m…, n…, 2… or tb1…",
            genesis="00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
            p2pkh=111,
            p2sh=(196,),
            hrp="tb",
            extended=TEST,
            block=forms.BITCOIN,
        ),
        Network(
            name="regtest",  # as Bitcoin Core has it; bcoin's own regtest differs in base58, not in bcrt1
            looks="m…, n…, 2… or bcrt1…",
            genesis="0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
            p2pkh=111,
            p2sh=(196,),
            hrp="bcrt",
            extended=TEST,
            block=forms.BITCOIN,
        ),
        Network(
            name="litecoin",
            looks="L…, M… or ltc1…",
            genesis="12a765e31ffd4059bada1e25190f6e98c99d9714d334efa41a195a7e7e04bfe2",
            p2pkh=48,
            p2sh=(50, 5),  # 3… is the old form of M…
            hrp="ltc",
            extended=MAIN | _versions(x019da462="pkh", x01b26ef6="sh(wpkh)"),  # Ltub, Mtub
            block=forms.LITECOIN,
        ),
        Network(
            name="litecoin-testnet",
            looks="m…, n…, Q… or tltc1…",
            genesis="4966625a4b2851d9fdee139e56211a0d88575f59ed816ff5e6a63deb4e3e29a0",
            p2pkh=111,
            p2sh=(58, 196),
            hrp="tltc",
            extended=TEST | _versions(x0436f6e1="pkh"),  # ttub
            block=forms.LITECOIN,
        ),
        Network(
            name="dogecoin",
            looks="D…, 9… or A…",
            genesis="1a91e3dace36e2be3bf030a65679fe821aa1d6ef92e7c9902eb318182c355691",
            p2pkh=30,
            p2sh=(22,),
            hrp=None,
            extended=_versions(x02facafd="pkh", x0488b21e="pkh"),  # dgub, and the xpub that other wallets write
            block=forms.DOGECOIN,
        ),
        Network(
            name="bitcoin-cash",
            looks="bitcoincash:q…, bitcoincash:p…, 1… or 3…",
            genesis="000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
            p2pkh=0,
            p2sh=(5,),
            hrp=None,
            extended=_versions(x0488b21e="pkh"),
            block=forms.BITCOIN_CASH,
            cashaddr="bitcoincash",
            fork=(478_559, "000000000000000000651ef99cb9fcbe0dadde1d424bd9f15ff20136191a5eec"),
        ),
    )
}

ALIASES: Mapping[str, str] = {"mainnet": "bitcoin"}


def named(name: str) -> Network:
    """The network of this name, `mainnet` being bitcoin's. ValueError with the nearest name for any other."""
    found = NETWORKS.get(ALIASES.get(name, name))
    if found is None:
        known = (*ALIASES, *NETWORKS)
        near = difflib.get_close_matches(name, known, n=1)
        raise ValueError(f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}")
    return found
