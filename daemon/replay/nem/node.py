"""A small NIS1 node of ours on the loopback: a scripted ledger behind the real REST interface, that can misbehave.

The shape of each answer is that of NemProject/nem, openapi/spec/route_definitions (2026), and of real answers quoted in
docs.nem.io, "NEM Dev Basics (Docker)", and in the tests of symbol/product:

- `/chain/height`, `/chain/last-block`, `/block/at/public`: chain/ and block/; ChainController, BlockController
- `/account/get`, `/account/get/batch`, `/account/historical/get[/batch]`: account/; AccountInfoController
- `/account/mosaic/owned`, `/mosaic/definition`: mosaic/; AccountNamespaceInfoController, MosaicDefinitionController
- `/account/unconfirmedTransactions`: transaction/; AccountController, which lists 25
- `/node/info`: node/; errors: schemas/ModelError.yml, and ExceptionControllerAdvice for their statuses

Read-only: nothing can be announced through it.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from connectors.base import Address
from connectors.nem.pending import MOST_LISTED, TRANSACTION
from daemon.replay.faults import Answering, Door, Faults
from daemon.replay.loopback import REFUSALS, Loopback
from daemon.replay.nem.ledger import Ledger, Mined, Multisig, Purse, World
from daemon.replay.nem.transactions import Json, mosaic

REASONS = {400: "Bad Request", 404: "Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}


class NisError(Exception):
    """An error object of NIS's, and its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class Behaviour:
    """What the node is made to do; may be changed at any time.

    - `lag`: it stands so many blocks below the ledger's newest
    - `ahead`: its accounts show so many blocks more than it tells of, as while NIS takes in a block
    - `lies`: units that it tells in the place of the true ones
    - `failing`: HTTP status by path; `refused`: accounts for which alone, and in whose company, it answers 500
    - `throttled`: it answers 429 to everything
    - `historical`, `batches`: whether it offers these calls
    - `seconds`: how long every answer takes
    - `before`: called with the path before each answer
    - `twist`: makes another answer out of the path and the right one: an object, or bytes as they are
    """

    lag: int = 0
    ahead: int = 0
    lies: dict[Purse, int] = field(default_factory=dict)
    failing: dict[str, int] = field(default_factory=dict)
    refused: set[Address] = field(default_factory=set)
    throttled: bool = False
    historical: bool = False
    batches: bool = True
    seconds: float = 0.0
    before: Callable[[str], None] = lambda _path: None
    twist: Callable[[str, object], object] | None = None


