"""Japan by hand and by program: twenty assets, three owners, a hot share of exactly 5 % and a guarantee of exactly all.

Payment Services Act 63-11(2) and 63-11-2: at most 5 % of customers' crypto-assets, by value in yen, may be hot, and for
what is hot own crypto-assets of the same kind and quantity are set aside. The arithmetic of this file is written out
and uses nothing of the program.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import pytest

from connectors.base import Token
from daemon.interval import Interval
from daemon.ledger import Ledger
from daemon.model import Judgement, Move, Owner, Tier, Verdict
from daemon.policy import judge
from daemon.policy.guarantee import Guarantee
from daemon.policy.hot_share import HotShare
from daemon.policy.rule import Picture
from tests.build import complete, inventory, picture, wallet


@dataclass(frozen=True)
class Line:
    """One asset of the books: decimals, price in yen, customers' coins hot and cold, and what these come to in yen."""

    decimals: int
    price: int
    hot: str
    hot_yen: int
    cold: str
    cold_yen: int


BOOKS = {
    "BTC": Line(8, 15_000_000, "1.2", 18_000_000, "25", 375_000_000),
    "ETH": Line(18, 500_000, "20.5", 10_250_000, "450", 225_000_000),
    "XRP": Line(6, 400, "12500", 5_000_000, "200000", 80_000_000),
    "SOL": Line(9, 25_000, "80.04", 2_001_000, "1600", 40_000_000),
    "ADA": Line(6, 120, "10000", 1_200_000, "250000", 30_000_000),
    "DOT": Line(10, 1_100, "1000", 1_100_000, "20000", 22_000_000),
    "LTC": Line(8, 16_000, "62.5", 1_000_000, "1500", 24_000_000),
    "BCH": Line(8, 80_000, "25", 2_000_000, "300", 24_000_000),
    "XLM": Line(7, 60, "30000", 1_800_000, "300000", 18_000_000),
    "XEM": Line(6, 3, "500000", 1_500_000, "4000000", 12_000_000),
    "LINK": Line(18, 3_000, "400", 1_200_000, "4000", 12_000_000),
    "DOGE": Line(8, 55, "20000", 1_100_000, "200000", 11_000_000),
    "AVAX": Line(18, 4_500, "200", 900_000, "2000", 9_000_000),
    "POL": Line(18, 75, "8000", 600_000, "100000", 7_500_000),
    "ATOM": Line(6, 1_300, "500", 650_000, "5000", 6_500_000),
    "XTZ": Line(6, 180, "2500", 450_000, "25000", 4_500_000),
    "BAT": Line(18, 35, "10000", 350_000, "100000", 3_500_000),
    "USDT": Line(6, 150, "4000", 600_000, "30000", 4_500_000),
    "MONA": Line(8, 40, "5000", 200_000, "50000", 2_000_000),
    "JPYC": Line(18, 1, "99000", 99_000, "39500000", 39_500_000),
}
HOT_YEN = 50_000_000
COLD_YEN = 950_000_000
# 50,000,000 / (50,000,000 + 950,000,000) = 5 / 100

TOKENS = {
    asset: Token("ethereum", f"0x{number:040x}", line.decimals) for number, (asset, line) in enumerate(BOOKS.items())
}
COMPANY = "3.5"
"""Coins that the company itself has of every asset, hot and cold: they must change nothing."""

HOT, COLD, TILL, VAULT, PLEDGE = range(1, 6)
WALLETS = {"hot": HOT, "cold": COLD, "till": TILL, "vault": VAULT, "pledge": PLEDGE}


def units(asset: str, coins: str | int) -> int:
    exact = Fraction(coins) * 10 ** BOOKS[asset].decimals
    assert exact.denominator == 1
    return int(exact)


def exchange() -> dict[tuple[int, str], int]:
    """Units by account and asset: customers' hot and cold, the company's, and a guarantee as large as what is hot."""
    found: dict[tuple[int, str], int] = {}
    for asset, line in BOOKS.items():
        found[HOT, asset] = found[PLEDGE, asset] = units(asset, line.hot)
        found[COLD, asset] = units(asset, line.cold)
        found[TILL, asset] = found[VAULT, asset] = units(asset, COMPANY)
    return found


def seen(held: dict[tuple[int, str], int]) -> Picture:
    inv = inventory(
        wallet("hot", Tier.HOT, HOT),
        wallet("cold", Tier.COLD, COLD),
        wallet("till", Tier.HOT, TILL, owner=Owner.COMPANY),
        wallet("vault", Tier.COLD, VAULT, owner=Owner.COMPANY),
        wallet("pledge", Tier.COLD, PLEDGE, owner=Owner.GUARANTEE),
        assets={asset: [token] for asset, token in TOKENS.items()},
    )
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(account, TOKENS[asset]): value for (account, asset), value in held.items()}))
    return picture(ledger, inv, prices={asset: str(line.price) for asset, line in BOOKS.items()})


