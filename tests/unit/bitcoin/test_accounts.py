"""From accounts to scripts: windows follow use, each account has its own gap limit, no script is counted twice.

What is paid beyond the gap limit is no fault of the chain's: it is explained, with the gap limit that counts it.
"""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def watched(*accounts: Address, gap: int | None = None, step: int = 1, lookout: int = 0) -> Accounts:
    limits = {} if gap is None else dict.fromkeys(accounts, gap)
    found = Accounts(accounts, expansion=Expansion(BITCOIN, step=step, lookout=lookout), gap_limits=limits)
    found.extend()
    return found


def receiving(*indices: int) -> list[bytes]:
    return [script for index in indices for script in RECEIVE.scripts(index, index + 1)]


def paid(found: Accounts, *indices: int) -> Accounts:
    """These receiving addresses were paid, one after the other."""
    for script in receiving(*indices):
        found.use([script])
        while found.extend():
            pass
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


def test_without_a_lookout_what_is_used_beyond_the_window_is_not_seen() -> None:
    found = watched(WALLET, gap=3)
    found.use(RECEIVE.scripts(3, 4))
    assert found.extend() == {}


def test_a_dear_scan_derives_more_at_once() -> None:
    assert len(watched(WALLET, gap=3, step=50).scripts) == 100


@settings(max_examples=20)
@given(st.lists(st.integers(0, 120), min_size=1, max_size=8))
def test_how_far_is_watched_does_not_depend_on_the_order_of_payments(indices: list[int]) -> None:
    """One source may learn of them one by one, another all at once."""
    for step in (1, 50):
        one_by_one, at_once = (watched(WALLET, gap=20, step=step, lookout=130) for _ in range(2))
        paid(one_by_one, *indices)
        at_once.use(receiving(*indices))
        at_once.extend()
        assert one_by_one.branches == at_once.branches
        assert one_by_one.scripts.keys() == at_once.scripts.keys()
        assert one_by_one.faults == at_once.faults


# Beyond the gap limit.


def test_a_lookout_is_watched_behind_what_counts() -> None:
    found = watched(WALLET, gap=3, lookout=10)
    assert set(found.scripts) == {*RECEIVE.scripts(0, 13), *CHANGE.scripts(0, 13)}
    found.use(receiving(2))
    assert set(found.extend()) == set(RECEIVE.scripts(13, 16))
    assert found.faults == {}


def test_an_address_paid_beyond_the_gap_limit_is_explained_with_the_gap_limit_that_counts_it() -> None:
    found = paid(watched(WALLET, lookout=1000), *range(0, 501, 20))
    assert found.faults == {}
    found.use(receiving(541))
    assert found.faults == {
        0: "descriptor wpkh(xpub6…/0/*)#kj7aqcx6: index 541 was paid, 41 beyond the last used index 500, "
        "more than gap_limit 20 allows for: set gap_limit to 41 or more for this wallet"
    }


def test_an_address_paid_beyond_the_gap_limit_of_an_unused_wallet_is_explained() -> None:
    found = paid(watched(WALLET, gap=3, lookout=10), 3)
    assert found.faults[0].endswith(
        "index 3 was paid, and none before it, more than gap_limit 3 allows for: "
        "set gap_limit to 4 or more for this wallet"
    )


def test_the_last_address_within_the_gap_limit_needs_no_explanation() -> None:
    assert paid(watched(WALLET, gap=3, lookout=10), 2, 5).faults == {}


def test_a_payment_beyond_the_lookout_is_not_seen() -> None:
    assert paid(watched(WALLET, gap=3, lookout=10), 13).faults == {}


def test_the_explanation_ends_when_payments_in_between_close_the_gap() -> None:
    found = paid(watched(WALLET, gap=3, lookout=10), 4)
    assert set(found.faults) == {0}
    paid(found, 1)
    assert found.faults == {}
    assert (found.branches[0].used, found.branches[0].derived, found.branches[0].watched) == (5, 8, 18)


