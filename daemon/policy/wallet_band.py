"""`wallet_band`: a wallet holds at least the floor and at most the ceiling."""

from decimal import Decimal
from typing import Literal

from pydantic import Field, model_validator

from daemon.policy.rule import Rule


class WalletBand(Rule):
    """Breach when what each named wallet holds of `asset` is below `floor` or above `ceiling`, in whole coins."""

    kind: Literal["wallet_band"]
    wallets: tuple[str, ...] = Field(min_length=1, description="names of wallets; `*` in a name matches any text")
    asset: str = Field(description="the asset that is counted")
    floor: Decimal | None = Field(None, ge=0, description="at least so many coins")
    ceiling: Decimal | None = Field(None, gt=0, description="at most so many coins")
    hysteresis: Decimal = Field(
        Decimal("0.02"), ge=0, lt=1, description="it is over only past the limit by this share of it"
    )

    @model_validator(mode="after")
    def _a_band(self) -> "WalletBand":
        if self.floor is None and self.ceiling is None:
            raise ValueError("expected a floor, a ceiling or both")
        if self.floor is not None and self.ceiling is not None and self.floor >= self.ceiling:
            raise ValueError("expected the floor below the ceiling")
        return self
