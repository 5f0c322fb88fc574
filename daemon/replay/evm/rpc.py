"""The Ethereum JSON-RPC that readers of balances, movements and contracts use, answered from what a node knows.

Sources: JSON-RPC 2.0; the Ethereum execution-apis specification (src/eth); geth's documentation for txpool. Read-only:
there is no way to send a transaction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from daemon.replay.evm import forms
from daemon.replay.evm import parameters as given
from daemon.replay.evm.events import find_logs
from daemon.replay.evm.ledger import Block, digest
from daemon.replay.evm.parameters import (
    ADDRESS,
    DATA,
    HASH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    NO_METHOD,
    PARSE_ERROR,
    REVERTED,
    SLOT,
    At,
    RpcError,
)
from daemon.replay.evm.view import View


@dataclass(frozen=True, slots=True)
class TokenContract:
    """What an ERC-20 contract says of itself."""

    symbol: str
    decimals: int


class Rpc:
    """Answers requests out of `view`; `tokens` are the chain's contracts, by lower-case address."""

    def __init__(self, view: View, *, chain_id: int, tokens: Mapping[str, TokenContract]) -> None:
        self._view = view
        self._chain_id = chain_id
        self._tokens = tokens
        self._methods: Mapping[str, Callable[[Sequence[object]], object]] = {
            "eth_chainId": lambda _: hex(chain_id),
            "net_version": lambda _: str(chain_id),
            "net_listening": lambda _: True,
            "web3_clientVersion": lambda _: "pyrometer-replay/v1",
            "eth_syncing": lambda _: False,
            "eth_gasPrice": lambda _: "0x0",
            "eth_blockNumber": lambda _: hex(view.tip.height),
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_getBlockReceipts": self._block_receipts,
            "eth_getTransactionByHash": self._transaction,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getLogs": lambda params: find_logs(params, view=view),
            "eth_getBalance": self._balance,
            "eth_getTransactionCount": self._sent,
            "eth_getCode": self._code,
            "eth_getStorageAt": self._storage,
            "eth_call": self._call,
            "txpool_content": self._waiting,
            "txpool_status": lambda _: {"pending": hex(len(view.waiting)), "queued": "0x0"},
        }

    # ── requests ────────────────────────────────────────────────────────────────────────────────────────────────────

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

    # ── blocks and what is in them ──────────────────────────────────────────────────────────────────────────────────

    def _block_by_number(self, params: Sequence[object]) -> object:
        full = given.whether_full(params)
        if params[0] == "pending":
            return self._header(self._next_block(), full=full)
        return self._header(self._view.block(given.height(params[0], view=self._view)), full=full)

    def _block_by_hash(self, params: Sequence[object]) -> object:
        full = given.whether_full(params)
        return self._header(self._view.block_of(given.first(params, pattern=HASH)), full=full)

    def _header(self, block: Block | None, *, full: bool) -> object:
        return None if block is None else forms.header(block, chain_id=self._chain_id, full=full)

    def _next_block(self) -> Block:
        """What the next block will be as far as is known; its hash will be another one, since its time will be."""
        tip, waiting = self._view.tip, tuple(self._view.waiting)
        block_hash = digest(tip.hash, "pending", *(one.hash for one in waiting))
        return replace(tip, height=tip.height + 1, hash=block_hash, parent=tip.hash, transactions=waiting, changes=())

    def _block_receipts(self, params: Sequence[object]) -> object:
        block = given.block(params[0] if params else None, view=self._view)
        return None if block is None else forms.receipts(block)

    def _transaction(self, params: Sequence[object]) -> object:
        found = self._view.find(given.first(params, pattern=HASH))
        return None if found is None else forms.transaction(found, chain_id=self._chain_id)

    def _receipt(self, params: Sequence[object]) -> object:
        """Null while the transaction waits."""
        found = self._view.find(given.first(params, pattern=HASH))
        return None if found is None or found.block is None else forms.receipts(found.block)[found.place]

    def _waiting(self, _params: Sequence[object]) -> object:
        return {"pending": forms.by_sender(self._view.waiting, chain_id=self._chain_id), "queued": {}}

    # ── state ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _balance(self, params: Sequence[object]) -> str:
        account = given.first(params, pattern=ADDRESS)
        return hex(self._units(account, None, at=given.at(params, place=1, view=self._view)))

    def _sent(self, params: Sequence[object]) -> str:
        account, at = given.first(params, pattern=ADDRESS), given.at(params, place=1, view=self._view)
        return hex(self._view.sent_ahead(account) if at.ahead else self._view.sent(account, height=at.height))

    def _code(self, params: Sequence[object]) -> str:
        """One byte, INVALID, for a token without code of its own: there is code, and nobody should run it."""
        account, at = given.first(params, pattern=ADDRESS), given.at(params, place=1, view=self._view)
        code = self._view.code(account, height=at.height)
        return "0xfe" if code == "0x" and account in self._tokens else code

    def _storage(self, params: Sequence[object]) -> str:
        account = given.first(params, pattern=ADDRESS)
        slot = int(given.matching(params[1] if len(params) > 1 else None, pattern=SLOT), 16)
        at = given.at(params, place=2, view=self._view)
        return forms.word(self._view.storage(account, slot=slot, height=at.height))

    def _call(self, params: Sequence[object]) -> str:
        message = params[0] if params else None
        if not isinstance(message, dict):
            raise RpcError(INVALID_PARAMS, "missing the call object")
        contract = given.matching(message.get("to"), pattern=ADDRESS).lower()
        data = given.matching(message.get("input", message.get("data", "0x")), pattern=DATA).lower()
        at = given.at(params, place=1, view=self._view)
        token = self._tokens.get(contract)
        return "0x" if token is None else self._ask_token(token, contract=contract, data=data, at=at)

    def _ask_token(self, token: TokenContract, *, contract: str, data: str, at: At) -> str:
        selector, argument = data[2:10], data[10:]
        if selector == "70a08231" and len(argument) >= 64:  # balanceOf(address)
            return forms.word(self._units("0x" + argument[24:64], contract, at=at))
        if selector == "18160ddd":  # totalSupply()
            return forms.word(self._view.supply(contract, height=at.height))
        if selector == "313ce567":  # decimals()
            return forms.word(token.decimals)
        if selector == "95d89b41":  # symbol()
            return _string(token.symbol)
        raise RpcError(REVERTED, "execution reverted", data="0x")

    def _units(self, account: str, token: str | None, *, at: At) -> int:
        purse = (account, token)
        return self._view.balance_ahead(purse) if at.ahead else self._view.balance(purse, height=at.height)


def _string(text: str) -> str:
    """One string as the Solidity ABI returns it: offset, length, bytes padded to words."""
    raw = text.encode()
    padded = raw.hex().ljust(-(-len(raw) // 32) * 64, "0")
    return f"0x{32:064x}{len(raw):064x}{padded}"


def _refusal(identity: object, error: RpcError) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": identity, "error": error.as_json()}


def _dump(answer: object) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode()