def judged(held: dict[tuple[int, str], int]) -> tuple[Verdict, dict[str, Verdict]]:
    """The verdict on the hot share of everything, and those on the guarantee by asset."""
    rules = [
        ("share", HotShare(kind="hot_share", limit=Decimal("0.05"))),
        ("guarantee", Guarantee(kind="guarantee")),
    ]
    share, *guarantees = judge(rules, seen(held))
    return share, {verdict.subject: verdict for verdict in guarantees}


def test_the_books_add_up_by_hand() -> None:
    assert len(BOOKS) == 20
    for line in BOOKS.values():
        assert Fraction(line.hot) * line.price == line.hot_yen
        assert Fraction(line.cold) * line.price == line.cold_yen
    assert sum(line.hot_yen for line in BOOKS.values()) == HOT_YEN
    assert sum(line.cold_yen for line in BOOKS.values()) == COLD_YEN
    assert Fraction(HOT_YEN, HOT_YEN + COLD_YEN) == Fraction(5, 100)


def test_the_program_comes_to_the_same_yen_for_every_asset_and_owner() -> None:
    exposure = seen(exchange()).exposure
    assert exposure.value == Interval.exactly(Decimal(HOT_YEN))
    for asset, line in BOOKS.items():
        for tier, yen in ((Tier.HOT, line.hot_yen), (Tier.COLD, line.cold_yen)):
            assert exposure.holdings[asset, tier, Owner.CUSTOMER].value == Interval.exactly(Decimal(yen)), asset
            own = exposure.holdings[asset, tier, Owner.COMPANY].value.value
            assert own is not None
            assert Fraction(own) == Fraction(COMPANY) * line.price
        assert exposure.holdings[asset, Tier.COLD, Owner.GUARANTEE].value.value == line.hot_yen


def test_exactly_five_percent_and_exactly_the_guarantee_are_no_breach() -> None:
    share, guarantees = judged(exchange())
    assert share.measured == Interval.exactly(Decimal("0.05"))
    assert share.judgement is Judgement.OK
    assert {verdict.judgement for verdict in guarantees.values()} == {Judgement.OK}
    assert guarantees.keys() == BOOKS.keys()


@pytest.mark.parametrize("short", sorted(BOOKS))
def test_one_unit_short_of_one_guarantee_is_that_breach_alone_while_the_share_is_fine(short: str) -> None:
    held = exchange()
    held[PLEDGE, short] -= 1
    share, guarantees = judged(held)
    assert share.judgement is Judgement.OK
    assert [asset for asset, verdict in guarantees.items() if verdict.judgement is Judgement.BREACH] == [short]
    (move,) = guarantees[short].moves
    one = Decimal(1).scaleb(-BOOKS[short].decimals)
    assert (move.asset, move.amount, move.counterpart) == (short, one, "owner guarantee, tier cold")

    held[WALLETS[move.wallet], short] -= 1
    held[PLEDGE, short] += 1
    _, mended = judged(held)
    assert {verdict.judgement for verdict in mended.values()} == {Judgement.OK}


def test_a_surplus_of_every_other_guarantee_does_not_make_up_for_one_unit() -> None:
    held = {key: value * 10 if key[0] == PLEDGE else value for key, value in exchange().items()}
    held[PLEDGE, "XEM"] = units("XEM", BOOKS["XEM"].hot) - 1
    _, guarantees = judged(held)
    assert [asset for asset, one in guarantees.items() if one.judgement is Judgement.BREACH] == ["XEM"]


@pytest.mark.parametrize("more", [1, 10**18], ids=["a unit", "a yen"])
def test_conversely_the_share_alone_is_a_breach_while_every_guarantee_is_whole(more: int) -> None:
    """A quintillionth of a yen from cold to hot: 50,000,000.000000000000000001 of 1,000,000,000."""
    held = exchange()
    held[HOT, "JPYC"] += more
    held[COLD, "JPYC"] -= more
    held[PLEDGE, "JPYC"] += more
    share, guarantees = judged(held)
    assert share.judgement is Judgement.BREACH
    assert {verdict.judgement for verdict in guarantees.values()} == {Judgement.OK}
    hot = Fraction(HOT_YEN) + Fraction(more, 10**18)
    assert share.measured is not None
    assert share.measured.value is not None
    assert Fraction(share.measured.value) == hot / (HOT_YEN + COLD_YEN)


def test_what_to_move_for_the_share_is_reckoned_by_hand_too() -> None:
    """One yen too much; it clears at 5 % × 0.98 = 4.9 %, 49,000,000 yen. So 1,000,001 yen have to go.

    They go out of the largest holding: 1,000,001 / 15,000,000 = 0.0666667333… BTC, to six places upwards 0.066667.
    """
    held = exchange()
    held[HOT, "JPYC"] += 10**18
    held[COLD, "JPYC"] -= 10**18
    share, _ = judged(held)
    assert share.moves == (Move("hot", "BTC", Decimal("0.066667"), counterpart="tier cold"),)
    held[HOT, "BTC"] -= units("BTC", "0.066667")
    held[COLD, "BTC"] += units("BTC", "0.066667")
    after, _ = judged(held)
    # 50,000,001 - 0.066667 * 15,000,000 = 50,000,001 - 1,000,005 = 48,999,996
    assert after.measured == Interval.exactly(Decimal("0.048999996"))
    assert after.cleared
