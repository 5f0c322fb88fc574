"""From accounts to scripts: windows follow use, each account has its own gap limit, no script is counted twice."""

from connectors.base import Address
from connectors.bitcoin.accounts import GAP_LIMIT, Accounts, Expansion
from connectors.bitcoin.address import address_of
from connectors.bitcoin.descriptors import canonical, parse
from connectors.bitcoin.networks import NETWORKS

BITCOIN = NETWORKS["bitcoin"]
# The account key of BIP-84's test vectors.
ZPUB = "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs"
WALLET = canonical(ZPUB, network=BITCOIN)
RECEIVE, CHANGE = parse(WALLET, network=BITCOIN).branches


def watched(*accounts: Address, gap: int | None = None, ahead: int = 0) -> Accounts:
    limits = {} if gap is None else dict.fromkeys(accounts, gap)
    found = Accounts(accounts, expansion=Expansion(BITCOIN, ahead=ahead), gap_limits=limits)
    found.extend()
    return found


def test_both_branches_are_watched_as_far_as_the_gap_limit() -> None:
    found = watched(WALLET)
    assert set(found.scripts) == {*RECEIVE.scripts(0, GAP_LIMIT), *CHANGE.scripts(0, GAP_LIMIT)}
    assert set(found.scripts.values()) == {0}


def test_each_account_has_its_own_gap_limit() -> None:
    assert set(watched(WALLET, gap=3).scripts) == {*RECEIVE.scripts(0, 3), *CHANGE.scripts(0, 3)}


def test_the_window_follows_use_branch_by_branch() -> None:
    found = watched(WALLET, gap=3)
    found.use(RECEIVE.scripts(2, 3))
    assert set(found.extend()) == set(RECEIVE.scripts(3, 6))
    assert found.extend() == {}


def test_what_is_used_beyond_the_window_is_not_seen() -> None:
    found = watched(WALLET, gap=3)
    found.use(RECEIVE.scripts(3, 4))
    assert found.extend() == {}


def test_a_dear_scan_derives_more_at_once() -> None:
    assert len(watched(WALLET, gap=3, ahead=50).scripts) == 100


def test_an_address_that_a_descriptor_derives_too_is_counted_once_and_said() -> None:
    address = address_of(RECEIVE.scripts(1, 2)[0], network=BITCOIN)
    assert address is not None
    found = watched(address, WALLET)
    assert found.scripts[RECEIVE.scripts(1, 2)[0]] == 0
    assert found.faults == {1: f"has a script in common with {address}; watch one of the two"}
