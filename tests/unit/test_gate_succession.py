"""Accounts whose gate is closed take that with them: under another name, in several wallets or in one of others'."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.bitcoin.address import canonical as bitcoin_address
from connectors.bitcoin.config import BitcoinConfig
from connectors.bitcoin.descriptors import descriptor_on, first_addresses_on
from connectors.bitcoin.networks import named
from connectors.errors import Reason
from daemon.gate.accounts import Marks, decode_marks, encode_marks
from daemon.gate.keeper import Unopened
from daemon.model import Tier, Wallet
from daemon.reload import load_whole
from tests.build import NOON, wallet
from tests.gated import Gated, MemoryGates, finding

ZPUB = "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs"
"""The account of BIP-84's test vectors."""

XPUB = "xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V"
"""The same key, written for any function."""


def named_wallets(**accounts: Sequence[int]) -> Mapping[str, Wallet]:
    return {name: wallet(name, Tier.HOT, *numbers) for name, numbers in accounts.items()}


async def closed(**accounts: Sequence[int]) -> Gated:
    """Hot A has a closed gate."""
    subject = Gated()
    subject.wallets = named_wallets(**accounts)
    await subject.started()
    await subject.judged(finding(wallets=("a",)))
    assert not subject.open("a")
    return subject


async def reloaded(subject: Gated, **accounts: Sequence[int]) -> None:
    subject.wallets = named_wallets(**accounts)
    await subject.judged()


async def restarted(subject: Gated, **accounts: Sequence[int]) -> None:
    subject.wallets = named_wallets(**accounts)
    await subject.killed()
    await subject.started()


Change = Callable[..., Awaitable[None]]

change = pytest.mark.parametrize("change", [reloaded, restarted])


@change
async def test_a_wallet_by_another_name_is_closed_for_the_same_reason_which_says_where_it_comes_from(
    change: Change,
) -> None:
    subject = await closed(a=[1, 2])
    await change(subject, renamed=[1, 2])
    state = subject.keeper.state("renamed")
    assert (state.open, state.blind, state.findings) == (False, False, ("one",))
    assert state.reason == (
        "PyrometerColdMoved (stops, eth-hot): it pays out "
        f"(closed for a since {NOON:%Y-%m-%d %H:%M:%S} UTC, and not opened; this wallet has accounts of that one)"
    )


@change
async def test_the_audit_log_hears_of_it(change: Change) -> None:
    subject = await closed(a=[1])
    await change(subject, renamed=[1])
    last = subject.rows.told[-1]
    assert (last.who, last.what, last.body["wallet"]) == ("pyrometer", "gate_closed", "renamed")
    assert "closed for a since" in last.why


@change
async def test_each_part_of_a_wallet_that_is_split_is_closed_and_no_other_wallet(change: Change) -> None:
    subject = await closed(a=[1, 2, 3], other=[9])
    await change(subject, a=[1], second=[2], third=[3, 4], other=[9], new=[10])
    assert {name: subject.open(name) for name in subject.wallets} == {
        "a": False,
        "second": False,
        "third": False,
        "other": True,
        "new": True,
    }


@change
async def test_a_wallet_that_takes_in_one_account_is_closed_though_its_own_gate_was_open(change: Change) -> None:
    subject = await closed(a=[1, 2], other=[9])
    await change(subject, other=[9, 2])
    assert not subject.open("other")


async def test_a_closed_gate_that_takes_in_another_tells_both_reasons_once() -> None:
    subject = await closed(a=[1, 2], b=[9])
    await subject.keeper.close("b", who="bob", reason="SEC-1")
    await reloaded(subject, a=[2], b=[9, 1])
    await reloaded(subject, b=[9, 1, 2])
    state = subject.keeper.state("b")
    assert state.reason.startswith("SEC-1; and PyrometerColdMoved (stops, eth-hot): it pays out (closed for a since ")
    assert state.reason.count("; and ") == 1
    assert (state.findings, state.by) == (("one",), "bob")


async def test_a_gate_that_takes_in_another_is_not_opened_by_who_looked_before() -> None:
    subject = await closed(a=[1], b=[9])
    await subject.keeper.close("b", who="bob", reason="SEC-1")
    looked = subject.keeper.grounds("b")
    await reloaded(subject, b=[9, 1])
    with pytest.raises(Unopened, match="look again"):
        await subject.keeper.open("b", who="alice", reason="SEC-1 is done", grounds=looked)
    assert not subject.open("b")


