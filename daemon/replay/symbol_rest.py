"""What a small Symbol node of ours answers: a scripted ledger in the shape of the real REST interface.

The shape of each answer is that of symbol/symbol, openapi/openapi-symbol.yml (schemas by name), and where the document
and the program differ (addresses come in hexadecimal digits), that of answers of mainnet nodes. Errors are those of
client/rest, server/errors.js and routes/routeUtils.js. Read-only: nothing can be announced through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from connectors.base import Address
from connectors.symbol.address import raw_of
from connectors.symbol.networks import Network
from daemon.replay.symbol_ledger import (
    EPOCH,
    FEE_MULTIPLIER,
    HARVESTER,
    XYM,
    Block,
    Json,
    Ledger,
    Purse,
    Transaction,
    digest,
    milliseconds,
)

PAGE_SIZES = (10, 100)
"""The least and the most entries of a page (rest/resources/rest.json)."""

SCORE = 2**64


class RestError(Exception):
    """A ModelError, and its HTTP status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(slots=True)
class Behaviour:
    """What the node is made to do; may be changed at any time.

    - `lag`: it stands so many blocks below the ledger's newest
    - `states_behind`: its account states and score are so many blocks older (or newer, where negative) than its blocks
    - `lost_states`: its account states are gone, as after a repair of its database
    - `lies`: units that it tells in the place of the true ones
    - `base32`: it writes addresses as base32
    - `failing`: HTTP status by route; `missing`: routes that it does not have
    - `throttled`: it answers 429 to everything
    - `seconds`: how long every answer takes; `slow`: how long those of a route take
    - `before`: called with the route before each answer
    - `twist`: makes another answer out of the route and the right one: an object, or bytes as they are
    """

    lag: int = 0
    states_behind: int = 0
    lost_states: bool = False
    lies: dict[Purse, int] = field(default_factory=dict)
    base32: bool = False
    failing: dict[str, int] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    throttled: bool = False
    seconds: float = 0.0
    slow: dict[str, float] = field(default_factory=dict)
    before: Callable[[str], None] = lambda _route: None
    twist: Callable[[str, object], object] = lambda _route, answer: answer


Answer = Callable[[Json], object]


