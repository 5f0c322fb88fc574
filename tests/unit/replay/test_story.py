"""The story in words: one line for each thing that differs between two reports, and none for what does not."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.errors import Reason
from daemon.model import Finding, Judgement, Move, Report, Severity, State, Verdict
from daemon.replay.story import Line, Word, coins, money, narrate, span
from tests.replayed import MIDNIGHT, Monitor, moment

VERDICT = Verdict(
    policy="limits/eth",
    subject="ETH",
    alert="PyrometerHotShareHigh",
    severity=Severity.CRITICAL,
    judgement=Judgement.BREACH,
    summary="The hot share of customers' ETH is 9 %, over the limit of 5 %",
    cleared=False,
)
INSIDE = replace(
    VERDICT, judgement=Judgement.OK, summary="The hot share of customers' ETH is 4 %, within the limit of 5 %"
)


def finding(state: State, verdict: Verdict = VERDICT) -> Finding:
    return Finding(f"{verdict.policy}-1", state, since=moment("08:00"), verdict=verdict)


def told(*lines: Line) -> list[tuple[str, str]]:
    return [(line.word.name, line.text) for line in lines]


async def morning(*findings: Finding, verdicts: tuple[Verdict, ...] = (), at: str = "09:00") -> Report:
    """A quiet report with these findings and further verdicts put into it."""
    quiet = await Monitor().sees("09:00")
    return replace(quiet, at=moment(at), findings=findings, verdicts=(*quiet.verdicts, *verdicts))


async def test_the_first_report_is_told_as_a_status() -> None:
    assert told(*narrate(None, await Monitor().sees("00:00"))) == [
        ("STATUS", "Hot share 3.43 % of 18.5bn JPY; inside policy; ethereum at block 0.")
    ]


async def test_before_the_first_reading_there_is_nothing_to_tell() -> None:
    """Starting is no outage, and the first reading is no recovery."""
    monitor = Monitor()
    starting = await monitor.judges("00:00")
    assert narrate(None, starting) == []
    first = narrate(starting, await monitor.sees("00:01"))
    assert [line.word for line in first] == [Word.STATUS]


async def test_a_chain_that_never_answered_is_told_at_once() -> None:
    lines = narrate(None, await Monitor().sees_nothing("00:00"))
    assert [line.word for line in lines] == [Word.UNKNOWN, Word.STATUS]
    assert "not everything is known" in lines[1].text


async def test_nothing_new_is_not_told() -> None:
    monitor = Monitor()
    assert narrate(await monitor.sees("08:01"), await monitor.sees("08:04")) == []


async def test_every_line_carries_the_time_of_the_report() -> None:
    monitor = Monitor()
    lines = narrate(await monitor.sees("09:38"), await monitor.sees("09:43"))
    assert [line.at for line in lines] == [moment("09:43")]


async def test_too_much_hot_is_a_breach_with_what_to_move() -> None:
    monitor = Monitor()
    assert told(*narrate(await monitor.sees("09:39"), await monitor.sees("09:41"))) == [
        (
            "BREACH",
            "The hot share of customers' assets is 7.48 %, over the limit of 5 % (jp-psa/hot-share). "
            "Move 955.26 ETH from eth-hot-1 to tier cold.",
        )
    ]


async def test_a_standing_breach_is_told_once() -> None:
    monitor = Monitor()
    await monitor.sees("09:39")
    assert narrate(await monitor.sees("09:41"), await monitor.sees("10:30")) == []


async def test_money_that_leaves_is_told_with_its_share() -> None:
    """Deposits and withdrawals are not: only what is more than a hundredth of an asset."""
    monitor = Monitor()
    await monitor.sees("11:30")
    lines = narrate(await monitor.sees("11:36"), await monitor.sees("11:38"))
    assert told(*lines) == [("LEFT", "800 ETH, 2.77 % of the customers', left the wallets since 11:36.")]


async def test_an_emptied_wallet_is_a_breach_of_its_floor() -> None:
    monitor = Monitor()
    await monitor.sees("11:30")
    lines = narrate(await monitor.sees("11:40"), await monitor.sees("11:42"))
    assert (
        "BREACH",
        "eth-hot-1 holds 60 ETH, below its floor of 250 (hot-floor). Move 195 ETH into eth-hot-1.",
    ) in told(*lines)


async def test_a_share_that_fell_because_of_a_theft_is_no_all_clear() -> None:
    monitor = Monitor()
    await monitor.sees("11:30")
    before = await monitor.sees("11:42")
    (line,) = narrate(before, await monitor.sees("11:44"))
    assert line.word is Word.RESOLVED
    assert "is 2.03 %, within the limit of 5 % (jp-psa/hot-share). It lasted 14 min." in line.text
    assert line.text.endswith("This is no all-clear: hot-floor on eth-hot-1 still stands.")


async def test_the_end_of_the_last_finding_is_an_all_clear() -> None:
    monitor = Monitor()
    await monitor.sees("14:00")
    await monitor.sees("15:00")
    lines = narrate(await monitor.judges("15:00"), await monitor.sees("15:02"))
    assert told(*lines) == [
        ("RESOLVED", "eth-hot-1 holds 620 ETH, within its floor of 250 (hot-floor). It lasted 1 h 02 min.")
    ]


async def test_a_dead_node_is_told_with_what_is_known_all_the_same() -> None:
    """Unknown comes with bounds: neither zero nor the old number."""
    monitor = Monitor()
    await monitor.sees("17:00")
    before = await monitor.sees_nothing("17:01")
    assert told(*narrate(before, await monitor.judges("17:16"))) == [
        (
            "UNKNOWN",
            "ethereum has not been read since 17:00 (node-1: Connection refused, since 17:01:00). "
            "The hot share of customers' assets is between 0 % and 100 %, unknown against the limit of 5 %. "
            "eth-hot-1 holds between 0 and 1240 ETH, unknown against its floor of 250.",
        )
    ]


async def test_being_blind_for_too_long_is_told_when_people_are() -> None:
    """While its grace runs the blind finding says nothing that UNKNOWN has not said."""
    monitor = Monitor()
    await monitor.sees("17:00")
    unknown = await monitor.sees_nothing("17:16")
    assert [found.state for found in unknown.findings] == [State.PENDING]
    (line,) = narrate(unknown, await monitor.judges("17:26"))
    assert line.word is Word.BLIND
    assert line.text.startswith("Unknown because of chain ethereum: jp-psa/hot-share on all")


async def test_a_node_that_is_back_is_told_with_the_picture() -> None:
    monitor = Monitor()
    await monitor.sees("17:00")
    unknown = await monitor.sees_nothing("17:16")
    assert told(*narrate(unknown, await monitor.sees("17:20"))) == [
        ("KNOWN", "ethereum is read again. Hot share 3.63 % of 17.5bn JPY; inside policy; ethereum at block 1,040.")
    ]


async def test_nothing_is_said_to_have_left_while_nobody_could_see() -> None:
    """A fall across an outage can't be told from the two reports at its ends."""
    monitor = Monitor()
    await monitor.sees("11:30")
    unknown = await monitor.sees_nothing("11:46")
    assert Word.LEFT not in [line.word for line in narrate(unknown, await monitor.sees("11:50"))]


