"""The Ethereum JSON-RPC that a reader of balances uses, answered from a scripted chain.

Sources: JSON-RPC 2.0; the Ethereum execution-apis specification (src/eth/{block,client,execute,state}.yaml); EIP-1898
for the block parameter and the error of an unknown block. Read-only: there is no way to send a transaction.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from daemon.replay.evm.ledger import Block, EvmLedger, digest

SAFE_DEPTH, FINALIZED_DEPTH = 32, 64  # one and two epochs of 32 slots, as on Ethereum
ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
HASH = re.compile(r"0x[0-9a-fA-F]{64}")
QUANTITY = re.compile(r"0x(0|[1-9a-fA-F][0-9a-fA-F]*)")
DATA = re.compile(r"0x([0-9a-fA-F]{2})*")

PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
NOT_FOUND = -32001  # EIP-1898, for a block that the node does not know
REVERTED = 3  # execution-apis, error group of eth_call

EMPTY_ROOT = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"  # Keccak of an empty trie
NO_UNCLES = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"  # Keccak of an empty list
NO_REQUESTS = "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # EIP-7685, of an empty list


@dataclass(frozen=True, slots=True)
class TokenContract:
    """What an ERC-20 contract says of itself."""

    symbol: str
    decimals: int


class RpcError(Exception):
    """A JSON-RPC error object."""

    def __init__(self, code: int, message: str, *, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data

    def as_json(self) -> dict[str, object]:
        error: dict[str, object] = {"code": self.code, "message": str(self)}
        return error if self.data is None else error | {"data": self.data}


class Rpc:
    """Answers requests about `chain`; `tokens` are its contracts, by lower-case address."""

    def __init__(self, chain: EvmLedger, *, chain_id: int, tokens: Mapping[str, TokenContract]) -> None:
        self.chain = chain
        self._chain_id = chain_id
        self._tokens = tokens
        self._methods: Mapping[str, Callable[[Sequence[object]], object]] = {
            "eth_chainId": lambda _: hex(chain_id),
            "net_version": lambda _: str(chain_id),
            "web3_clientVersion": lambda _: "pyrometer-replay/v1",
            "eth_blockNumber": lambda _: hex(chain.tip.height),
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_getBalance": self._balance,
            "eth_getCode": self._code,
            "eth_call": self._call,
        }

    def answer(self, body: bytes) -> bytes | None:
        """The body of the answer to one HTTP request; None when there was nothing but notifications."""
        try:
            request = json.loads(body)
        except ValueError:
            return _dump(_refusal(None, RpcError(PARSE_ERROR, "Parse error")))
        if not isinstance(request, list):
            single = self._one(request)
            return None if single is None else _dump(single)
        if not request:
            return _dump(_refusal(None, RpcError(INVALID_REQUEST, "Invalid request")))
        answers = [answer for item in request if (answer := self._one(item)) is not None]
        return _dump(answers) if answers else None

    def _one(self, request: object) -> dict[str, object] | None:
        if not isinstance(request, dict):
            return _refusal(None, RpcError(INVALID_REQUEST, "Invalid request"))
        identity = request.get("id")
        method = request.get("method")
        if request.get("jsonrpc") != "2.0" or not isinstance(method, str):
            return _refusal(identity, RpcError(INVALID_REQUEST, "Invalid request"))
        if "id" not in request:
            return None
        try:
            result = self._dispatch(method, request.get("params", []))
        except RpcError as error:
            return _refusal(identity, error)
        return {"jsonrpc": "2.0", "id": identity, "result": result}

    def _dispatch(self, method: str, params: object) -> object:
        call = self._methods.get(method)
        if call is None:
            raise RpcError(NO_METHOD, "Method not found")
        if not isinstance(params, list):
            raise RpcError(INVALID_PARAMS, "parameters must be an array")
        return call(params)

    def _block_by_number(self, params: Sequence[object]) -> object:
        _only_hashes(params)
        block = self.chain.block(self._height(params[0]))
        return None if block is None else _header(block)

    def _block_by_hash(self, params: Sequence[object]) -> object:
        _only_hashes(params)
        block = self.chain.block_of(_matching(params[0], pattern=HASH).lower())
        return None if block is None else _header(block)

    def _balance(self, params: Sequence[object]) -> str:
        account = _account(params)
        return hex(self.chain.balance((account, None), height=self._block_parameter(params).height))

    def _code(self, params: Sequence[object]) -> str:
        """One byte, INVALID, for a token: there is code, and nobody should run it."""
        account = _account(params)
        self._block_parameter(params)
        return "0xfe" if account in self._tokens else "0x"

    def _call(self, params: Sequence[object]) -> str:
        message = params[0] if params else None
        if not isinstance(message, dict):
            raise RpcError(INVALID_PARAMS, "missing the call object")
        contract = _matching(message.get("to"), pattern=ADDRESS).lower()
        data = _matching(message.get("input", message.get("data", "0x")), pattern=DATA).lower()
        block = self._block_parameter(params)
        token = self._tokens.get(contract)
        return "0x" if token is None else self._ask_token(token, contract=contract, data=data, height=block.height)

    def _ask_token(self, token: TokenContract, *, contract: str, data: str, height: int) -> str:
        selector, argument = data[2:10], data[10:]
        if selector == "70a08231" and len(argument) >= 64:  # balanceOf(address)
            return _word(self.chain.balance(("0x" + argument[24:64], contract), height=height))
        if selector == "18160ddd":  # totalSupply()
            return _word(self.chain.supply(contract, height=height))
        if selector == "313ce567":  # decimals()
            return _word(token.decimals)
        if selector == "95d89b41":  # symbol()
            return _string(token.symbol)
        raise RpcError(REVERTED, "execution reverted", data="0x")

    def _block_parameter(self, params: Sequence[object]) -> Block:
        """The second parameter, `latest` when it is missing: a number, a tag, a hash or an EIP-1898 object."""
        given = params[1] if len(params) > 1 else "latest"
        if isinstance(given, dict):
            block = self._block_object(given)
        elif isinstance(given, str) and HASH.fullmatch(given):
            block = self.chain.block_of(given.lower())
        else:
            block = self.chain.block(self._height(given))
        if block is None:
            raise RpcError(NOT_FOUND, "Resource not found: header not found")
        return block

    def _block_object(self, given: Mapping[str, object]) -> Block | None:
        if ("blockHash" in given) == ("blockNumber" in given):
            raise RpcError(INVALID_PARAMS, "expected either blockHash or blockNumber")
        if "blockHash" in given:
            return self.chain.block_of(_matching(given["blockHash"], pattern=HASH).lower())
        return self.chain.block(self._height(given["blockNumber"]))

    def _height(self, number: object) -> int:
        tip = self.chain.tip.height
        # No mempool: what is pending is what is latest.
        tags = {"latest": tip, "pending": tip, "safe": tip - SAFE_DEPTH, "finalized": tip - FINALIZED_DEPTH}
        if number == "earliest":
            return 0
        if isinstance(number, str) and number in tags:
            return max(0, tags[number])
        return int(_matching(number, pattern=QUANTITY), 16)


def _only_hashes(params: Sequence[object]) -> None:
    if len(params) != 2 or not isinstance(params[1], bool):
        raise RpcError(INVALID_PARAMS, "expected a block and whether to include full transactions")
    if params[1]:
        raise RpcError(INVALID_PARAMS, "this node keeps balances, not signed transactions: ask with false")


def _account(params: Sequence[object]) -> str:
    return _matching(params[0] if params else None, pattern=ADDRESS).lower()


def _matching(value: object, *, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise RpcError(INVALID_PARAMS, f"invalid argument: expected {pattern.pattern}")
    return value


def _word(units: int) -> str:
    return f"0x{units:064x}"


def _string(text: str) -> str:
    """One string as the Solidity ABI returns it: offset, length, bytes padded to words."""
    raw = text.encode()
    padded = raw.hex().ljust(-(-len(raw) // 32) * 64, "0")
    return f"0x{32:064x}{len(raw):064x}{padded}"


def _header(block: Block) -> dict[str, object]:
    """Every field of a header of today's Ethereum; roots that we don't compute are digests of the block's hash."""
    transactions = block.transaction_hashes()
    return {
        "hash": block.hash,
        "parentHash": block.parent,
        "sha3Uncles": NO_UNCLES,
        "miner": "0x" + "00" * 20,
        "stateRoot": digest(block.hash, "state"),
        "transactionsRoot": digest(block.hash, "transactions") if transactions else EMPTY_ROOT,
        "receiptsRoot": digest(block.hash, "receipts") if transactions else EMPTY_ROOT,
        "logsBloom": "0x" + "00" * 256,
        "difficulty": "0x0",
        "number": hex(block.height),
        "gasLimit": hex(30_000_000),
        "gasUsed": hex(21_000 * len(transactions)),
        "timestamp": hex(int(block.time.timestamp())),
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
        "size": hex(600 + 110 * len(transactions)),
        "uncles": [],
        "transactions": transactions,
        "withdrawals": [],
    }


def _refusal(identity: object, error: RpcError) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": identity, "error": error.as_json()}


def _dump(answer: object) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode()