class SymbolRest:
    """The answers, by route: each takes the arguments of path, query and body together, as catapult-rest does."""

    def __init__(self, ledger: Ledger, *, network: Network, behaviour: Behaviour) -> None:
        self.ledger = ledger
        self.behaviour = behaviour
        self._network = network

    def routes(self) -> Iterator[tuple[str, str, Answer]]:
        """(method, path, answer) of each."""
        yield "GET", "/node/info", self._node_info
        yield "GET", "/network/properties", self._properties
        yield "GET", "/chain/info", self._chain_info
        yield "GET", "/blocks", self._blocks
        yield "GET", "/blocks/{height}", self._block
        yield "POST", "/accounts", self._accounts
        yield "POST", "/mosaics", self._mosaics
        yield "GET", "/account/{address}/multisig", self._multisig
        yield "GET", "/transactions/{group}", self._transactions
        yield "POST", "/transactionStatus", self._statuses
        yield "GET", "/statements/resolutions/{kind}", self._resolutions
        yield "GET", "/namespaces/{id}", self._namespace

    # ── the chain ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _newest(self) -> Block:
        return self.ledger.blocks[max(0, len(self.ledger.blocks) - 1 - self.behaviour.lag)]

    @property
    def _states(self) -> Block:
        """The block whose account states are told."""
        place = self._newest.height - 1 - self.behaviour.states_behind
        return self.ledger.blocks[min(max(0, place), len(self.ledger.blocks) - 1)]

    def _node_info(self, _asked: Json) -> object:
        return {
            "version": 16777993,
            "publicKey": digest("node"),
            "networkGenerationHashSeed": self._network.generation_hash,
            "roles": 3,
            "port": 7900,
            "networkIdentifier": self._network.identifier,
            "host": "127.0.0.1",
            "friendlyName": "small",
            "nodePublicKey": digest("node", "tls"),
        }

    def _properties(self, _asked: Json) -> object:
        seconds = int(EPOCH.timestamp())
        network = {
            "identifier": self._network.name,
            "nodeEqualityStrategy": "host",
            "nemesisSignerPublicKey": digest("nemesis signer"),
            "generationHashSeed": self._network.generation_hash,
            "epochAdjustment": f"{seconds}s",
        }
        currency = "0x" + "'".join(XYM[place : place + 4] for place in range(0, 16, 4))
        chain = {"currencyMosaicId": currency, "harvestingMosaicId": currency, "blockGenerationTargetTime": "30s"}
        return {"network": network, "chain": chain, "plugins": {}, "forkHeights": {}}

    def _chain_info(self, _asked: Json) -> object:
        final = self.ledger.blocks[min(self.ledger.final, self._newest.height) - 1]
        high, low = divmod(self._states.score, SCORE)
        return {
            "height": str(self._newest.height),
            "scoreHigh": str(high),
            "scoreLow": str(low),
            "latestFinalizedBlock": {
                "finalizationEpoch": 4004,
                "finalizationPoint": 38,
                "height": str(final.height),
                "hash": final.hash,
            },
        }

    def _block(self, asked: Json) -> object:
        height = _number(asked["height"], name="height")
        block = self.ledger.block(height) if height <= self._newest.height else None
        if block is None:
            raise _not_found(height)
        return self._block_info(block)

    def _blocks(self, asked: Json) -> object:
        above = _number(asked.get("offset", "0"), name="offset")
        blocks = [block for block in self.ledger.blocks[: self._newest.height] if block.height > above]
        return _page([self._block_info(block) for block in blocks], asked=asked)

    def _block_info(self, block: Block) -> Json:
        count = len(block.transactions)
        embedded = sum(len(one.steps) for one in block.transactions if one.aggregate is not None)
        meta = {
            "hash": block.hash,
            "generationHash": digest(block.hash, "generation"),
            "totalFee": str(sum(one.fee for one in block.transactions)),
            "totalTransactionsCount": count + embedded,
            "stateHashSubCacheMerkleRoots": [],
            "transactionsCount": count,
            "statementsCount": 1,
        }
        return {"meta": meta, "block": self._block_body(block), "id": block.hash[:24]}

    def _block_body(self, block: Block) -> Json:
        return {
            "size": 376,
            "signature": digest(block.hash, "signature") * 2,
            "signerPublicKey": HARVESTER.key.hex().upper(),
            "version": 1,
            "network": self._network.identifier,
            "type": 33091,
            "height": str(block.height),
            "timestamp": str(milliseconds(block.time)),
            "difficulty": str(block.difficulty),
            "previousBlockHash": block.parent,
            "transactionsHash": digest(block.hash, "transactions"),
            "receiptsHash": digest(block.hash, "receipts"),
            "stateHash": digest(block.hash, "state"),
            "beneficiaryAddress": self._address(HARVESTER.address),
            "feeMultiplier": FEE_MULTIPLIER,
        }

    # ── accounts and mosaics ────────────────────────────────────────────────────────────────────────────────────────

    def _accounts(self, asked: Json) -> object:
        world = self._states.world
        told: list[Json] = []
        for text in dict.fromkeys(_list(asked, "addresses")):
            account = Address(text)
            if len(account) != 39:
                raise RestError(409, "InvalidArgument", "element in array addresses has an invalid format")
            if account in world.appeared and not self.behaviour.lost_states:
                told.append(self._account(account, block=self._states))
        return told[::-1]  # the database keeps no order

    def _account(self, account: Address, *, block: Block) -> Json:
        purses = {mosaic: units for (owner, mosaic), units in block.world.units.items() if owner == account and units}
        purses |= {mosaic: units for (owner, mosaic), units in self.behaviour.lies.items() if owner == account}
        body = {
            "version": 1,
            "address": self._address(account),
            "addressHeight": str(block.world.appeared[account]),
            "publicKey": "0" * 64,
            "publicKeyHeight": "0",
            "accountType": 0,
            "supplementalPublicKeys": {},
            "activityBuckets": [],
            "mosaics": [{"id": mosaic, "amount": str(units)} for mosaic, units in sorted(purses.items())],
            "importance": "0",
            "importanceHeight": "0",
        }
        return {"account": body, "id": digest(account)[:24]}

    def _mosaics(self, asked: Json) -> object:
        ids = dict.fromkeys(_list(asked, "mosaicIds"))
        return [self._mosaic(one) for one in ids if one in self.ledger.mosaics]

    def _mosaic(self, identity: str) -> Json:
        body = {
            "version": 1,
            "id": identity,
            "supply": "7842928625000000",
            "startHeight": "1",
            "ownerAddress": self._address(HARVESTER.address),
            "revision": 1,
            "flags": 2,
            "divisibility": self.ledger.mosaics[identity],
            "duration": "0",
        }
        return {"mosaic": body, "id": digest(identity)[:24]}

    def _multisig(self, asked: Json) -> object:
        address = Address(str(asked["address"]))
        multisigs = self._states.world.multisigs
        found = multisigs.get(address)
        cosigned = [account for account, one in multisigs.items() if address in one.cosignatories]
        if found is None and not cosigned:
            raise _not_found(address)
        body = {
            "version": 1,
            "accountAddress": self._address(address),
            "minApproval": found.min_approval if found else 0,
            "minRemoval": found.min_removal if found else 0,
            "cosignatoryAddresses": [self._address(one) for one in (found.cosignatories if found else ())],
            "multisigAddresses": [self._address(one) for one in cosigned],
        }
        return {"multisig": body}

    # ── transactions ────────────────────────────────────────────────────────────────────────────────────────────────

    def _transactions(self, asked: Json) -> object:
        group = str(asked["group"])
        pools = {"unconfirmed": self.ledger.unconfirmed, "partial": self.ledger.partial}
        height = _number(asked.get("height", "0"), name="height")
        if group in pools:
            found = list(pools[group].values())
        elif group == "confirmed":
            block = self.ledger.block(height) if height <= self._newest.height else None
            found = list(block.transactions) if block else []
        else:
            raise RestError(404, "ResourceNotFound", f"no resource exists with id '{group}'")
        embedded = asked.get("embedded") == "true"
        documents = [
            one
            for place, transaction in enumerate(found)
            for one in self._told(transaction, height=height, place=place, embedded=embedded)
        ]
        return _page(documents, asked=asked)

    def _told(self, transaction: Transaction, *, height: int, place: int, embedded: bool) -> Iterator[Json]:
        """The transaction's document, and with `embedded` one for each step of an aggregate."""
        head: Json = {
            "size": transaction.size,
            "signature": digest(transaction.hash, "signature") * 2,
            "signerPublicKey": transaction.signer.key.hex().upper(),
            "version": 1,
            "network": self._network.identifier,
            "type": transaction.aggregate or transaction.steps[0].type,
            "maxFee": str(transaction.fee * 2),
            "deadline": "173168162072",
        }
        meta: Json = {"height": str(height), "hash": transaction.hash, "merkleComponentHash": transaction.hash}
        meta |= {"index": place}
        if transaction.aggregate is None:
            yield {"meta": meta, "transaction": head | transaction.steps[0].told, "id": transaction.hash[:24]}
            return
        head |= {"transactionsHash": digest(transaction.hash, "steps"), "cosignatures": []}
        yield {"meta": meta, "transaction": head, "id": transaction.hash[:24]}
        for index, step in enumerate(transaction.steps if embedded else ()):
            inner = {"height": str(height), "aggregateHash": transaction.hash, "aggregateId": transaction.hash[:24]}
            body = {"signerPublicKey": step.signer.key.hex().upper(), "version": 1, "type": step.type}
            body |= {"network": self._network.identifier}
            yield {
                "meta": {**inner, "index": index},
                "transaction": body | step.told,
                "id": digest(transaction.hash, str(index))[:24],
            }

    def _statuses(self, asked: Json) -> object:
        blocks = self.ledger.blocks[: self._newest.height]
        mined = {one.hash: block.height for block in blocks for one in block.transactions}
        groups = {
            **dict.fromkeys(self.ledger.failed, "failed"),
            **dict.fromkeys(self.ledger.partial, "partial"),
            **dict.fromkeys(self.ledger.unconfirmed, "unconfirmed"),
            **dict.fromkeys(mined, "confirmed"),
        }
        return [
            {
                "group": groups[one],
                "code": "Failure_Core_Past_Deadline" if groups[one] == "failed" else "Success",
                "hash": one,
                "deadline": "173168162072",
                "height": str(mined.get(one, 0)),
            }
            for one in _list(asked, "hashes")
            if one in groups
        ]

    def _resolutions(self, asked: Json) -> object:
        block = self.ledger.block(_number(asked["height"], name="height"))
        found: list[Json] = []
        for place, transaction in enumerate(block.transactions if block else ()):
            for alias in (alias for step in transaction.steps for alias in step.aliases):
                resolved = alias.mosaic if asked["kind"] == "mosaic" else alias.account and self._address(alias.account)
                if resolved is None or block is None:
                    continue
                entry = {"source": {"primaryId": place + 1, "secondaryId": 0}, "resolved": resolved}
                unresolved = alias.id if asked["kind"] == "mosaic" else alias.raw.hex().upper()
                statement = {"height": str(block.height), "unresolved": unresolved, "resolutionEntries": [entry]}
                found.append({"statement": statement, "id": digest(transaction.hash, alias.id)[:24], "meta": {}})
        return _page(found, asked=asked)

    def _namespace(self, asked: Json) -> object:
        alias = self.ledger.aliases.get(str(asked["id"]))
        if alias is None:
            raise _not_found(asked["id"])
        told: Json = {"type": 2, "address": self._address(alias.account)} if alias.account else {}
        told |= {"type": 1, "mosaicId": alias.mosaic} if alias.mosaic else {}
        return {"meta": {"active": True, "index": 1}, "namespace": {"alias": told or {"type": 0}}, "id": "AB" * 12}

    def _address(self, account: Address) -> str:
        return account if self.behaviour.base32 else raw_of(account).hex().upper()


def _page(entries: Sequence[Json], *, asked: Mapping[str, object]) -> Json:
    """The entries that belong on the page that is asked for; the size is bounded, as routeUtils.js does."""
    least, most = PAGE_SIZES
    size = max(least, min(most, _number(asked.get("pageSize", str(least)), name="pageSize")))
    number = max(1, _number(asked.get("pageNumber", "1"), name="pageNumber"))
    start = (number - 1) * size
    return {"data": list(entries[start : start + size]), "pagination": {"pageNumber": number, "pageSize": size}}


def _number(value: object, *, name: str) -> int:
    if not isinstance(value, str) or not value.isdecimal():
        raise RestError(409, "InvalidArgument", f"{name} has an invalid format")
    return int(value)


def _list(asked: Mapping[str, object], name: str) -> list[str]:
    value = asked.get(name)
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _not_found(identity: object) -> RestError:
    return RestError(404, "ResourceNotFound", f"no resource exists with id '{identity}'")
