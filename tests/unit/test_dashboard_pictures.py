"""What draws the dashboards: questions filled in as Grafana does, values as people read them, lines that break."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from dashboards.looks import OK, OVER, UNKNOWN
from dashboards.pictures.asking import Series, Window, filled
from dashboards.pictures.cells import table, tiles, timeline
from dashboards.pictures.graph import Answer, Span, broken, graph
from dashboards.pictures.page import unfolded
from dashboards.pictures.png import repacked
from dashboards.pictures.reading import Panel, Shown, read
from dashboards.pictures.run import story
from dashboards.pictures.values import colour, number, written

NINE = datetime(2026, 11, 20, 9, tzinfo=UTC)
HOUR = Window(NINE, NINE + timedelta(hours=1), step=60, scrape=15)


def titled(name: str, title: str) -> Panel:
    return next(panel for panel in read(name).panels if panel.title == title)


def series(*values: float, labels: Mapping[str, str] | None = None) -> Series:
    start = NINE.timestamp()
    return Series(labels or {}, tuple((start + place * 60, value) for place, value in enumerate(values)))


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (0.0581, "percentunit", 2, "5.81 %"),
        (0.5, "percentunit", None, "50 %"),
        (2_280_000_000, "short", 2, "2.28 bn"),
        (26_950.0, "locale", 4, "26,950"),
        (48.6843, "locale", 4, "48.6843"),
        (1200.0, "locale", 0, "1,200"),
        (0.0078, "s", 1, "7.8 ms"),
        (90, "s", None, "1.5 min"),
        (3, "none", None, "3"),
        (0, "none", None, "0"),
        (0.12, "reqps", None, "0.12 /s"),
        (150 * 2**20, "bytes", None, "150 MiB"),
        (1_795_000_000_000, "dateTimeAsIso", None, "2026-11-18 11:06:40"),
    ],
)
def test_a_number_is_written_with_its_unit(value: float, unit: str, decimals: int | None, text: str) -> None:
    assert number(value, unit=unit, decimals=decimals) == text


def test_words_take_the_place_of_a_value_and_of_none() -> None:
    shown = titled("overview", "Policy").fieldConfig.defaults
    assert [written(value, shown) for value in (0, 1, 2)] == ["INSIDE", "UNKNOWN", "BREACH"]
    assert [written(value, shown) for value in (None, float("nan"))] == ["NOT JUDGED", "NOT JUDGED"]
    assert [colour(value, shown) for value in (0, 2, None)] == [OK, OVER, UNKNOWN]


def test_without_words_the_highest_threshold_that_is_reached_gives_the_colour() -> None:
    shown = Shown.model_validate(
        {
            "thresholds": {
                "steps": [{"color": "a", "value": None}, {"color": "b", "value": 0}, {"color": "c", "value": 1}]
            }
        }
    )
    assert [colour(value, shown) for value in (None, 0.5, 1.0)] == ["a", "b", "c"]


def test_variables_are_filled_in_as_grafana_does() -> None:
    texts = HOUR.filled({"entity": "A & B", "wallet": ["hot.1", "cold"], "asset": ["ETH"]})
    expr = 'rate(a{e="$entity", w=~"$wallet", x=~"$asset"}[$__rate_interval]) + b[$__range] + "$1"'
    assert filled(expr, texts) == (r'rate(a{e="A & B", w=~"(hot\\.1|cold)", x=~"ETH"}[75000ms]) + b[3600000ms] + "$1"')


def test_a_rate_is_never_over_less_than_four_scrapes() -> None:
    assert Window(NINE, NINE, step=1, scrape=15).filled({})["__rate_interval"] == "60000ms"


def test_a_line_breaks_where_nothing_was_known() -> None:
    known = [(0.0, 1.0), (60.0, 2.0), (240.0, 3.0), (300.0, float("nan")), (360.0, 4.0)]
    assert broken(known, step=60) == [[(0.0, 1.0), (60.0, 2.0)], [(240.0, 3.0)], [(360.0, 4.0)]]


def test_a_graph_has_a_band_between_the_bounds_a_dashed_limit_and_round_levels() -> None:
    panel = titled("overview", "Hot share of all assets, against its limit")
    names = [target.legendFormat for target in panel.targets]
    given = [series(0.01, 0.01), series(0.04, 0.09), series(0.03), series(0.05, 0.05, labels={"policy": "p"})]
    answers = [Answer(t.refId, name, (one,)) for t, name, one in zip(panel.targets, names, given, strict=True)]
    mark = Span(NINE.timestamp(), NINE.timestamp() + 60, OVER)
    drawn = graph(panel, answers, window=HOUR, width=600, height=300, marks=[mark])
    assert [tick.text for tick in drawn.rows] == ["0 %", "2 %", "4 %", "6 %", "8 %", "10 %"]
    assert (drawn.band.count("M"), drawn.band_colour) == (1, UNKNOWN)
    assert [(line.name, line.dashed) for line in drawn.lines][-1] == ("limit p", True)
    assert drawn.lines[2].path == ""
    assert len(drawn.lines[2].dots) == 1
    assert drawn.marks[0].left == drawn.left


def test_levels_that_lie_close_are_told_apart() -> None:
    panel = titled("reserves", "Reserve")
    answers = [Answer(panel.targets[2].refId, "reserve", (series(1.001, 1.004),))]
    texts = [tick.text for tick in graph(panel, answers, window=HOUR, width=600, height=300, marks=[]).rows]
    assert len(set(texts)) == len(texts) > 3


def test_a_table_joins_answers_by_their_labels_and_leaves_empty_what_nobody_said() -> None:
    panel = titled("chains", "Nodes")
    one, two = {"chain": "nem", "provider": "node-1"}, {"chain": "nem", "provider": "node-2"}
    answers = [
        Answer("A", "", (series(9, labels=one), series(8, labels=two))),
        Answer("B", "", (series(0, labels=one),)),
        Answer("C", "", ()),
    ]
    drawn = table(panel, answers)
    assert [head for head, _ in drawn.heads] == ["chain", "node", "requests", "errors", "disagreements"]
    assert [[cell.text for cell in row] for row in drawn.rows] == [
        ["nem", "node-1", "9", "0", "not known"],
        ["nem", "node-2", "8", "not known", "not known"],
    ]
    assert drawn.rows[1][3].colour == UNKNOWN


def test_a_number_that_nobody_tells_is_a_tile_that_says_so() -> None:
    (tile,) = tiles(titled("overview", "Hot share"), [Answer("A", "", ())])
    assert (tile.text, tile.colour) == ("UNKNOWN", UNKNOWN)


def test_states_are_boxes_from_change_to_change_and_nothing_where_nobody_knew() -> None:
    known = series(0, 0, 2, labels={"policy": "p"})
    later = Series(known.labels, (*known.points, (NINE.timestamp() + 1800, 1.0)))
    panel = titled("overview", "Rules")
    drawn = timeline(panel, [Answer("A", "{{policy}}", (later,))], window=HOUR, width=600, height=100)
    assert [box.colour for box in drawn.boxes] == [OK, OVER, UNKNOWN]
    assert drawn.boxes[0].width > drawn.boxes[1].width
    assert drawn.boxes[2].x > drawn.boxes[1].x + drawn.boxes[1].width
    assert [text for text, _ in drawn.legend] == ["ok", "UNKNOWN", "BREACH"]


def test_a_repeated_panel_stands_once_for_each_value_and_others_make_room() -> None:
    panels = read("wallets").panels
    few = unfolded(panels, {"asset": ["A", "B"], "wallet": ["w"], "entity": "e"})
    many = unfolded(panels, {"asset": list("ABCDE"), "wallet": ["w"], "entity": "e"})
    assert [panel.title for panel, _ in few if panel.title.startswith("Cold")] == ["Cold A", "Cold B"]
    assert [values["asset"] for panel, values in few if panel.title.startswith("Cold")] == ["A", "B"]
    last_of_few, last_of_many = few[-1][0].gridPos.y, many[-1][0].gridPos.y
    assert last_of_many - last_of_few == 15  # two more rows, 8 and 7 high


def test_the_story_is_a_good_scenario() -> None:
    assert story().end - story().starts == timedelta(hours=3)


def picture(rows: list[tuple[int, bytes]], *, width: int, colours: int = 2) -> bytes:
    """A PNG of rows that are filtered already."""
    data = zlib.compress(b"".join(bytes([kind]) + row for kind, row in rows))
    header = struct.pack(">IIBBBBB", width, len(rows), 8, colours, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", data[:7]), (b"IDAT", data[7:]), (b"IEND", b""))
    packed = [struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def test_a_picture_that_is_packed_again_is_the_same() -> None:
    """Rows of every kind of filter, whose values are known by hand."""
    rows = [
        (0, bytes([1, 2, 3, 4, 5, 6])),
        (1, bytes([1, 1, 1, 1, 1, 1])),
        (2, bytes([1, 1, 1, 1, 1, 1])),
        (3, bytes([0, 0, 0, 0, 0, 0])),
        (4, bytes([9, 9, 9, 0, 0, 0])),
    ]
    again = repacked(picture(rows, width=2))
    at = again.index(b"IDAT")
    (size,) = struct.unpack(">I", again[at - 4 : at])
    raw = zlib.decompress(again[at + 4 : at + 4 + size])
    plain = [list(raw[start + 1 : start + 7]) for start in range(0, 35, 7)]
    assert plain == [
        [1, 2, 3, 4, 5, 6],
        [1, 1, 1, 2, 2, 2],
        [2, 2, 2, 3, 3, 3],
        [1, 1, 1, 2, 2, 2],
        [10, 10, 10, 10, 10, 10],
    ]
    assert set(raw[::7]) == {0}


def test_packing_twice_changes_nothing() -> None:
    dice = random.Random(3)
    once = repacked(picture([(kind, dice.randbytes(30)) for kind in (4, 3, 2, 1, 0, 4)], width=10))
    assert repacked(once) == once


def test_a_picture_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="colour type 6"):
        repacked(picture([(0, bytes(4))], width=1, colours=6))