@change
async def test_reasons_do_not_grow_when_accounts_go_to_and_fro(change: Change) -> None:
    subject = await closed(a=[1, 2], b=[9])
    lengths = []
    for _ in range(4):
        await change(subject, a=[1], b=[9, 2])
        await change(subject, a=[1, 2], b=[9])
        lengths.append([len(subject.keeper.state(name).reason) for name in "ab"])
    assert lengths[-1] == lengths[0]


@change
async def test_accounts_that_are_in_no_wallet_for_a_while_are_remembered(change: Change) -> None:
    subject = await closed(a=[1, 2], other=[9])
    await change(subject, other=[9])
    await change(subject, other=[9])
    await change(subject, other=[9], back=[2])
    assert not subject.open("back")
    assert subject.open("other")


@change
async def test_what_an_operator_has_opened_stays_open_under_the_new_name(change: Change) -> None:
    subject = await closed(a=[1, 2])
    await change(subject, renamed=[1, 2])
    await subject.keeper.open("renamed", who="alice", reason="SEC-2")
    await change(subject, renamed=[1, 2])
    await change(subject, renamed=[1], split=[2])
    assert subject.open("renamed")
    assert subject.open("split")


@change
async def test_a_gate_that_was_opened_before_hands_nothing_on(change: Change) -> None:
    subject = await closed(a=[1, 2], other=[9])
    await change(subject, a=[1], other=[9])
    await subject.keeper.open("a", who="alice", reason="SEC-2")
    await change(subject, renamed=[1, 2], other=[9])
    assert subject.open("renamed")
    assert subject.rows.accounts["a"] == ""


@change
async def test_the_old_name_is_closed_when_it_comes_back_also_without_its_accounts(change: Change) -> None:
    subject = await closed(a=[1])
    await change(subject, renamed=[1])
    await subject.keeper.open("renamed", who="alice", reason="SEC-2")
    await change(subject, renamed=[1], a=[7])
    assert not subject.open("a")
    assert subject.open("renamed")


@change
async def test_an_account_that_came_while_the_gate_was_closed_belongs_to_it(change: Change) -> None:
    subject = await closed(a=[1])
    await change(subject, a=[1, 2])
    await change(subject, a=[1], other=[2])
    assert not subject.open("other")


@change
async def test_a_gate_that_is_closed_by_blindness_alone_hands_nothing_on(change: Change) -> None:
    subject = Gated()
    subject.wallets = named_wallets(a=[1])
    await subject.started()
    await subject.judged(reason=Reason.STALE)
    assert not subject.open("a")
    await change(subject, renamed=[1])
    assert subject.open("renamed")


async def test_a_gate_that_was_closed_twice_renamed_twice_and_killed_in_between_is_still_closed() -> None:
    subject = await closed(a=[1])
    await reloaded(subject, b=[1])
    await restarted(subject, c=[1])
    await restarted(subject, d=[1], e=[2])
    assert not subject.open("d")
    assert subject.open("e")


async def test_what_the_store_tells_late_closes_at_once_and_not_with_the_next_pass() -> None:
    subject = await closed(a=[1])
    subject.wallets = named_wallets(renamed=[1])
    await subject.killed()
    subject.rows.away = True
    await subject.judged()
    subject.rows.away = False
    await subject.keeper.restore()
    assert "closed for a since" in subject.keeper.state("renamed").reason


async def test_an_account_that_came_while_the_store_told_nothing_belongs_to_the_closed_gate() -> None:
    subject = await closed(a=[1])
    subject.wallets = named_wallets(a=[1, 2])
    await subject.killed()
    subject.rows.away = True
    await subject.judged()
    subject.rows.away = False
    await subject.keeper.restore()
    await subject.keeper.save()
    await restarted(subject, a=[1], other=[2])
    assert not subject.open("other")


@change
async def test_the_same_address_on_another_chain_is_another_account(change: Change) -> None:
    subject = await closed(a=[1], other=[9])
    same = wallet("same", Tier.HOT, 1)
    await change(subject, other=[9])
    subject.wallets = {"same": replace(same, identity=("evm", "56"))}
    await subject.judged()
    assert subject.open("same")


