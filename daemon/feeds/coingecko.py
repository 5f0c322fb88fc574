"""Prices in CoinGecko's form: GET /simple/price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, SecretStr, StringConstraints

from connectors.config import NamedUrl, masked
from connectors.transport import Transport
from daemon.feeds.http import Headers, exact_json
from daemon.feeds.quoted import QuoteSource
from daemon.feeds.rows import moment
from daemon.feeds.source import FeedError, Raw, Row, Unstated, bad

COINGECKO = "https://api.coingecko.com/api/v3"

CoinId = Annotated[str, StringConstraints(pattern=r"^[^\s,&]{1,200}$")]


class CoinGeckoPrices(QuoteSource, NamedUrl):
    """https://docs.coingecko.com/reference/simple-price"""

    kind: Literal["coingecko"]
    url: Annotated[SecretStr, PlainSerializer(masked, return_type=str, when_used="json")] = Field(
        SecretStr(COINGECKO), description="base URL of the API; https://pro-api.coingecko.com/api/v3 with a paid key"
    )
    headers: Headers = Field({}, description="the API key, x-cg-demo-api-key or x-cg-pro-api-key; never shown")
    ids: Mapping[str, CoinId] = Field(
        min_length=1, max_length=515, description="asset to CoinGecko's id of the coin, such as BTC: bitcoin"
    )


class CoinGeckoReader:
    """One request for all coins; each price has its own time."""

    pushed = False

    def __init__(self, transport: Transport, config: CoinGeckoPrices, *, currency: str) -> None:
        self._transport = transport
        self._ids = config.ids
        self._currency = currency.lower()

    async def read(self) -> Raw:
        query = {
            "ids": ",".join(sorted(set(self._ids.values()))),
            "vs_currencies": self._currency,
            "include_last_updated_at": "true",
            "precision": "full",
        }
        answer = await exact_json(self._transport, path="simple/price", query=query)
        if not isinstance(answer, Mapping):
            raise bad("expected a mapping from coin to prices")
        return Raw([self._row(asset, answer.get(coin)) for asset, coin in self._ids.items()])

    def _row(self, asset: str, coin: object) -> Row:
        """A coin that is not listed any more is left out of the answer, or has no price in it."""
        if not isinstance(coin, Mapping):
            return Row(asset, None)
        try:
            at = moment(coin.get("last_updated_at"))
        except FeedError as error:
            return Row(asset, Unstated(error.detail))
        if at is None and coin.get(self._currency) is not None:
            return Row(asset, Unstated("it says not as of when the price is"))
        return Row(asset, coin.get(self._currency), at=at)
