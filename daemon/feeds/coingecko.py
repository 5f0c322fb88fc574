"""Prices in CoinGecko's form: GET /simple/price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, SecretStr, StringConstraints

from connectors.config import NamedUrl, masked
from daemon.feeds.http import Headers
from daemon.feeds.quoted import QuoteSource

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
