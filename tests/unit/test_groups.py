"""Sums over wallets: kept up to date by what changed, they are what adding everything up gives."""

from hypothesis import given
from hypothesis import strategies as st

from daemon.groups import Group, Groups
from daemon.ledger import Ledger, Total
from daemon.model import Inventory, Owner, Tier
from tests.build import ETH, USDT, complete, failed, inventory, wallet

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["read", "unread", "failed", "tier", "reload", "nothing"]),
        st.integers(1, 4),
        st.integers(0, 10**30),
    ),
    max_size=30,
)


def wallets() -> Inventory:
    return inventory(
        wallet("hot", Tier.HOT, 1),
        wallet("other", Tier.HOT, 2),
        wallet("cold", Tier.COLD, 3),
        wallet("own", Tier.COLD, 4, owner=Owner.COMPANY),
        assets={"ETH": [ETH], "USDT": [USDT]},
    )


def added_up(ledger: Ledger, inv: Inventory, tiers: dict[str, Tier]) -> dict[Group, Total]:
    sums: dict[Group, Total] = {}
    for (name, token), part in ledger.totals().wallets.items():
        group = (token, tiers[name], inv.wallets[name].owner)
        sums[group] = sums.get(group, Total()) + part
    return sums


@given(steps=STEPS)
def test_sums_that_follow_changes_are_those_of_everything(steps: list[tuple[str, int, int]]) -> None:
    inv, groups = wallets(), Groups()
    ledger = Ledger(inv)
    tiers = {name: each.tier for name, each in inv.wallets.items()}
    units = dict.fromkeys(((number, token) for number in (1, 2, 3, 4) for token in (ETH, USDT)), 0)
    for height, (what, number, amount) in enumerate(steps, start=1):
        unread = []
        if what == "read":
            units[number, ETH] = amount
        elif what == "unread":
            unread = [(number, USDT)]
        elif what == "tier":
            tiers["other"] = list(Tier)[number % 3]
        elif what == "reload":
            older, inv = ledger, wallets()
            ledger = Ledger(inv)
            ledger.carry_over(older, chains=inv.watches)
        if what == "failed":
            ledger.apply(failed(height))
        else:
            held = {key: value for key, value in units.items() if key not in unread}
            ledger.apply(complete(height, held, unread=unread))
        expected = added_up(ledger, inv, tiers)
        assert groups.of(ledger.totals(), tiers=tiers, inventory=inv) == expected
