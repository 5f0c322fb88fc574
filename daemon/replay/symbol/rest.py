"""What a small Symbol node of ours answers: a scripted ledger in the shape of the real REST interface.

The shape of each answer is that of symbol/symbol, openapi/openapi-symbol.yml (schemas by name), and where the document
and the program differ (addresses come in hexadecimal digits), that of answers of mainnet nodes. Errors are those of
client/rest, server/errors.js and routes/routeUtils.js. Read-only: nothing can be announced through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from connectors.base import Address
from connectors.symbol.address import raw_of
from connectors.symbol.networks import Network
from daemon.replay.faults import Faults
from daemon.replay.symbol.asked import as_it_is, not_found, number, page, texts
from daemon.replay.symbol.ledger import (
    EPOCH,
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
from daemon.replay.symbol.routes import Answer, RestError

SCORE = 2**64


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


class SymbolRest:
    """The answers, by route: each takes the arguments of path, query and body together, as catapult-rest does."""

    def __init__(self, ledger: Ledger, *, network: Network, behaviour: Behaviour, faults: Faults) -> None:
        self.ledger = ledger
        self.behaviour = behaviour
        self._network = network
        self._faults = faults
        self._told_accounts: dict[Address, tuple[object, Json]] = {}
        """How an account was told last, and what that depended on."""

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
        return self.ledger.blocks[max(0, len(self.ledger.blocks) - 1 - self.behaviour.lag - self._faults.behind)]

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
        height = number(asked["height"], name="height")
        block = self.ledger.block(height) if height <= self._newest.height else None
        if block is None:
            raise not_found(height)
        return self._block_info(block)

    def _blocks(self, asked: Json) -> object:
        above = number(asked.get("offset", "0"), name="offset")
        return page(self.ledger.blocks[above : self._newest.height], told=self._block_info, asked=asked)

    def _block_info(self, block: Block) -> Json:
        count = len(block.transactions)
        embedded = sum(len(one.steps) for one in block.transactions if one.aggregate is not None)
        meta = {
            "hash": block.hash,
            "generationHash": digest(block.hash, "generation"),
            "totalFee": str(sum(map(self.ledger.fee, block.transactions))),
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
            "feeMultiplier": self.ledger.fee_multiplier,
        }

    # ── accounts and mosaics ────────────────────────────────────────────────────────────────────────────────────────

    def _accounts(self, asked: Json) -> object:
        at = self._states.height
        told: list[Json] = []
        for text in dict.fromkeys(texts(asked, "addresses")):
            account = Address(text)
            if len(account) != 39:
                raise RestError(409, "InvalidArgument", "element in array addresses has an invalid format")
            first = self.ledger.appeared(account, height=at)
            if first is not None and not self.behaviour.lost_states:
                told.append(self._account(account, first=first, at=at))
        return told[::-1]  # the database keeps no order

    def _account(self, account: Address, *, first: int, at: int) -> Json:
        behaviour = self.behaviour
        height = at if at < self.ledger.tip.height else None  # at the tip only changes of the account itself count
        state = (self.ledger.revisions[account], height, self._faults.lying, behaviour.base32, first)
        known = self._told_accounts.get(account)
        if known is None or known[0] != state or behaviour.lies:
            purses = dict(self._purses(account, at=at))
            purses |= {mosaic: units for (owner, mosaic), units in behaviour.lies.items() if owner == account}
            known = (state, self._account_info(account, first=first, purses=purses))
            if not behaviour.lies:
                self._told_accounts[account] = known
        return known[1]

    def _account_info(self, account: Address, *, first: int, purses: Mapping[str, int]) -> Json:
        body = {
            "version": 1,
            "address": self._address(account),
            "addressHeight": str(first),
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

    def _purses(self, account: Address, *, at: int) -> Mapping[str, int]:
        """A liar makes accounts a bit richer, and one that is empty now it tells as full as it was in the beginning."""
        purses = self.ledger.purses(account, height=at)
        if not self._faults.lying:
            return purses
        return {mosaic: units + units // 100 + 1 for mosaic, units in purses.items()} or self.ledger.purses(
            account, height=1
        )

    def _mosaics(self, asked: Json) -> object:
        ids = dict.fromkeys(texts(asked, "mosaicIds"))
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
        at, multisigs = self._states.height, self.ledger.multisigs
        found = multisigs.at(address, height=at)
        known = ((account, multisigs.at(account, height=at)) for account in multisigs)
        cosigned = [account for account, one in known if one is not None and address in one.cosignatories]
        if found is None and not cosigned:
            raise not_found(address)
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
        height = number(asked.get("height", "0"), name="height")
        if group in pools:
            found = [] if self._faults.behind else list(pools[group].values())
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
        return page(documents, told=as_it_is, asked=asked)

    def _told(self, transaction: Transaction, *, height: int, place: int, embedded: bool) -> Iterator[Json]:
        """The transaction's document, and with `embedded` one for each step of an aggregate."""
        head: Json = {
            "size": transaction.size,
            "signature": digest(transaction.hash, "signature") * 2,
            "signerPublicKey": transaction.signer.key.hex().upper(),
            "version": 1,
            "network": self._network.identifier,
            "type": transaction.aggregate or transaction.steps[0].type,
            "maxFee": str(self.ledger.fee(transaction) * 2),
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
        groups = ((one, self._group(one)) for one in texts(asked, "hashes"))
        return [
            {
                "group": group,
                "code": "Failure_Core_Past_Deadline" if group == "failed" else "Success",
                "hash": one,
                "deadline": "173168162072",
                "height": str(self.ledger.mined[one] if group == "confirmed" else 0),
            }
            for one, group in groups
            if group is not None
        ]

    def _group(self, transaction: str) -> str | None:
        ledger = self.ledger
        told = {
            "confirmed": ledger.mined.get(transaction, self._newest.height + 1) <= self._newest.height,
            "unconfirmed": transaction in ledger.unconfirmed and not self._faults.behind,
            "partial": transaction in ledger.partial and not self._faults.behind,
            "failed": transaction in ledger.failed,
        }
        return next((group for group, is_so in told.items() if is_so), None)

    def _resolutions(self, asked: Json) -> object:
        block = self.ledger.block(number(asked["height"], name="height"))
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
        return page(found, told=as_it_is, asked=asked)

    def _namespace(self, asked: Json) -> object:
        alias = self.ledger.aliases.get(str(asked["id"]))
        if alias is None:
            raise not_found(asked["id"])
        told: Json = {"type": 2, "address": self._address(alias.account)} if alias.account else {}
        told |= {"type": 1, "mosaicId": alias.mosaic} if alias.mosaic else {}
        return {"meta": {"active": True, "index": 1}, "namespace": {"alias": told or {"type": 0}}, "id": "AB" * 12}

    def _address(self, account: Address) -> str:
        return account if self.behaviour.base32 else raw_of(account).hex().upper()