async def test_a_lost_chain_that_no_verdict_needs_is_told_too() -> None:
    quiet = await morning()
    chain = replace(quiet.chains["ethereum"], reason=Reason.TIMEOUT, detail="node-1: no answer", since=moment("08:50"))
    lost = replace(quiet, chains={"ethereum": chain})
    expected = "ethereum has not been read since 08:50 (node-1: no answer). Every verdict still holds."
    assert told(*narrate(quiet, lost)) == [("UNKNOWN", expected)]
    assert told(*narrate(lost, quiet)) == [("KNOWN", "ethereum is read again.")]


async def test_a_verdict_that_is_unknown_for_another_cause_names_it() -> None:
    unknown = replace(VERDICT, judgement=Judgement.UNKNOWN, causes=("price:ETH",), summary="The share is unknown")
    lines = narrate(await morning(verdicts=(INSIDE,)), await morning(verdicts=(unknown,)))
    assert told(*lines) == [("UNKNOWN", "Not readable: price:ETH. The share is unknown.")]


@pytest.mark.parametrize(
    ("before", "after", "word", "text"),
    [
        (None, State.PENDING, "OVER", "9 %, over the limit of 5 % (limits/eth). Nobody is told yet: it has to last."),
        (None, State.FIRING, "BREACH", "9 %, over the limit of 5 % (limits/eth)."),
        (State.PENDING, State.FIRING, "BREACH", "9 %, over the limit of 5 % (limits/eth)."),
        (State.PENDING, None, "RESOLVED", "4 %, within the limit of 5 % (limits/eth). Nobody was told."),
        (State.FIRING, None, "RESOLVED", "4 %, within the limit of 5 % (limits/eth). It lasted 1 h 00 min."),
    ],
)
async def test_the_life_of_a_finding(before: State | None, after: State | None, word: str, text: str) -> None:
    previous = await morning(*([finding(before)] if before else []), verdicts=(VERDICT,))
    current = await morning(*([finding(after)] if after else []), verdicts=(VERDICT if after else INSIDE,))
    assert told(*narrate(previous, current)) == [(word, f"The hot share of customers' ETH is {text}")]


