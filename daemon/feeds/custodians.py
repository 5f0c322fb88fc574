"""What third parties keep for the exchange's customers off the watched chains: the kinds of sources that attest it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from daemon.feeds.expression import Expression
from daemon.feeds.file import FileSource
from daemon.feeds.http import HttpSource
from daemon.feeds.liabilities import AMOUNTS
from daemon.feeds.source import Measure, SourceConfig
from daemon.model import Tier


class Attestation(SourceConfig):
    """One custodian's word. Several sources of one custodian stand in order of trust."""

    custodian: str = Field(min_length=1, max_length=200, description="who keeps it")
    tier: Tier = Field(description="as of wallets: hot, warm or cold")
    beside_wallets: bool = Field(
        default=False, description="true: the figure leaves out what the wallets with this custodian hold on chain"
    )
    assets: tuple[str, ...] = Field(
        (), description="the assets that it must speak of, and no others; default: whatever it speaks of"
    )
    ignore: tuple[str, ...] = Field((), description="names that may come and mean nothing to us, such as JPY")


class HttpCustodian(Attestation, HttpSource):
    """An attestation in a JSON answer."""

    values: Expression = Field(description=AMOUNTS)
    measure: Measure = Field(
        Measure.AMOUNT, description="what bare numbers count: amount, whole coins; units, smallest units"
    )


class FileCustodian(Attestation, FileSource):
    """An attestation in a file."""


CustodianFeed = Annotated[HttpCustodian | FileCustodian, Field(discriminator="kind")]
"""A source of what a custodian keeps, by its `kind`."""
