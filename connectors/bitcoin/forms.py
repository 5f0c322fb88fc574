"""How the blocks of each network of the family differ on the wire, and how much money each can hold."""

from dataclasses import dataclass

COIN = 100_000_000


@dataclass(frozen=True, slots=True)
class BlockForm:
    """What a block of a network may contain. `max_money` is in units (satoshi); no transaction's outputs exceed it.

    - `witness`: transactions may carry witness data (BIP 144).
    - `mweb`: a HogEx transaction and an extension block may close the block (Litecoin LIP-0002, LIP-0003).
    - `auxpow`: the header may be followed by the parent chain's proof of work (merged mining).
    - `tokens`: a script may be preceded by a token prefix (CHIP-2022-02-CashTokens).
    - `sorted_by_txid`: a coin may be spent further up in the block than it is created (Bitcoin Cash, November 2018).
    """

    name: str
    max_money: int
    witness: bool = False
    mweb: bool = False
    auxpow: bool = False
    tokens: bool = False
    sorted_by_txid: bool = False


BITCOIN = BlockForm("bitcoin", 21_000_000 * COIN, witness=True)
"""Bitcoin mainnet, testnet, signet and regtest (MAX_MONEY: Bitcoin Core, consensus/amount.h)."""

LITECOIN = BlockForm("litecoin", 84_000_000 * COIN, witness=True, mweb=True)

DOGECOIN = BlockForm("dogecoin", 10_000_000_000 * COIN, auxpow=True)
"""Dogecoin Core's MAX_MONEY bounds one transaction; the supply itself is larger."""

BITCOIN_CASH = BlockForm("bitcoin-cash", 21_000_000 * COIN, tokens=True, sorted_by_txid=True)