@pytest.mark.parametrize("state", [State.PENDING, State.FIRING])
async def test_a_finding_that_stays_as_it_is_is_not_told_again(state: State) -> None:
    report = await morning(finding(state), verdicts=(VERDICT,))
    assert narrate(report, replace(report, at=moment("09:01"))) == []


async def test_a_finding_whose_rule_is_gone_says_so() -> None:
    lines = narrate(await morning(finding(State.FIRING)), await morning())
    assert told(*lines) == [("RESOLVED", "limits/eth is not judged any more. It lasted 1 h 00 min.")]


async def test_information_does_not_spoil_an_all_clear() -> None:
    small = replace(VERDICT, policy="note", severity=Severity.INFO)
    before = await morning(finding(State.FIRING), finding(State.FIRING, small), verdicts=(VERDICT,))
    after = await morning(finding(State.FIRING, small), verdicts=(INSIDE,))
    (line,) = narrate(before, after)
    assert "all-clear" not in line.text


async def test_amounts_to_move_are_rounded_up() -> None:
    """Whoever moves what stands here must be back under the limit."""
    moves = (Move("a", "ETH", Decimal("1950.01")), Move("b", "ETH", Decimal("0.001"), "in"))
    current = await morning(finding(State.FIRING, replace(VERDICT, moves=moves)))
    (line,) = narrate(await morning(), current)
    assert line.text.endswith("Move 1,951 ETH from a, 0.01 ETH into b.")


@pytest.mark.parametrize(
    ("before", "after", "lines"), [("03:59", "04:00", 1), ("04:00", "04:03", 0), ("11:59", "16:02", 1)]
)
async def test_every_four_hours_there_is_a_status(before: str, after: str, lines: int) -> None:
    quiet = await morning()
    story = narrate(replace(quiet, at=moment(before)), replace(quiet, at=moment(after)))
    assert [line.word for line in story] == [Word.STATUS] * lines


async def test_the_status_names_what_stands() -> None:
    report = await morning(finding(State.FIRING), at="12:00")
    (line,) = narrate(replace(report, at=moment("11:59")), report)
    assert "still standing: limits/eth on ETH" in line.text


async def test_the_status_of_nothing_judged_does_not_sound_fine() -> None:
    report = replace(await morning(at="12:00"), verdicts=())
    (line,) = narrate(replace(report, at=moment("11:59")), report)
    assert "nothing is judged" in line.text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0"),
        ("0.84", "0.84"),
        ("0.005", "0"),
        ("620.43", "620.43"),
        ("999.999", "1,000"),
        ("1950.4", "1,950"),
        ("1e24", f"{10**24:,}"),
    ],
)
def test_coins_are_written_for_people(amount: str, text: str) -> None:
    assert coins(Decimal(amount)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("950", "950 JPY"),
        ("2500000", "2.5m JPY"),
        ("645211023", "645m JPY"),
        ("18510000000", "18.5bn JPY"),
        ("3e12", "3tn JPY"),
    ],
)
def test_money_is_written_for_people(value: str, text: str) -> None:
    assert money(Decimal(value), "JPY") == text


@pytest.mark.parametrize(("minutes", "text"), [(0, "0 min"), (45, "45 min"), (60, "1 h 00 min"), (1505, "25 h 05 min")])
def test_time_spans_are_written_for_people(minutes: int, text: str) -> None:
    assert span(timedelta(minutes=minutes)) == text


async def test_the_whole_day_is_told_in_a_page() -> None:
    """Read every fourth minute, dark from 17:00 to 17:45: every event of the plot is found, little else said."""
    monitor = Monitor()
    previous, words = None, []
    for minute in range(0, 24 * 60, 4):
        time = f"{minute // 60:02}:{minute % 60:02}"
        dark = "17:00" < time < "17:45"
        report = await (monitor.sees_nothing(time) if dark else monitor.sees(time))
        words += [line.word for line in narrate(previous, report)]
        previous = report
    assert [word for word in words if word is not Word.STATUS] == [
        Word.BREACH,
        Word.LEFT,
        Word.LEFT,
        Word.BREACH,
        Word.RESOLVED,
        Word.RESOLVED,
        Word.UNKNOWN,
        Word.BLIND,
        Word.KNOWN,
        Word.RESOLVED,
    ]
    assert words.count(Word.STATUS) == 6
    assert previous is not None and previous.at.date() == MIDNIGHT.date()
