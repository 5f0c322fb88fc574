"""A small Electrum server of ours before a scripted ledger: JSON-RPC over TCP, a line a message, with notices.

Source: Electrum protocol 1.4, «Protocol Methods» and «Protocol Basics»; the words and codes of refusals are ElectrumX's
and aiorpcX's. What the connector asks, and no more.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Self

from daemon.replay.bitcoin.ledger import Change, Ledger
from daemon.replay.bitcoin.serial import Block, Transaction
from daemon.replay.bitcoin.view import View
from daemon.replay.faults import Answering, Door

BAD_REQUEST, DAEMON_ERROR = 1, 2
INVALID_REQUEST, NO_METHOD, INVALID_PARAMS, INTERNAL_ERROR, PARSE_ERROR = -32600, -32601, -32602, -32603, -32700
EXCESSIVE_USE = -101
"""aiorpcX's EXCESSIVE_RESOURCE_USAGE, after which the server hangs up."""

SERVER, PROTOCOL = "pyrometer-replay 1", "1.4"
MOST_HEADERS = 2016
LONGEST_LINE = 1_000_000
HASH = re.compile(r"[0-9a-f]{64}")


class Refused(Exception):
    """A JSON-RPC error object."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Histories:
    """What an Electrum server tells of scripts, by the hashes that name them."""

    def __init__(self, view: View, *, scripts: Collection[bytes]) -> None:
        """`scripts` are those that were touched already."""
        self._view = view
        self._scripts: dict[str, bytes] = {}
        self._names: dict[bytes, str] = {}
        self.names_of(scripts)

    def names_of(self, scripts: Collection[bytes]) -> list[str]:
        """The names of scripts that are touched now."""
        return [self._names.get(script) or self._name(script) for script in scripts]

    def status(self, name: str) -> str | None:
        """The digest of a history, None where there is none. A liar's differs, as if its history did."""
        script = self._scripts.get(name)
        if script is None:
            return None
        history, waiting = self._view.history(script), self._view.waiting(script)
        if not history and not waiting:
            return None
        record = self._view.record(script)
        if record is None or self._view.faults.behind:
            digest = hashlib.sha256("".join(f"{txid}:{height}:" for txid, height in history).encode())
        else:
            digest = record.digest()
        digest.update("".join(f"{one.txid}:{self._depth(one)}:" for one in waiting).encode())
        if self._view.faults.lying:
            digest.update(b"lie")
        return digest.hexdigest()

    def balance(self, name: str) -> dict[str, object]:
        """In satoshis; what is pending as the difference that it makes."""
        script = self._scripts.get(name, b"")
        waiting = self._view.waiting(script)
        made = sum(units for one in waiting for paid, units in one.outputs if paid == script)
        spent = sum(self._view.spent_of(script, one) for one in waiting)
        return {"confirmed": sum(coin.units for coin in self._view.coins(script)), "unconfirmed": made - spent}

    def unspent(self, name: str) -> list[dict[str, object]]:
        """Coins that nothing pending spends, pending ones too."""
        script = self._scripts.get(name, b"")
        free = [coin for coin in self._view.coins(script) if not self._view.is_taken(coin)]
        free += [coin for coin in self._view.pending_coins(script) if not self._view.is_taken(coin)]
        return [
            {"tx_hash": coin.outpoint[0], "tx_pos": coin.outpoint[1], "height": coin.height, "value": coin.units}
            for coin in free
        ]

    def history(self, name: str) -> list[dict[str, object]]:
        """Mined in the chain's order, then pending."""
        seen = self._view.history(self._scripts.get(name, b""))
        return [{"tx_hash": txid, "height": height} for txid, height in seen] + self.pending(name)

    def pending(self, name: str) -> list[dict[str, object]]:
        return [
            {"tx_hash": one.txid, "height": self._depth(one), "fee": one.fee}
            for one in self._view.waiting(self._scripts.get(name, b""))
        ]

    def _depth(self, one: Transaction) -> int:
        """What stands for the height of a pending transaction."""
        return -1 if self._view.on_pending(one) else 0

    def _name(self, script: bytes) -> str:
        name = self._names[script] = hashlib.sha256(script).digest()[::-1].hex()
        self._scripts[name] = script
        return name


