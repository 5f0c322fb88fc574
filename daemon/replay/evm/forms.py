"""Blocks, transactions, receipts and logs of the scripted chain in the forms that Ethereum's JSON-RPC has for them.

Sources: execution-apis (src/schemas/{block,transaction,receipt}.yaml); ERC-20 for the event of a token's transfer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from daemon.replay.evm.ledger import Block, Found, Transaction, Transfer, digest

TRANSFER_EVENT = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""Keccak of Transfer(address,address,uint256)."""

TRANSFER_CALL = "0xa9059cbb"  # transfer(address,uint256)

COIN_GAS, TOKEN_GAS = 21_000, 50_580  # what a transfer takes: the base cost, and what a plain ERC-20 takes on anvil
GAS_LIMIT = 30_000_000

EMPTY_ROOT = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"  # Keccak of an empty trie
NO_UNCLES = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"  # Keccak of an empty list
NO_REQUESTS = "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # EIP-7685, of an empty list
NO_BLOOM = "0x" + "00" * 256
FULL_BLOOM = "0x" + "ff" * 256
"""A filter that excludes nothing: true of any logs, and needs no Keccak."""

Json = dict[str, object]


def word(units: int) -> str:
    """32 bytes."""
    return f"0x{units:064x}"


def header(block: Block, *, chain_id: int, full: bool) -> Json:
    """Every field of a header of today's Ethereum; roots that we don't compute are digests of the block's hash."""
    moved = block.transactions
    used = sum(gas(one.transfer)[0] for one in moved)
    listed: list[object] = [
        transaction(Found(one, block, place), chain_id=chain_id) if full else one.hash
        for place, one in enumerate(moved)
    ]
    return {
        "hash": block.hash,
        "parentHash": block.parent,
        "sha3Uncles": NO_UNCLES,
        "miner": "0x" + "00" * 20,
        "stateRoot": digest(block.hash, "state"),
        "transactionsRoot": digest(block.hash, "transactions") if moved else EMPTY_ROOT,
        "receiptsRoot": digest(block.hash, "receipts") if moved else EMPTY_ROOT,
        "logsBloom": _bloom([one.transfer for one in moved]),
        "difficulty": "0x0",
        "number": hex(block.height),
        "gasLimit": hex(max(GAS_LIMIT, used)),
        "gasUsed": hex(used),
        "timestamp": _time(block),
        "extraData": "0x",
        "mixHash": digest(block.hash, "mix"),
        "nonce": "0x" + "00" * 8,
        "baseFeePerGas": "0x0",
        "withdrawalsRoot": EMPTY_ROOT,
        "blobGasUsed": "0x0",
        "excessBlobGas": "0x0",
        "parentBeaconBlockRoot": "0x" + "00" * 32,
        "requestsHash": NO_REQUESTS,
        "totalDifficulty": "0x0",
        "size": hex(600 + 110 * len(moved)),
        "uncles": [],
        "transactions": listed,
        "withdrawals": [],
    }


def transaction(found: Found, *, chain_id: int) -> Json:
    """A legacy transaction, mined or waiting. Its signature is nobody's: there are no keys here."""
    transfer, block = found.transaction.transfer, found.block
    used, price = gas(transfer)
    form: Json = {
        "type": "0x0",
        "chainId": hex(chain_id),
        "nonce": hex(found.transaction.nonce),
        "gasPrice": hex(price),
        "gas": hex(used),
        "to": transfer.token or transfer.recipient,
        "value": "0x0" if transfer.token else hex(transfer.units),
        "input": _input(transfer),
        "r": "0x0",
        "s": "0x0",
        "v": hex(chain_id * 2 + 35),  # EIP-155
        "hash": found.transaction.hash,
        "blockHash": None if block is None else block.hash,
        "blockNumber": None if block is None else hex(block.height),
        "transactionIndex": None if block is None else hex(found.place),
        "from": transfer.sender,
    }
    return form if block is None else form | {"blockTimestamp": _time(block)}


def receipts(block: Block) -> list[Json]:
    """Of all transactions of a block, in their order. Each has succeeded: one that can't is refused before it waits."""
    forms: list[Json] = []
    burnt = 0
    events = {event["transactionHash"]: event for event in logs(block)}  # a transfer has one at most
    for place, one in enumerate(block.transactions):
        used, price = gas(one.transfer)
        burnt += used
        forms.append(
            {
                "type": "0x0",
                "status": "0x1",
                "cumulativeGasUsed": hex(burnt),
                "logs": [events[one.hash]] if one.hash in events else [],
                "logsBloom": _bloom([one.transfer]),
                "transactionHash": one.hash,
                "transactionIndex": hex(place),
                "blockHash": block.hash,
                "blockNumber": hex(block.height),
                "gasUsed": hex(used),
                "effectiveGasPrice": hex(price),
                "from": one.transfer.sender,
                "to": one.transfer.token or one.transfer.recipient,
                "contractAddress": None,
            }
        )
    return forms


def logs(block: Block) -> Iterator[Json]:
    """The ERC-20 Transfer events of a block."""
    moved = [(place, one) for place, one in enumerate(block.transactions) if one.transfer.token is not None]
    for index, (place, one) in enumerate(moved):
        yield {
            "address": one.transfer.token,
            "topics": [TRANSFER_EVENT, _padded(one.transfer.sender), _padded(one.transfer.recipient)],
            "data": word(one.transfer.units),
            "blockHash": block.hash,
            "blockNumber": hex(block.height),
            "blockTimestamp": _time(block),
            "transactionHash": one.hash,
            "transactionIndex": hex(place),
            "logIndex": hex(index),
            "removed": False,
        }


def gas(transfer: Transfer) -> tuple[int, int]:
    """Gas used and its price, whose product is the fee to the unit.

    The price is the largest power of ten with which the gas is no less than a transfer needs.
    """
    needed = COIN_GAS if transfer.token is None else TOKEN_GAS
    if not transfer.fee:
        return needed, 0
    price = 1
    while transfer.fee % (price * 10) == 0 and transfer.fee // (price * 10) >= needed:
        price *= 10
    return transfer.fee // price, price


def by_sender(waiting: Sequence[Transaction], *, chain_id: int) -> dict[str, dict[str, Json]]:
    """The mempool as geth's txpool_content has it: account, nonce in decimal digits, transaction."""
    content: dict[str, dict[str, Json]] = {}
    for place, one in enumerate(waiting):
        of_sender = content.setdefault(one.transfer.sender, {})
        of_sender[str(one.nonce)] = transaction(Found(one, None, place), chain_id=chain_id)
    return content


def _input(transfer: Transfer) -> str:
    if transfer.token is None:
        return "0x"
    return TRANSFER_CALL + _padded(transfer.recipient)[2:] + word(transfer.units)[2:]


def _padded(account: str) -> str:
    return "0x" + account[2:].rjust(64, "0")


def _bloom(transfers: Sequence[Transfer]) -> str:
    return FULL_BLOOM if any(transfer.token is not None for transfer in transfers) else NO_BLOOM


def _time(block: Block) -> str:
    return hex(int(block.time.timestamp()))