@settings(max_examples=50)
@given(st.sets(st.integers(0, 60), min_size=1, max_size=5), st.integers(1, 5), st.sampled_from((1, 10)))
def test_the_gap_limit_that_is_named_is_the_smallest_that_counts_everything(
    indices: set[int], gap: int, step: int
) -> None:
    fault = paid(watched(WALLET, gap=gap, step=step, lookout=61), *indices).faults.get(0)
    if fault is None:
        return
    named = int(re.findall(r"set gap_limit to (\d+) or more", fault)[0])
    healed = paid(watched(WALLET, gap=named, step=step, lookout=61), *indices)
    assert healed.faults == {}
    assert healed.branches[0].used == max(indices) + 1
    assert step > 1 or paid(watched(WALLET, gap=named - 1, lookout=61), *indices).faults != {}


def test_each_branch_has_a_lookout_of_its_own() -> None:
    found = watched(WALLET, gap=3, lookout=10)
    found.use(CHANGE.scripts(7, 8))
    assert "wpkh(xpub6…/1/*)" in found.faults[0]


def test_a_plain_address_and_a_single_script_cost_nothing_more() -> None:
    address = address_of(RECEIVE.scripts(1, 2)[0], network=BITCOIN)
    assert address is not None
    single = canonical(WALLET.partition("#")[0].replace("<0;1>/*", "1/5"), network=BITCOIN)
    found = watched(address, single, lookout=1000)
    assert len(found.scripts) == 2
    assert found.faults == {}


@pytest.mark.parametrize("step", [1, 10])
def test_what_was_paid_beyond_is_taken_up_after_a_restart(step: int) -> None:
    before = paid(watched(WALLET, gap=3, step=step, lookout=10), 1, 14)
    after = Accounts([WALLET], expansion=Expansion(BITCOIN, step=step, lookout=10), gap_limits={WALLET: 3})
    branches = before.branches
    after.resume(
        [one.derived for one in branches], used=[one.used for one in branches], beyond=[one.beyond for one in branches]
    )
    assert (after.scripts, after.branches, after.faults) == (before.scripts, before.branches, before.faults)
    assert after.faults
    assert after.extend() == {}


def test_a_restart_with_a_raised_gap_limit_counts_what_was_beyond() -> None:
    before = paid(watched(WALLET, gap=3, lookout=10), 1, 6).branches
    after = Accounts([WALLET], expansion=Expansion(BITCOIN, lookout=10), gap_limits={WALLET: 5})
    after.resume([one.derived for one in before], used=[one.used for one in before], beyond=[{6}, ()])
    assert set(after.extend()) == {*RECEIVE.scripts(15, 22), *CHANGE.scripts(13, 15)}
    assert after.faults == {}


def test_what_is_kept_for_another_way_to_derive_has_another_fingerprint() -> None:
    prints = {watched(WALLET, step=step, lookout=lookout).fingerprint for step in (1, 10) for lookout in (0, 10)}
    assert len(prints) == 4


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_one_knows_to_be_beyond_was_used_where_the_other_counts_farther(order: tuple[int, int]) -> None:
    """A node's scan does not find what was emptied; what was followed still knows of it."""
    both = [paid(watched(WALLET, gap=3, lookout=10), 7), paid(watched(WALLET, gap=3, lookout=10), 2, 5)]
    one, other = (both[place] for place in order)
    one.widen(other)
    assert one.faults == {}
    assert (one.branches[0].used, one.branches[0].derived) == (8, 9)
    assert set(one.extend()) == set(RECEIVE.scripts(19, 21))


def test_what_either_of_two_knows_to_be_beyond_is_explained() -> None:
    one, other = (paid(watched(WALLET, gap=3, lookout=10), 2, index) for index in (9, 7))
    one.widen(other)
    assert one.branches[0].beyond == {7, 9}


# One script, two accounts.


def test_an_address_beyond_the_gap_limit_that_is_watched_by_itself_is_counted_there() -> None:
    address = address_of(receiving(7)[0], network=BITCOIN)
    assert address is not None
    found = paid(watched(address, WALLET, gap=3, lookout=10), 7)
    assert found.scripts[receiving(7)[0]] == 0
    assert found.faults == {}
    paid(found, 2, 4)
    assert found.faults == {1: f"has a script in common with {address}; watch one of the two"}


def test_an_address_that_a_descriptor_derives_too_is_counted_once_and_said() -> None:
    address = address_of(RECEIVE.scripts(1, 2)[0], network=BITCOIN)
    assert address is not None
    found = watched(address, WALLET)
    assert found.scripts[RECEIVE.scripts(1, 2)[0]] == 0
    assert found.faults == {1: f"has a script in common with {address}; watch one of the two"}
