"""What may not be: the rules, one file per kind, and their registry."""

from typing import Annotated

from pydantic import Field

from daemon.policy.blind import Blind
from daemon.policy.disagreement import DisagreementRule
from daemon.policy.hot_share import HotShare
from daemon.policy.wallet_band import WalletBand

RuleConfig = Annotated[HotShare | WalletBand | Blind | DisagreementRule, Field(discriminator="kind")]
