"""The questions that a Symbol node is asked over REST, each with the answer in its proper shape.

Source: symbol/symbol, openapi/openapi-symbol.yml; client/rest, routes/*.js and plugins/*/*Routes.js for what the
document leaves open. An array that is asked for by keys leaves out what does not exist and keeps no order; one thing
that does not exist is HTTP 404 with the code ResourceNotFound and «no resource exists with id»; the same status comes
for a route that the node does not have, which is no answer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, TypeVar

from pydantic import TypeAdapter

from connectors.base import Address
from connectors.errors import BadAnswer
from connectors.symbol import wire
from connectors.transport import CEILING, Answer, Transport

PAGE = 100
"""Entries of a page, the most that a node gives by default (rest/resources/rest.json)."""

MOST_PAGES = 200

LARGEST_ACCOUNT = 1_000_000
"""Bytes: an account can hold ten thousand mosaics (maxMosaicsPerAccount), of some 60 bytes each."""

LARGEST_ANSWER = 64 * 1024 * 1024

MISSING = "no resource exists with id"

T = TypeVar("T")


class Page(Protocol):
    """A part of a list."""

    @property
    def data(self) -> Sequence[object]: ...
    @property
    def pagination(self) -> wire.Pagination: ...


P = TypeVar("P", bound=Page)

NODE = TypeAdapter(wire.NodeInfo)
PROPERTIES = TypeAdapter(wire.Properties)
CHAIN = TypeAdapter(wire.ChainInfo)
BLOCK = TypeAdapter(wire.BlockInfo)
BLOCKS = TypeAdapter(wire.BlockPage)
LIST = TypeAdapter(list[object])
MOSAICS = TypeAdapter(list[wire.MosaicInfo])
MULTISIG = TypeAdapter(wire.MultisigInfo)
TRANSACTIONS = TypeAdapter(wire.TransactionPage)
STATUSES = TypeAdapter(list[wire.Status])
MOSAIC_RESOLUTIONS = TypeAdapter(wire.MosaicResolutionPage)
ADDRESS_RESOLUTIONS = TypeAdapter(wire.AddressResolutionPage)
NAMESPACE = TypeAdapter(wire.NamespaceInfo)
REFUSAL = TypeAdapter(wire.Refusal)


class Rest:
    """One node's REST interface. Everything it raises is a ConnectorError."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def node(self) -> wire.NodeInfo:
        return await self._get("node/info", NODE)

    async def properties(self) -> wire.Properties:
        return await self._get("network/properties", PROPERTIES)

    async def chain(self) -> wire.ChainInfo:
        return await self._get("chain/info", CHAIN)

    async def block(self, height: int) -> wire.BlockInfo | None:
        """None where the chain has no such height."""
        return await self._find(f"blocks/{height}", BLOCK)

    async def blocks_above(self, height: int) -> Sequence[wire.BlockInfo]:
        """Up to PAGE blocks, the lowest first."""
        query = {"orderBy": "height", "order": "asc", "offset": str(height), "pageSize": str(PAGE)}
        return (await self._get("blocks", BLOCKS, query=query)).data

    async def accounts(self, addresses: Sequence[Address]) -> Sequence[object]:
        """An AccountInfoDTO, not looked at yet, for each account that has ever appeared on the chain."""
        ceiling = min(CEILING + len(addresses) * LARGEST_ACCOUNT, LARGEST_ANSWER)
        return await self._post("accounts", LIST, value={"addresses": list(addresses)}, ceiling=ceiling)

    async def mosaics(self, ids: Collection[str]) -> Sequence[wire.MosaicInfo]:
        """The mosaics that exist of these."""
        return await self._post("mosaics", MOSAICS, value={"mosaicIds": list(ids)})

    async def multisig(self, address: Address) -> wire.MultisigInfo | None:
        """None for an account that neither has cosignatories nor is one."""
        return await self._find(f"account/{address}/multisig", MULTISIG)

    async def confirmed(self, height: int) -> Sequence[wire.TransactionInfo]:
        """The block's transactions, those within aggregates as well."""
        found = await self._transactions("confirmed", {"height": str(height)})
        if found is None:
            raise self._bad(f"tells of more than {MOST_PAGES * PAGE} transactions in block {height}")
        return found

    async def pool(self, group: str) -> Sequence[wire.TransactionInfo] | None:
        """The `unconfirmed` or `partial` transactions; None when there are too many to be listed."""
        return await self._transactions(group, {})

    async def statuses(self, hashes: Collection[str]) -> Mapping[str, str]:
        """The group of each transaction that the node knows: confirmed, unconfirmed, partial or failed."""
        found = await self._post("transactionStatus", STATUSES, value={"hashes": list(hashes)})
        return {status.hash: status.group for status in found}

    async def resolved_mosaics(self, height: int) -> Sequence[wire.MosaicStatement]:
        """What the namespaces that stand for mosaics in the block's transactions stood for."""
        pages = await self._pages("statements/resolutions/mosaic", MOSAIC_RESOLUTIONS, query={"height": str(height)})
        return [one.statement for page in self._all(pages) for one in page.data]

    async def resolved_addresses(self, height: int) -> Sequence[wire.AddressStatement]:
        """What the namespaces that stand for addresses in the block's transactions stood for."""
        pages = await self._pages("statements/resolutions/address", ADDRESS_RESOLUTIONS, query={"height": str(height)})
        return [one.statement for page in self._all(pages) for one in page.data]

    async def namespace(self, identity: str) -> wire.Alias | None:
        """What a namespace stands for now; None where there is no such namespace."""
        found = await self._find(f"namespaces/{identity}", NAMESPACE)
        return None if found is None else found.namespace.alias

    async def _transactions(self, group: str, query: Mapping[str, str]) -> Sequence[wire.TransactionInfo] | None:
        wanted = {**query, "embedded": "true", "order": "asc"}
        pages = await self._pages(f"transactions/{group}", TRANSACTIONS, query=wanted)
        if pages is None:
            return None
        found = {self._key(one): one for page in pages for one in page.data}  # pages shift while they come and go
        return list(found.values())

    async def _pages(self, path: str, shape: TypeAdapter[P], *, query: Mapping[str, str]) -> Sequence[P] | None:
        """All pages, the last of which is not full; None when there are more than MOST_PAGES."""
        pages: list[P] = []
        for number in range(1, MOST_PAGES + 1):
            wanted = {**query, "pageSize": str(PAGE), "pageNumber": str(number)}
            pages.append(await self._get(path, shape, query=wanted))
            if len(pages[-1].data) < pages[-1].pagination.pageSize:
                return pages
        return None

    def _all(self, pages: Sequence[P] | None) -> Sequence[P]:
        if pages is None:
            raise self._bad(f"tells more than {MOST_PAGES * PAGE} entries of one block")
        return pages

    def _key(self, one: wire.TransactionInfo) -> tuple[str, int]:
        """What tells a transaction from all others; -1 stands for one that is not within another."""
        if one.meta.hash is not None:
            return one.meta.hash, -1
        if one.meta.aggregateHash is not None:
            return one.meta.aggregateHash, one.meta.index
        raise self._bad("told of a transaction without a hash")

    async def _get(self, path: str, shape: TypeAdapter[T], *, query: Mapping[str, str] | None = None) -> T:
        value = await self.transport.get_json(path, query=query)
        return wire.understood(value, shape, by=self.transport, of=f"/{path}")

    async def _post(self, path: str, shape: TypeAdapter[T], *, value: object, ceiling: int = CEILING) -> T:
        answer = await self.transport.post_json(path, value=value, ceiling=ceiling)
        return wire.understood(answer, shape, by=self.transport, of=f"/{path}")

    async def _find(self, path: str, shape: TypeAdapter[T]) -> T | None:
        answer = await self.transport.request("GET", path=path, is_answer=_is_or_is_not)
        value = self.transport.parse(answer.body)
        if answer.status == 200:
            return wire.understood(value, shape, by=self.transport, of=f"/{path}")
        refusal = wire.understood(value, REFUSAL, by=self.transport, of=f"/{path}")
        if refusal.code != "ResourceNotFound" or not refusal.message.startswith(MISSING):
            raise self._bad(f"does not answer /{path}: {self.transport.quote(refusal.message)}")
        return None

    def _bad(self, text: str) -> BadAnswer:
        return self.transport.blame(BadAnswer(f"{self.transport.provider}: {text}"))


def _is_or_is_not(answer: Answer) -> bool:
    return answer.status in (200, 404)