class ElectrumServer:
    """Serves on a free port of the loopback while entered; every request comes through the door.

    Notices are sent to those who subscribed when the ledger changes, however slow or unwilling the answers are.
    """

    def __init__(self, ledger: Ledger, *, view: View, door: Door) -> None:
        self.url = ""
        self.view = view
        self.door = door
        self.histories = Histories(view, scripts=ledger.records.of.keys())
        self._ledger = ledger
        self._sessions: dict[Session, asyncio.Future[None]] = {}
        """Each with what serves it."""
        self._told = (0, False)
        """The faults by which notices were last sent."""
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=LONGEST_LINE)
        self.url = f"tcp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self._ledger.listeners.append(self._changed)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ledger.listeners.remove(self._changed)
        if self._server is not None:
            self._server.close()
        serving = tuple(self._sessions.values())
        for session in tuple(self._sessions):
            await session.close()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(self, reader=reader, writer=writer)
        self._sessions[session] = asyncio.ensure_future(session.run())
        self._sessions[session].add_done_callback(lambda _: self._sessions.pop(session))

    def _changed(self, change: Change) -> None:
        """Where the node tells another chain than the ledger's, anything may have changed for those who listen."""
        names = self.histories.names_of(change.scripts)
        now = (self.view.faults.behind, self.view.faults.lying)
        everything = bool(now[0]) or now != self._told
        self._told = now
        for session in tuple(self._sessions):
            session.notify(None if everything else names, block=change.block)