async def test_the_same_chain_by_another_name_is_the_same() -> None:
    subject = Gated()
    subject.wallets = {"a": replace(wallet("a", Tier.HOT, 1), identity=("evm", "1"))}
    await subject.started()
    await subject.judged(finding(wallets=("a",)))
    subject.wallets = {"b": replace(wallet("b", Tier.HOT, 1, chain="mainnet"), identity=("evm", "1"))}
    await subject.judged()
    assert not subject.keeper.state("b").open
    assert "closed for a" in subject.keeper.state("b").reason


def on_bitcoin(name: str, *texts: str) -> Wallet:
    """A wallet of descriptors, or of addresses."""
    config = BitcoinConfig(kind="bitcoin", network="mainnet", esplora=("http://127.0.0.1:1",))
    if "1q" in texts[0]:
        found = tuple(bitcoin_address(text, network=named("mainnet")) for text in texts)
        return replace(wallet(name, Tier.HOT), accounts=found, identity=config.identity)
    accounts = tuple(map(descriptor_on(config), texts))
    first = first_addresses_on(config)
    return replace(
        wallet(name, Tier.HOT),
        accounts=accounts,
        identity=config.identity,
        derived=lambda: [one for account in accounts for one in first(account)],
    )


@pytest.mark.parametrize(
    ("text", "is_open"),
    [
        (ZPUB, False),
        (f"wpkh({ZPUB}/0/*)", False),  # its receiving addresses alone
        (f"wpkh([73c5da0a/84h/0h/0h]{ZPUB}/<0;1>/*)", False),  # with where the key comes from
        ("bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu", False),  # its first address
        ("bc1q8c6fshw2dlwun7ekn9qwf37cu2rn755upcp6el", False),  # its first of change
        (f"wpkh({ZPUB}/7/*)", True),
    ],
)
async def test_a_descriptor_that_is_written_otherwise_is_known_again(text: str, is_open: bool) -> None:
    subject = Gated()
    subject.wallets = {"a": on_bitcoin("a", ZPUB)}
    await subject.started()
    await subject.judged(finding(wallets=("a",)))
    subject.wallets = {"b": on_bitcoin("b", text)}
    await subject.killed()
    await subject.started()
    assert subject.open("b") == is_open


@pytest.mark.parametrize("function", ["pk({})", "multi(1,{})"])
async def test_a_descriptor_whose_scripts_have_no_address_is_known_again_by_the_scripts(function: str) -> None:
    subject = Gated()
    key = f"{XPUB}/<0;1>/*"
    subject.wallets = {"a": on_bitcoin("a", function.format(key))}
    await subject.started()
    await subject.judged(finding(wallets=("a",)))
    subject.wallets = {"b": on_bitcoin("b", function.format(f"[73c5da0a/84h/0h/0h]{key}"))}
    await subject.judged()
    assert not subject.open("b")


