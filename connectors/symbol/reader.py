"""Reads mosaics from one Symbol node at one block: every watched account, in batches, between two equal stands.

Source: symbol/symbol, client/rest, routes/accountRoutes.js and db/CatapultDb.js (accountsByIds): `POST /accounts` looks
the addresses up in the database with `$in` and answers what it finds. An address that is left out has never appeared on
the chain, which is zero held; every failure is an HTTP status and never a shorter array. That the database is there and
knows the block is shown by the block's beneficiary, who has appeared on the chain by then and is asked for each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import TypeAdapter

from connectors.base import Address, Token
from connectors.errors import BadAnswer, Reason, Unavailable
from connectors.follow import Keys
from connectors.quorum import STATEMENTS, Flaw, Value
from connectors.symbol import wire
from connectors.symbol.address import of_raw
from connectors.symbol.node import AT_ONCE, Block, SymbolNode
from connectors.together import together

Purse = Mapping[str, int] | Flaw
"""Units by mosaic id, or why an account could not be read."""

WHOSE = TypeAdapter(wire.AddressedAccount)
PURSE = TypeAdapter(wire.AccountPurse)


async def read_balances(node: SymbolNode, *, keys: Keys, block: str) -> list[Value]:
    """The units of each key at the block, or why that one could not be read.

    Raises UnknownBlock when the block is not the node's newest, and another ConnectorError when the node as a whole
    can't be read, which includes that every single account fails.
    """

    async def read(at: Block) -> list[Value]:
        return await _read(node, keys=keys, at=at)

    return await node.steadily(block, read)


async def _read(node: SymbolNode, *, keys: Keys, at: Block) -> list[Value]:
    pairs = [keys.pair(index) for index in keys.indices]
    flawed = await _check_tokens(node, tokens=keys.watch.tokens)
    purses = await _purses(node, accounts=list(dict.fromkeys(account for account, _ in pairs)), at=at)
    values = [
        flawed.get(token) or _units(purses[account], mosaic=token.contract or node.currency) for account, token in pairs
    ]
    flaws = [value for value in values if isinstance(value, Flaw) and value.reason not in STATEMENTS]
    if keys.whole and values and len(flaws) == len(values):
        text = f"{node.transport.provider}: every one of {len(values)} balances failed, first: {flaws[0].detail}"
        raise Unavailable(text, reason=flaws[0].reason)
    return values


def _units(purse: Purse, *, mosaic: str) -> Value:
    return purse if isinstance(purse, Flaw) else purse.get(mosaic, 0)


async def _check_tokens(node: SymbolNode, *, tokens: Sequence[Token]) -> dict[Token, Flaw]:
    """What is wrong with tokens: there is no such mosaic, it has another divisibility than declared, or it is the
    currency once more, whose units would then be counted twice.

    Asked until a token is settled, then not again: what others than its creator hold can't change its divisibility.
    """
    open_ = {token: token.contract or node.currency for token in tokens if token not in node.settled_tokens}
    if not open_:
        return {}
    found = await node.rest.mosaics(sorted(set(open_.values())))
    told = {one.mosaic.id: one.mosaic.divisibility for one in found}
    if len(told) < len(found) or not told.keys() <= set(open_.values()):
        raise node.bad("told of mosaics that it was not asked for")
    flawed: dict[Token, Flaw] = {}
    native = any(token.contract is None for token in tokens)
    for token, mosaic in open_.items():
        if native and token.contract == node.currency:
            text = f"mosaic {mosaic} is the currency, which is watched as the native coin already"
            flawed[token] = Flaw(Reason.MISCONFIGURED, text)
        elif mosaic not in told:
            flawed[token] = Flaw(Reason.NO_CONTRACT, f"there is no mosaic {mosaic}")
        elif told[mosaic] != token.decimals:
            text = f"mosaic {mosaic} has divisibility {told[mosaic]}, declared are {token.decimals} decimals"
            flawed[token] = Flaw(Reason.MISCONFIGURED, text)
        else:
            node.settled_tokens.add(token)
    return flawed


async def _purses(node: SymbolNode, *, accounts: Sequence[Address], at: Block) -> dict[Address, Purse]:
    size = node.asked.batch
    batches = [accounts[start : start + size] for start in range(0, len(accounts), size)]
    purses: dict[Address, Purse] = {}
    for part in await together((_batch(node, accounts=batch, at=at) for batch in batches), at_once=AT_ONCE):
        purses.update(part)
    return purses


async def _batch(node: SymbolNode, *, accounts: Sequence[Address], at: Block) -> Mapping[Address, Purse]:
    """The accounts' purses. An answer that does not tell who is missing is a flaw of each of them."""
    asked = list(accounts) if at.beneficiary in accounts else [*accounts, Address(at.beneficiary)]
    try:
        purses = _sorted_out(node, entries=await node.rest.accounts(asked), asked=asked)
    except BadAnswer as error:
        return dict.fromkeys(accounts, Flaw(error.reason, str(error)))
    if at.beneficiary not in purses:
        text = f"its account states lack the beneficiary of block {at.header.height}: they are older, or gone"
        raise node.transport.blame(Unavailable(f"{node.transport.provider}: {text}", reason=Reason.STALLED))
    return {account: purses.get(account, {}) for account in accounts}


def _sorted_out(node: SymbolNode, *, entries: Sequence[object], asked: Sequence[Address]) -> dict[Address, Purse]:
    """By account, each of which was asked for and stands there once; BadAnswer otherwise."""
    wanted = set(asked)
    purses: dict[Address, Purse] = {}
    for entry in entries:
        account = of_raw(wire.understood(entry, WHOSE, by=node.transport, of="/accounts").account.address)
        if account not in wanted or account in purses:
            raise node.bad("answered /accounts with an account that was not asked for, or twice with one")
        purses[account] = _purse(node, entry=entry)
    return purses


def _purse(node: SymbolNode, *, entry: object) -> Purse:
    try:
        mosaics = wire.understood(entry, PURSE, by=node.transport, of="/accounts").account.mosaics
    except BadAnswer as error:
        return Flaw(error.reason, str(error))
    held = {mosaic.id: mosaic.amount for mosaic in mosaics}
    if len(held) < len(mosaics):
        return Flaw(Reason.BAD_ANSWER, str(node.bad("told of a mosaic twice on one account")))
    return held