class NemNode(Loopback):
    """Serves NIS1 at `url` while entered. It sees what is mined on `ledger` at once.

    Requests come in through `door`, whose faults it has; without one it has none. While it is dark its port refuses
    connections and stays reserved.
    """

    def __init__(self, ledger: Ledger, *, door: Door | None = None) -> None:
        super().__init__(self._run)
        self.ledger = ledger
        self.behaviour = Behaviour()
        self.calls: Counter[str] = Counter()
        self._door = door
        self._faults = Faults() if door is None else door.faults
        self._get: Mapping[str, Callable[[Mapping[str, str]], object]] = {
            "/chain/height": lambda _: {"height": self._height},
            "/chain/last-block": lambda _: self.ledger.blocks[self._height - 1],
            "/node/info": self._info,
            "/account/get": lambda query: self._account(_address(query)),
            "/account/mosaic/owned": lambda query: {"data": self._owned(_address(query))},
            "/account/unconfirmedTransactions": lambda query: {"data": self._unconfirmed(_address(query))},
            "/account/historical/get": self._past,
            "/mosaic/definition": self._definition,
        }
        self._posted: Mapping[str, Callable[[Mapping[str, object]], object]] = {
            "/block/at/public": self._block,
            "/account/get/batch": self._accounts,
            "/account/historical/get/batch": self._past_of_many,
        }

    # ── the server ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> web.ServerRunner:
        # Without an Application around it, a request costs half as much: it needs no routes but our own.
        return web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        if self._door is None:
            return await self._answered(request)
        answering = await self._door.enter()
        try:
            if answering is Answering.WELL:
                return await self._answered(request)
            status, headers = REFUSALS[answering]
            return web.Response(status=status, headers=headers)
        finally:
            self._door.leave()

    async def _answered(self, request: web.BaseRequest) -> web.Response:
        behaviour, path = self.behaviour, request.path
        self.calls[path] += 1
        behaviour.before(path)
        if behaviour.seconds:
            await asyncio.sleep(behaviour.seconds)
        if behaviour.throttled:
            return web.Response(status=429, headers={"Retry-After": "1"})
        try:
            answer = self._answer(request.method, path, request.query, await request.read())
            if behaviour.twist is not None:
                answer = behaviour.twist(path, answer.told if isinstance(answer, Mined) else answer)
        except NisError as error:
            return self._refusal(error)
        return web.Response(body=_text(answer), content_type="application/json")

    def _answer(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> object:
        if path in self.behaviour.failing:
            raise NisError(self.behaviour.failing[path], "told to fail")
        if method == "GET" and path in self._get:
            return self._get[path](query)
        if method == "POST" and path in self._posted:
            return self._posted[path](_object(body))
        raise NisError(404, f"no such path: {path}")

    def _refusal(self, error: NisError) -> web.Response:
        reason = REASONS.get(error.status, "Error")
        value = {"timeStamp": self.ledger.now, "error": reason, "message": str(error), "status": error.status}
        return web.json_response(value, status=error.status)

    # ── blocks ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _height(self) -> int:
        """Of the newest block that it tells of."""
        return max(1, self._reached - self.behaviour.ahead)

    @property
    def _reached(self) -> int:
        """The height of its accounts."""
        return max(1, len(self.ledger.blocks) - self.behaviour.lag - self._faults.behind)

    @property
    def _world(self) -> World:
        """Its accounts."""
        return self.ledger.world(self._reached)

    def _block(self, asked: Mapping[str, object]) -> object:
        height = asked.get("height")
        if not isinstance(height, int) or height < 1:
            raise NisError(400, "height must be positive")
        if height > self._height:
            raise NisError(404, f"block not found in the db '{height}' (org.nem.nis.dbmodel.DbBlock)")
        return self.ledger.blocks[height - 1]

    def _info(self, _query: Mapping[str, str]) -> Json:
        features = 0x3 if self.behaviour.historical else 0x1
        version = self.ledger.notary.network.version
        meta = {
            "features": features,
            "application": None,
            "networkId": version - 256 if version > 127 else version,
            "version": "0.6.102",
            "platform": "pyrometer replay",
        }
        endpoint = {"protocol": "http", "port": self._port, "host": "127.0.0.1"}
        return {"metaData": meta, "endpoint": endpoint, "identity": {"name": "replay", "public-key": "00" * 32}}

    # ── accounts ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _units(self, purse: Purse, *, world: World) -> int:
        """A liar makes accounts a bit richer, and one that is empty now it tells as full as it was in the beginning:
        plausible, and what somebody would forge who wants a theft to go unseen."""
        units = self.behaviour.lies.get(purse, world.units.get(purse, 0))
        if not self._faults.lying:
            return units
        return units + units // 100 + 1 if units else self.ledger.world(1).units.get(purse, 0)

    def _account(self, account: Address) -> Json:
        if account in self.behaviour.refused:
            raise NisError(500, "told to refuse this account")
        world = self._world
        multisig = world.multisigs.get(account)
        cosigned = [name for name, one in world.multisigs.items() if one and account in one.cosignatories]
        cosignatories = multisig.cosignatories if multisig else ()
        meta = {
            "status": "LOCKED",
            "remoteStatus": _remote_status(account, world=world),
            "cosignatoryOf": [self._summary(name, world=world) for name in cosigned],
            "cosignatories": [self._summary(name, world=world) for name in cosignatories],
        }
        return {"meta": meta, "account": self._summary(account, world=world)}

    def _summary(self, account: Address, *, world: World) -> Json:
        balance = self._units((account, None), world=world)
        return {
            "address": account,
            "harvestedBlocks": 0,
            "balance": balance,
            "importance": 0.0,
            "vestedBalance": balance,
            "publicKey": None,
            "label": None,
            "multisigInfo": _multisig_info(world.multisigs.get(account)),
        }

    def _accounts(self, asked: Mapping[str, object]) -> Json:
        if not self.behaviour.batches:
            raise NisError(404, "no such path: /account/get/batch")
        return {"data": [self._account(account) for account in _listed(asked)]}

    def _owned(self, account: Address) -> list[Json]:
        """As NIS lists them: XEM among them, and what was spent to nothing not."""
        if account in self.behaviour.refused:
            raise NisError(500, "told to refuse this account")
        world = self._world
        names = self.ledger.mosaics_of(account) | {name for owner, name in self.behaviour.lies if owner == account}
        held = {name: self._units((account, name), world=world) for name in sorted(names, key=lambda name: name or "")}
        return [
            {"quantity": units, "mosaicId": mosaic(name or "nem:xem")}
            for name, units in held.items()
            if units or name is None
        ]

    def _definition(self, query: Mapping[str, str]) -> object:
        name = query.get("mosaicId", "")
        if name == "nem:xem":
            raise NisError(500, "not scripted")
        if name not in self._world.definitions:
            raise NisError(404, f"invalid mosaic definition '{name}' (org.nem.core.model.mosaic.MosaicDefinition)")
        return self._world.definitions[name]

    def _unconfirmed(self, account: Address) -> list[Json]:
        if account in self.behaviour.refused:
            raise NisError(500, "told to refuse this account")
        found: list[Json] = []
        # A node that is behind has an empty pool: what waited back then is mined by now.
        for told in () if self._faults.behind else self.ledger.pool.values():
            one = TRANSACTION.validate_python(told)
            if account in {one.signed_by, one.debtor, *one.named()}:
                inner = [part.hash() for part in one.parts()][1:]
                found.append({"meta": {"data": inner[0] if inner else None}, "transaction": told})
        return found[-MOST_LISTED:]

    # ── history ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _past(self, query: Mapping[str, str]) -> Json:
        heights = range(int(query["startHeight"]), int(query["endHeight"]) + 1, int(query["increment"]))
        return {"data": self._past_of(_address(query), heights=heights)}

    def _past_of_many(self, asked: Mapping[str, object]) -> Json:
        low, high, step = (_whole(asked, key) for key in ("startHeight", "endHeight", "incrementBy"))
        heights = range(low, high + 1, step)
        return {
            "data": [{"data": self._past_of(account, heights=heights)} for account in _listed(asked, key="accounts")]
        }

    def _past_of(self, account: Address, *, heights: range) -> list[Json]:
        if not self.behaviour.historical:
            raise NisError(500, "this node does not support historical account data retrieval")
        told: list[Json] = []
        for height in heights:
            if height <= self._height:
                balance = self._units((account, None), world=self.ledger.world(height))
                vested: Json = {"vestedBalance": balance, "unvestedBalance": 0, "importance": 0.0, "pageRank": 0.0}
                told.append({"height": height, "address": account, "balance": balance, **vested})
        return told


def _text(answer: object) -> bytes:
    """As JSON; blocks are written already."""
    if isinstance(answer, Mined):
        return answer.text
    return answer if isinstance(answer, bytes) else json.dumps(answer, separators=(",", ":")).encode()


def _remote_status(account: Address, *, world: World) -> str:
    if account in world.remotes:
        return "REMOTE"
    return "ACTIVE" if account in world.remotes.values() else "INACTIVE"


def _multisig_info(multisig: Multisig | None) -> Json:
    if multisig is None:
        return {}
    return {"cosignatoriesCount": len(multisig.cosignatories), "minCosignatories": multisig.minimum}


def _address(query: Mapping[str, str]) -> Address:
    if "address" not in query:
        raise NisError(400, "address must be given")
    return Address(query["address"])


def _object(body: bytes) -> Mapping[str, object]:
    value = json.loads(body)
    if not isinstance(value, dict):
        raise NisError(400, "expected an object")
    return value


def _listed(asked: Mapping[str, object], *, key: str = "data") -> Sequence[Address]:
    data = asked.get(key)
    if not isinstance(data, list):
        raise NisError(400, f"{key} must be given")
    return [Address(one["account"]) for one in data]


def _whole(asked: Mapping[str, object], key: str) -> int:
    value = asked.get(key)
    if not isinstance(value, int):
        raise NisError(400, f"{key} must be given")
    return value
