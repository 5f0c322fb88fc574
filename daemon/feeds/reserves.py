"""Money that stands behind the customers' assets, and what is traded: fund, insurance, volume."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Discriminator, Field, Tag

from connectors.config import Strict
from daemon.feeds.expression import Expression
from daemon.feeds.file import FileSource
from daemon.feeds.http import HttpSource
from daemon.feeds.money import MoneyText
from daemon.feeds.sql import SqlSource


class HttpMoney(HttpSource):
    """A sum in a JSON answer, in the entity's currency."""

    value: Expression = Field(description="JMESPath of the sum")


class FileMoney(FileSource):
    """A sum in a file, in the entity's currency."""


class SqlMoney(SqlSource):
    """A sum in a database, in the entity's currency."""

    query: str = Field(
        min_length=1,
        max_length=100_000,
        description="one SELECT that gives one row with the column `amount`, and `at` if it has a time",
    )


FundFeed = Annotated[FileMoney | HttpMoney, Field(discriminator="kind")]
VolumeFeed = Annotated[FileMoney | HttpMoney | SqlMoney, Field(discriminator="kind")]


class InsuranceConfig(Strict):
    """One policy of insurance."""

    insurer: str = Field(min_length=1, max_length=200, description="who covers")
    limit: MoneyText = Field(description="the most that it covers, in the entity's currency")
    expires: date = Field(description="the first day (UTC) on which it covers nothing any more, such as 2027-04-01")


def money_form(value: object) -> str:
    return "sources" if isinstance(value, list | tuple) else "money"


class ReservesConfig(Strict):
    """What is set aside in money."""

    fund: (
        Annotated[
            Annotated[MoneyText, Tag("money")] | Annotated[tuple[FundFeed, ...], Tag("sources"), Field(min_length=1)],
            Discriminator(money_form),
        ]
        | None
    ) = Field(None, description="the reserve fund: a sum, or sources of it in order of trust")
    insurance: (
        Annotated[
            Annotated[MoneyText, Tag("money")] | Annotated[tuple[InsuranceConfig, ...], Tag("sources")],
            Discriminator(money_form),
        ]
        | None
    ) = Field(None, description="cover for theft: a sum, or each insurance with its limit and expiry")


Volume = Annotated[
    Annotated[MoneyText, Tag("money")] | Annotated[tuple[VolumeFeed, ...], Tag("sources"), Field(min_length=1)],
    Discriminator(money_form),
]
"""Money traded in the year: a sum, or sources of it in order of trust."""
