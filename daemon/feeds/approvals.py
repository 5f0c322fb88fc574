"""Which withdrawals the exchange has approved: the kinds of sources that may say it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from connectors.config import AN_INSTANT, Duration
from daemon.feeds.expression import Expression
from daemon.feeds.file import FileSource
from daemon.feeds.http import HttpSource
from daemon.feeds.mqtt import LONGEST_TOPIC, MqttSource
from daemon.feeds.source import SourceConfig
from daemon.feeds.sql import SqlSource


class Approving(SourceConfig):
    """A source of approvals. Several add up: what any of them names is approved."""

    chains: Mapping[str, str] = Field(
        {}, description="names of chains as the books write them, each with ours, such as `{ERC20: ethereum}`"
    )
    ignore: tuple[str, ...] = Field(
        (), description="names of assets and chains that may come and mean nothing to us, such as JPY"
    )

    @model_validator(mode="after")
    def _is_approved_or_not(self) -> Self:
        if self.tolerance is not None:
            raise ValueError("tolerance: nothing is approved more or less; leave it out")
        return self


class HttpApprovals(Approving, HttpSource):
    """Approvals in a JSON answer, all that are open."""

    values: Expression = Field(
        description="JMESPath of a list of {id, asset, amount, destination, at}, and perhaps chain, fee, tag"
    )


class FileApprovals(Approving, FileSource):
    """Approvals in a file, all that are open."""


class SqlApprovals(Approving, SqlSource):
    """Approvals in a database."""

    query: str = Field(
        min_length=1,
        max_length=100_000,
        description="one SELECT with id, asset, amount, destination, at, and perhaps chain, fee, tag; with `:since` in "
        "it, it is asked for what is new",
    )
    reach: Duration = Field(
        timedelta(days=1),
        gt=AN_INSTANT,
        description="how far back `:since` goes in the first question, or farther while nothing came",
    )


class MqttApprovals(Approving, MqttSource):
    """Approvals as they are given; each message adds to those before."""

    topic: str = Field(
        "pyrometer/feed/approvals",
        min_length=1,
        max_length=LONGEST_TOPIC,
        description="where the messages come; no wildcards",
    )


ApprovalFeed = Annotated[SqlApprovals | HttpApprovals | FileApprovals | MqttApprovals, Field(discriminator="kind")]
"""A source of approvals, by its `kind`."""
