"""What customers are owed: the kinds of sources that may say it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from daemon.feeds.expression import Expression
from daemon.feeds.file import FileSource
from daemon.feeds.http import HttpSource
from daemon.feeds.mqtt import MqttSource
from daemon.feeds.source import Measure, SourceConfig
from daemon.feeds.sql import SqlSource

AMOUNTS = "JMESPath of a mapping from asset to number, or of a list of {asset, amount} or {asset, units}"


class Ledger(SourceConfig):
    """A source that says how much there is of assets, and may be held to say it of all of them."""

    assets: tuple[str, ...] = Field(
        (), description="the assets that it must speak of, and no others; default: all configured ones"
    )
    ignore: tuple[str, ...] = Field((), description="names that may come and mean nothing to us, such as JPY")


class HttpLiabilities(Ledger, HttpSource):
    """Liabilities in a JSON answer."""

    values: Expression = Field(description=AMOUNTS)
    measure: Measure = Field(
        Measure.AMOUNT, description="what bare numbers count: amount, whole coins; units, smallest units"
    )
    merkle_root: Expression | None = Field(
        None, description="JMESPath of the root of the published tree of liabilities; default: none"
    )


class FileLiabilities(Ledger, FileSource):
    """Liabilities in a file."""


class SqlLiabilities(Ledger, SqlSource):
    """Liabilities in a database."""


class MqttLiabilities(Ledger, MqttSource):
    """Liabilities as they are published."""


LiabilitiesFeed = Annotated[
    SqlLiabilities | HttpLiabilities | FileLiabilities | MqttLiabilities, Field(discriminator="kind")
]
"""A source of liabilities, by its `kind`."""