def test_a_configuration_says_which_chain_a_wallet_is_on_and_what_its_descriptors_begin_with(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(f"""
entity: Example Exchange KK
currency: JPY
store: sqlite+aiosqlite:///p.db
chains: {{btc: {{kind: bitcoin, network: mainnet, esplora: ["http://127.0.0.1:1"]}}}}
assets: {{BTC: {{tokens: [{{chain: btc}}]}}}}
wallets:
  a: {{chain: btc, tier: cold, xpub: {ZPUB}}}
  b: {{chain: btc, tier: cold, addresses: [bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4]}}
feeds: {{prices: [{{kind: fixed, values: {{BTC: 1}}}}]}}
""")
    wallets = load_whole(tmp_path / "p.yaml", env={}, now=NOON).setup.inventory.wallets
    found = list(wallets["a"].derived())
    assert (wallets["a"].identity, len(found)) == (("bitcoin", "bitcoin"), 200)
    assert {"bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu", "bc1q8c6fshw2dlwun7ekn9qwf37cu2rn755upcp6el"} <= set(found)
    assert list(wallets["b"].derived()) == []


async def test_of_a_million_accounts_little_is_stored_and_only_when_they_change() -> None:
    written: list[str] = []

    class Counting(MemoryGates):
        async def keep(self, rows, *, entries) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
            written.extend(row.wallet for row in rows if row.accounts)
            await super().keep(rows, entries=entries)

    subject = Gated(Counting())
    subject.wallets = named_wallets(a=range(1, 1001), b=[2000])
    await subject.started()
    await subject.judged(finding(wallets=("a",)))
    await subject.judged(finding(wallets=("a",)), finding("two", wallets=("a",)))
    await subject.keeper.close("a", who="bob", reason="SEC-1")
    assert written == ["a"]
    assert len(subject.rows.accounts["a"]) == pytest.approx(1000 * 8 * 4 / 3, rel=0.01)
    await reloaded(subject, a=range(1, 1002), b=[2000])
    assert written == ["a", "a"]


async def test_no_judgement_waits_for_a_million_accounts_to_be_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its gate is stored at once, what it stands for by the worker."""
    monkeypatch.setattr("daemon.gate.keeper.FEW", 3)
    subject = await closed(a=[1, 2, 3, 4], b=[9])
    assert "a" in subject.rows.kept
    assert not subject.rows.accounts.get("a")
    assert list(subject.keeper.unsaved) == ["a"]
    await subject.keeper.save()
    assert not subject.keeper.unsaved
    await restarted(subject, renamed=[1, 2, 3, 4], b=[9])
    assert not subject.open("renamed")


@given(st.frozensets(st.binary(min_size=8, max_size=8)))
def test_marks_come_back_from_their_text_as_they_were(marks: Marks) -> None:
    assert decode_marks(encode_marks(marks)) == marks


@pytest.mark.parametrize("text", ["AAAA", "{", "AAAAAAAAAAA"])
def test_another_text_is_no_marks(text: str) -> None:
    with pytest.raises(ValueError):
        decode_marks(text)


async def test_accounts_that_can_not_be_read_leave_the_gate_closed_under_its_own_name() -> None:
    subject = await closed(a=[1])
    subject.rows.accounts["a"] = "{"
    await restarted(subject, a=[1])
    assert not subject.open("a")
    await restarted(subject, renamed=[1])
    assert not subject.open("renamed")


# ── a law ───────────────────────────────────────────────────────────────────────────────────────────────────────────

NAMES = ("a", "b", "c")
PLACES = st.lists(st.sampled_from([None, *NAMES]), min_size=5, max_size=5)
"""Where each of five accounts is."""

COURSE = st.lists(
    st.one_of(
        st.tuples(st.just("close"), st.sampled_from(NAMES)),
        st.tuples(st.just("open"), st.sampled_from(NAMES)),
        st.tuples(st.sampled_from(["reload", "restart"]), PLACES),
    ),
    max_size=20,
)


def placed(places: Sequence[str | None]) -> Mapping[str, list[int]]:
    names = dict.fromkeys(place for place in places if place is not None)
    return {name: [number for number, place in enumerate(places, start=1) if place == name] for name in names}


class Oracle:
    """Account by account: the gate that it was closed under, and has not been opened."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.accounts: dict[int, str] = {}

    def configured(self, wallets: Mapping[str, Sequence[int]]) -> None:
        self.names |= {name for name, its in wallets.items() if self.accounts.keys() & set(its)}
        self.accounts |= {account: name for name in self.names for account in wallets.get(name, ())}

    def opened(self, name: str) -> None:
        self.names.discard(name)
        self.accounts = {account: gate for account, gate in self.accounts.items() if gate != name}


@pytest.mark.timeout(120)
@settings(max_examples=200, deadline=None)
@given(COURSE)
def test_no_change_of_names_opens_a_gate_or_closes_one_that_has_no_such_account(
    course: Sequence[tuple[str, str | Sequence[str | None]]],
) -> None:
    async def run() -> None:
        subject, oracle = Gated(), Oracle()
        subject.wallets = named_wallets(a=[1, 2], b=[3])
        now: Mapping[str, Sequence[int]] = {"a": [1, 2], "b": [3]}
        await subject.started()
        for do, what in course:
            if isinstance(what, str):
                if what in now and do == "close":
                    await subject.keeper.close(what, who="bob", reason="closed")
                    oracle.names.add(what)
                    oracle.configured(now)
                elif what in now:
                    await subject.keeper.open(what, who="alice", reason="opened")
                    oracle.opened(what)
            else:
                now = placed(what)
                await (reloaded if do == "reload" else restarted)(subject, **now)
                oracle.configured(now)
            assert {name for name in now if not subject.open(name)} == oracle.names & now.keys()

    asyncio.run(run())