class Session:
    """One connection. Requests are answered as they come, those that take longer later."""

    def __init__(self, server: ElectrumServer, *, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._view = server.view
        self._reader = reader
        self._writer = writer
        self._answering: set[asyncio.Task[None]] = set()
        self._statuses: dict[str, str | None] = {}
        """What was last told of each script that was subscribed to."""
        self._tip: str | None = None
        """The newest block that was told to who subscribed to headers."""
        histories = server.histories
        self._methods: Mapping[str, tuple[Callable[..., object], int, int]] = {
            "server.version": (lambda *_: [SERVER, PROTOCOL], 0, 2),
            "server.features": (self._features, 0, 0),
            "server.ping": (lambda: None, 0, 0),
            "blockchain.headers.subscribe": (self._subscribe_headers, 0, 0),
            "blockchain.block.header": (self._header, 1, 1),
            "blockchain.block.headers": (self._headers, 2, 2),
            "blockchain.scripthash.subscribe": (self._subscribe, 1, 1),
            "blockchain.scripthash.get_balance": (lambda name: histories.balance(_script_hash(name)), 1, 1),
            "blockchain.scripthash.get_history": (lambda name: histories.history(_script_hash(name)), 1, 1),
            "blockchain.scripthash.get_mempool": (lambda name: histories.pending(_script_hash(name)), 1, 1),
            "blockchain.scripthash.listunspent": (lambda name: histories.unspent(_script_hash(name)), 1, 1),
            "blockchain.transaction.get": (self._transaction, 1, 2),
        }
        """Each with how many parameters it takes, at least and at most."""

    async def run(self) -> None:
        """Until the other end hangs up."""
        try:
            while line := await self._reader.readline():
                task = asyncio.create_task(self._answer(line), name="an Electrum answer")
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)
        except (OSError, ValueError):  # the connection broke, or the line is too long
            pass
        finally:
            await self.close()

    async def close(self) -> None:
        """Hangs up; what was asked last is answered no more."""
        self._writer.transport.abort()
        answering = tuple(task for task in self._answering if task is not asyncio.current_task())
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)

    def notify(self, names: Collection[str] | None, *, block: bool) -> None:
        """Tells what has changed of what was subscribed to; None: anything may have."""
        self._server.door.leave()
        tip = self._view.tip
        if block and self._tip is not None and self._tip != tip.hash:
            self._tip = tip.hash
            self._send(_notice("blockchain.headers.subscribe", _head(tip)))
        for name in tuple(self._statuses) if names is None else [name for name in names if name in self._statuses]:
            status = self._server.histories.status(name)
            if status != self._statuses[name]:
                self._statuses[name] = status
                self._send(_notice("blockchain.scripthash.subscribe", name, status))

    async def _answer(self, line: bytes) -> None:
        identity: object = None
        how = await self._server.door.enter()
        try:
            try:
                identity, method, params = _request(line)
                _let_in(how)
                answer: dict[str, object] = {"result": self._call(method, params)}
            except Refused as error:
                answer = {"error": {"code": error.code, "message": str(error)}}
            self._send({"jsonrpc": "2.0", **answer, "id": identity})
            if how is Answering.TOO_MANY:
                self._writer.close()  # after what is on its way
        finally:
            self._server.door.leave()

    def _send(self, message: Mapping[str, object]) -> None:
        """What a slow reader has not taken yet waits in memory: it is ours, in this very process."""
        if not self._writer.is_closing():
            self._writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        self._server.door.leave()

    def _call(self, method: str, params: Sequence[object]) -> object:
        if method not in self._methods:
            raise Refused(NO_METHOD, f'unknown method "{method}"')
        call, least, most = self._methods[method]
        if not least <= len(params) <= most:
            raise Refused(INVALID_PARAMS, f"{len(params)} arguments passed to {method}; it takes {least} to {most}")
        return call(*params)

    def _features(self) -> dict[str, object]:
        first = self._view.block(0)
        return {
            "hosts": {},
            "pruning": None,
            "server_version": SERVER,
            "protocol_min": PROTOCOL,
            "protocol_max": PROTOCOL,
            "genesis_hash": None if first is None else first.hash,
            "hash_function": "sha256",
            "services": [],
        }

    def _subscribe_headers(self) -> dict[str, object]:
        tip = self._view.tip
        self._tip = tip.hash
        return _head(tip)

    def _subscribe(self, name: object) -> str | None:
        known = _script_hash(name)
        status = self._statuses[known] = self._server.histories.status(known)
        return status

    def _header(self, height: object) -> str:
        wanted = _height(height)
        block = self._view.block(wanted)
        if block is None:
            raise Refused(BAD_REQUEST, f"height {wanted:,d} out of range")
        return block.header.hex()

    def _headers(self, start: object, count: object) -> dict[str, object]:
        first, wanted = _height(start), min(_height(count), MOST_HEADERS)
        blocks = [block for height in range(first, first + wanted) if (block := self._view.block(height))]
        raw = b"".join(block.header for block in blocks)
        return {"hex": raw.hex(), "count": len(blocks), "max": MOST_HEADERS}

    def _transaction(self, txid: object, verbose: object = False) -> str:  # noqa: FBT002 - as in the protocol
        if not isinstance(txid, str) or not HASH.fullmatch(txid.lower()):
            raise Refused(BAD_REQUEST, f"{txid} should be a transaction hash")
        if verbose is not False:
            raise Refused(BAD_REQUEST, "this server tells nothing taken apart: ask with false")
        found = self._view.transaction(txid.lower())
        if found is None:
            raise Refused(DAEMON_ERROR, "daemon error: No such mempool or blockchain transaction.")
        return found.raw.hex()


def _let_in(how: Answering) -> None:
    if how is Answering.TOO_MANY:
        raise Refused(EXCESSIVE_USE, "excessive resource usage")
    if how is Answering.FAILING:
        raise Refused(INTERNAL_ERROR, "internal server error")


def _request(line: bytes) -> tuple[object, str, Sequence[object]]:
    try:
        message = json.loads(line)
    except ValueError:
        raise Refused(PARSE_ERROR, "invalid JSON") from None
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        raise Refused(INVALID_REQUEST, "expected a request object with a method")
    params = message.get("params", [])
    if not isinstance(params, list):
        raise Refused(INVALID_PARAMS, "expected an array of parameters")
    return message.get("id"), message["method"], params


def _notice(method: str, *params: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def _head(block: Block) -> dict[str, object]:
    return {"hex": block.header.hex(), "height": block.height}


def _script_hash(value: object) -> str:
    if not isinstance(value, str) or not HASH.fullmatch(value):
        raise Refused(BAD_REQUEST, f"{value} is not a valid script hash")
    return value


def _height(value: object) -> int:
    if type(value) is not int or value < 0:
        raise Refused(BAD_REQUEST, f"{value} should be a non-negative integer")
    return value
