"""Files as sources: read when they change, as of when they were written, and never by half."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.transport import REAL
from daemon.feeds.checking import Expected, checked
from daemon.feeds.file import FileReader
from daemon.feeds.rows import AMOUNTS, MONEY, PRICES, Columns
from daemon.feeds.source import SUM, FeedError, Measure, Row
from daemon.feeds.values import FeedReason

WRITTEN = datetime(2026, 11, 23, 9, tzinfo=UTC)


def reader(path: Path, columns: Columns = AMOUNTS) -> FileReader:
    return FileReader(path, columns=columns, timeout=timedelta(seconds=10), timing=REAL)


def write(path: Path, text: str | bytes, *, at: datetime = WRITTEN) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


async def refused(path: Path, columns: Columns = AMOUNTS) -> FeedError:
    with pytest.raises(FeedError) as caught:
        await reader(path, columns).read()
    assert "\n" not in caught.value.detail
    return caught.value


async def test_a_csv_file_is_as_of_when_it_was_written(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "asset,amount\nBTC,1250.5\nETH, 30000\n")
    raw = await reader(path).read()
    assert (list(raw.rows), raw.at) == ([Row("BTC", "1250.5"), Row("ETH", "30000")], WRITTEN)


async def test_a_csv_file_may_count_units_and_have_times(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "at,units,asset\r\n2026-11-23T08:00:00Z,5,BTC\r\n")
    assert (await reader(path).read()).rows == [Row("BTC", "5", Measure.UNITS, WRITTEN - timedelta(hours=1))]


async def test_a_yaml_file_is_as_of_what_it_says(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yaml", "at: 2026-11-23T08:00:00Z\namounts: {BTC: 1_250.50, ETH: 3}\n")
    raw = await reader(path).read()
    assert (list(raw.rows), raw.at) == ([Row("BTC", "1_250.50"), Row("ETH", "3")], WRITTEN - timedelta(hours=1))


async def test_a_number_in_yaml_is_never_a_float(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yml", "prices: {BTC: 0.1000000000000000000001}\n")
    (row,) = (await reader(path, PRICES).read()).rows
    assert Decimal(str(row.number)) == Decimal("0.1000000000000000000001")


async def test_an_asset_may_be_called_like_a_secret(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yaml", "amounts: {WIF: 1}\n")
    assert (await reader(path).read()).rows == [Row("WIF", "1")]


@pytest.mark.parametrize(("name", "text"), [("a.csv", "amount\n5_000\n"), ("a.yaml", "amount: 5_000\n")])
async def test_money_stands_alone(tmp_path: Path, name: str, text: str) -> None:
    assert (await reader(write(tmp_path / name, text), MONEY).read()).rows == [Row(SUM, "5_000")]


async def test_a_file_is_read_anew_when_it_has_changed_and_only_then(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "asset,amount\nBTC,1\n")
    source = reader(path)
    first = await source.read()
    assert await source.read() is first
    write(path, "asset,amount\nBTC,2\n", at=WRITTEN + timedelta(seconds=1))
    assert (await source.read()).rows == [Row("BTC", "2")]


async def test_another_file_under_the_name_is_another_answer(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "asset,amount\nBTC,1\n")
    source = reader(path)
    await source.read()
    write(tmp_path / "new", "asset,amount\nBTC,2\n").replace(path)
    assert (await source.read()).rows == [Row("BTC", "2")]


async def test_a_file_that_became_bad_is_bad_until_it_is_good_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "asset,amount\nBTC,1\n")
    source = reader(path)
    await source.read()
    write(path, "asset,amount\nBTC", at=WRITTEN + timedelta(seconds=1))
    for _ in range(2):
        with pytest.raises(FeedError):
            await source.read()
    write(path, "asset,amount\nBTC,3\n", at=WRITTEN + timedelta(seconds=2))
    assert (await source.read()).rows == [Row("BTC", "3")]


@pytest.mark.parametrize("name", ["a.csv", "a.yaml"])
async def test_a_missing_file_is_no_answer(tmp_path: Path, name: str) -> None:
    error = await refused(tmp_path / name)
    assert (error.reason, error.detail) == (
        FeedReason.UNAVAILABLE,
        "the file can't be read: no such file or directory",
    )


async def test_a_folder_is_no_answer(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    assert (await refused(tmp_path / "a.csv")).reason is FeedReason.UNAVAILABLE


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "", "half written"),
        ("a.csv", "asset,amount\nBTC,12", "half written"),
        ("a.csv", "\n", "expected the columns"),
        ("a.csv", "asset,amount\nBTC\n", "line 2 has 1 fields, expected 2"),
        ("a.csv", "asset,amount\nBTC,1\n\n", "line 3 has 0 fields, expected 2"),
        ("a.csv", "asset,amount\nBTC,1,000\n", "line 2 has 3 fields, expected 2"),
        ("a.csv", 'asset,amount\n"BTC,1\n', "no CSV"),
        ("a.csv", "asset;amount\nBTC;1\n", "expected the columns asset and amount or units, and perhaps at"),
        ("a.csv", b"asset,amount\n\xff,1\n", "not UTF-8"),
        ("a.csv", "asset,amount\n" + "BTC,1\n" * 200_000, "larger than 1 MiB"),
        ("a.yaml", "amounts: {BTC: 1", "half written"),
        ("a.yaml", "amounts: {BTC: 1\n", "never closes"),
        ("a.yaml", "amounts: {BTC: 1, BTC: 2}\n", "stands twice"),
        ("a.yaml", "# nothing\n", "the file is empty"),
        ("a.yaml", "BTC: 1\n", "expected at and amounts or units"),
        ("a.yaml", "amounts: [BTC]\n", "expected a mapping from asset to number"),
        ("a.yaml", "amounts: {BTC: !!float 1}\n", "tag"),
    ],
)
async def test_a_file_that_can_not_be_meant_is_a_bad_answer(
    tmp_path: Path, name: str, text: str | bytes, words: str
) -> None:
    error = await refused(write(tmp_path / name, text))
    assert error.reason is FeedReason.BAD_ANSWER
    assert words in error.detail


async def test_a_key_in_the_file_is_not_repeated(tmp_path: Path) -> None:
    key = "4c0883a69102937d6231471b5dbb6204fe512961708279" + "0" * 18
    error = await refused(write(tmp_path / "a.yaml", f"amounts: {{BTC: {key}}}\n"))
    assert error.reason is FeedReason.BAD_ANSWER
    assert key not in str(error)


async def test_a_line_whose_time_can_not_be_meant_makes_the_answer_bad_and_is_named(tmp_path: Path) -> None:
    raw = await reader(write(tmp_path / "a.csv", "asset,amount,at\nBTC,1,yesterday\n")).read()
    with pytest.raises(FeedError, match="BTC: expected a time"):
        checked(raw, expected=Expected(frozenset({"BTC"})), now=datetime.now(UTC))
