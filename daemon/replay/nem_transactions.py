"""NEM transactions for a scripted ledger, in the JSON in which NIS1 takes and gives them.

Source: NemProject/nem, openapi/spec/route_definitions/transaction/schemas. Keys and signatures are digests of names and
contents: they have the right length and verify nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.base import Address
from connectors.nem.address import address_of
from connectors.nem.networks import Network

Json = dict[str, object]

TRANSFER, IMPORTANCE, MODIFICATION, COSIGNATURE = 0x101, 0x801, 0x1001, 0x1002
MULTISIG, NAMESPACE, MOSAIC, SUPPLY = 0x1004, 0x2001, 0x4001, 0x4002

LIFETIME = 3600
"""Seconds from a transaction's time stamp to its deadline, as wallets set it."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a key, which is made of the name."""

    name: str
    network: Network

    @property
    def key(self) -> bytes:
        return hashlib.sha256(f"public key of {self.name}".encode()).digest()

    @property
    def address(self) -> Address:
        return address_of(self.key, version=self.network.version)


class Notary:
    """Writes transactions for one network. `time` is in seconds since NEM's epoch."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def person(self, name: str) -> Person:
        return Person(name, self.network)

    def transfer(
        self,
        sender: Person,
        *,
        to: Address,
        units: int,
        time: int,
        mosaics: Mapping[str, int] | None = None,
        fee: int = 50_000,
        lifetime: int = LIFETIME,
    ) -> Json:
        """`units` in micro XEM. With `mosaics` it multiplies their quantities in whole XEM (version 2)."""
        body: Json = {"recipient": to, "amount": units, "message": {}}
        if mosaics is not None:
            body["mosaics"] = [{"mosaicId": mosaic(name), "quantity": quantity} for name, quantity in mosaics.items()]
        form = 1 if mosaics is None else 2
        return self._signed(TRANSFER, sender, body=body, time=time, fee=fee, form=form, lifetime=lifetime)

    def importance_transfer(self, owner: Person, *, remote: Person, time: int, active: bool = True) -> Json:
        """Lets the remote account harvest for the owner."""
        body: Json = {"mode": 1 if active else 2, "remoteAccount": remote.key.hex()}
        return self._signed(IMPORTANCE, owner, body=body, time=time, fee=150_000)

    def modification(self, account: Person, *, add: Sequence[Person], minimum: int, time: int) -> Json:
        """More cosignatories for an account, and by how much the minimum grows."""
        changes = [{"modificationType": 1, "cosignatoryAccount": one.key.hex()} for one in add]
        body: Json = {"modifications": changes, "minCosignatories": {"relativeChange": minimum}}
        return self._signed(MODIFICATION, account, body=body, time=time, fee=500_000, form=2)

    def multisig(self, proposer: Person, *, inner: Json, inner_hash: str, cosigners: Sequence[Person] = ()) -> Json:
        """`inner` is a transaction of the multisig account."""
        time, debtor = _number(inner["timeStamp"]), bytes.fromhex(str(inner["signer"]))
        account = address_of(debtor, version=self.network.version)
        signatures = [
            self._signed(
                COSIGNATURE,
                one,
                body={"otherHash": {"data": inner_hash}, "otherAccount": account},
                time=time,
                fee=150_000,
            )
            for one in cosigners
        ]
        unsigned = {key: value for key, value in inner.items() if key != "signature"}
        body: Json = {"otherTrans": unsigned, "signatures": signatures}
        return self._signed(MULTISIG, proposer, body=body, time=time, fee=150_000)

    def mosaic_definition(
        self, creator: Person, *, name: str, divisibility: int, supply: int, time: int, levy: Json | None = None
    ) -> Json:
        """`supply` in whole mosaics."""
        properties = {
            "divisibility": divisibility,
            "initialSupply": supply,
            "supplyMutable": "true",
            "transferable": "true",
        }
        definition = {
            "creator": creator.key.hex(),
            "description": "a mosaic",
            "id": mosaic(name),
            "properties": [{"name": key, "value": str(value)} for key, value in properties.items()],
            "levy": levy or {},
        }
        sink = self.person("the sink of creation fees").address
        body: Json = {"mosaicDefinition": definition, "creationFeeSink": sink, "creationFee": 10_000_000}
        return self._signed(MOSAIC, creator, body=body, time=time, fee=150_000)

    def namespace(self, owner: Person, *, part: str, time: int, parent: str | None = None) -> Json:
        """The rental of a namespace."""
        sink = self.person("the sink of rental fees").address
        body: Json = {"rentalFeeSink": sink, "rentalFee": 100_000_000, "newPart": part, "parent": parent}
        return self._signed(NAMESPACE, owner, body=body, time=time, fee=150_000)

    def supply_change(self, creator: Person, *, name: str, more: int, time: int) -> Json:
        """`more` in whole mosaics."""
        body: Json = {"mosaicId": mosaic(name), "supplyType": 1, "delta": more}
        return self._signed(SUPPLY, creator, body=body, time=time, fee=150_000)

    def _signed(
        self,
        kind: int,
        signer: Person,
        *,
        body: Json,
        time: int,
        fee: int,
        form: int = 1,
        lifetime: int = LIFETIME,
    ) -> Json:
        frame = {"type": kind, "version": self.version(form), "timeStamp": time, "signer": signer.key.hex()}
        whole = {**frame, "fee": fee, "deadline": time + lifetime, **body}
        return {**whole, "signature": digest_of(whole)}

    def version(self, form: int) -> int:
        """As NIS writes it: the network's byte in front, in a signed 32-bit integer."""
        number = self.network.version << 24 | form
        return number - 2**32 if number >= 2**31 else number


def mosaic(name: str) -> Json:
    """`namespace:name` as an object."""
    namespace, _, own = name.partition(":")
    return {"namespaceId": namespace, "name": own}


def digest_of(content: object) -> str:
    """64 bytes in hex, in the place of a signature."""
    return hashlib.sha512(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("a time stamp is a whole number")
    return value
