"""What a configuration file means: whatever can fail when it is loaded fails here, before anything is swapped."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from connectors import CONNECTORS
from connectors.transport import REAL, Timing
from daemon import allowlist, inventory
from daemon.announcing import Ground
from daemon.broker import Broker
from daemon.detection.approvals import Grounds
from daemon.detection.destinations import Destinations
from daemon.emit.alertmanager import Endpoint
from daemon.emit.config import CertificateError
from daemon.errors import ConfigError
from daemon.exposure import Ages
from daemon.feeds.asking import Asked, asked
from daemon.feeds.averages import Averages, Key, averages_for, read_days
from daemon.feeds.opening import Surroundings
from daemon.feeds.planning import planned
from daemon.model import Inventory
from daemon.needs import currencies
from daemon.policy.rule import Rule
from daemon.policy.unknown_destination import UnknownDestination
from daemon.settings import Settings, load
from daemon.setup import Setup


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that is whole: its settings, what they mean, whom it has asked, and the digest of the file."""

    path: Path
    settings: Settings
    setup: Setup
    asked: tuple[Asked, ...]
    sha256: str
    daily_prices: Mapping[Key, Decimal] = field(default_factory=dict)
    broker: Broker | None = None

    def averages(self, *, before: Averages | None = None) -> Averages | None:
        """What its rules need of earlier prices, if anything; goes on with what was counted `before`."""
        setup = self.setup
        wanted = averages_for((rule for _, rule in setup.policies), currency=setup.currency, before=before)
        if wanted is not None:
            wanted.bring_in(self.daily_prices)
        return wanted

    def around(self, *, now: Callable[[], datetime], timing: Timing = REAL) -> Surroundings:
        """What its sources are opened with."""
        settings = self.settings
        return Surroundings(settings.currency, settings.chains, self.path.parent, now, timing)

    @property
    def ground(self) -> Ground:
        """What announcements are checked against."""
        chains = self.settings.chains.items()
        canonical = {name: CONNECTORS[chain.kind].canonical(chain) for name, chain in chains}
        return Ground(self.setup.inventory, canonical, self.setup.destinations or Destinations(self.setup.inventory))

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Every Alertmanager. An unnamed one is called by its host and port: its path may be a key."""
        receivers = self.settings.alertmanager.endpoints if self.settings.alertmanager else ()
        return tuple(
            Endpoint.parse(receiver.url.get_secret_value(), name=receiver.name or f"alertmanager/{receiver.provider}")
            for receiver in receivers
        )


FIXED = ("entity", "store", "alertmanager", "mqtt", "api", "history", "report", "log")
"""What is taken up once: a change of these takes a restart, and a reload that would need one is refused.

`entity` is a part of what Alertmanager knows an alert by.
"""


def load_whole(path: Path, *, env: Mapping[str, str], now: datetime) -> Loaded:
    """Reads the file and every file that it names. ConfigError, one line, for whatever is wrong."""
    settings = load(path, env=env)
    kinds = {name: (CONNECTORS[chain.kind], chain) for name, chain in settings.chains.items()}
    canonical = {name: kind.canonical(chain) for name, (kind, chain) in kinds.items()}
    watched = inventory.build(
        settings,
        base=path.parent,
        canonical=canonical,
        descriptor={name: kind.descriptor(chain) for name, (kind, chain) in kinds.items()},
        contract={name: kind.contract(chain) for name, (kind, chain) in kinds.items()},
        first={name: kind.first_addresses(chain) for name, (kind, chain) in kinds.items()},
    )
    allowed = allowlist.build(
        settings,
        base=path.parent,
        canonical={name: kind.canonical(chain) for name, (kind, chain) in kinds.items()},
        inventory=watched,
    )
    written = currencies(rule for _, rule in settings.rules)
    sources = asked(
        settings.feeds,
        decimals={name: max(token.decimals for token in tokens) for name, tokens in watched.assets.items()},
        currency=settings.currency,
        chains=settings.chains,
        written=written,
        homes={name: frozenset(token.chain for token in tokens) for name, tokens in watched.assets.items()},
    )
    plan = planned(settings.feeds, asked=sources, assets=settings.assets, currency=settings.currency, written=written)
    setup = Setup(
        entity=settings.entity,
        currency=settings.currency,
        inventory=watched,
        policies=settings.rules,
        feeds=plan,
        growth=settings.unread_growth,
        ages={name: Ages(chain.max_age, chain.max_tip_age, chain.reader) for name, chain in settings.chains.items()},
        began=now,
        telling=frozenset(name for name, (kind, _) in kinds.items() if kind.movements),
        destinations=_destinations(watched, allowed=allowed, rules=settings.rules),
        controlling=frozenset(name for name, (kind, chain) in kinds.items() if kind.tells_control(chain)),
        classification=settings.classification,
        grounds=Grounds(
            sources={one.key: one.ageing.max_age for one in plan.sources if one.key in plan.approving},
            assets=watched.assets,
            canonical=canonical,
            identities={name: chain.identity for name, chain in settings.chains.items()},
        ),
    )
    brought = settings.feeds.daily_prices
    return Loaded(
        path,
        settings,
        setup,
        sources,
        hashlib.sha256(path.read_bytes()).hexdigest(),
        {} if brought is None else read_days(path.parent / brought, assets=settings.assets),
        _broker(settings, folder=path.parent),
    )


def _broker(settings: Settings, *, folder: Path) -> Broker | None:
    """Where `mqtt` leads. ConfigError when a file of its TLS can't be used."""
    mqtt = settings.mqtt
    if mqtt is None:
        return None
    try:
        tls = None if mqtt.tls is None else mqtt.tls.context(folder)
    except CertificateError as error:
        raise ConfigError(settings.where(("mqtt", "tls", error.key)), error.message) from error
    return mqtt.broker(tls)


def _destinations(
    watched: Inventory, *, allowed: allowlist.Allowlist, rules: Sequence[tuple[str, Rule]]
) -> Destinations:
    """Ready to be asked for look-alikes where a rule does."""
    found = Destinations(watched, allowed)
    if any(isinstance(rule, UnknownDestination) for _, rule in rules):
        found.prepare()
    return found


def refuse_what_takes_a_restart(running: Settings, wanted: Settings) -> None:
    """ConfigError when a reload would have to change something that is opened once."""
    for key in FIXED:
        if key == "api" and running.api.listen == wanted.api.listen:
            continue
        if getattr(running, key) != getattr(wanted, key):
            name = "api.listen" if key == "api" else key
            raise ConfigError(
                wanted.where((key,)), f"{name} differs from the running configuration; restart to change it"
            )


def unchanged_chains(running: Loaded, wanted: Loaded) -> frozenset[str]:
    """Chains whose nodes and rules of reading are the same, so that their readings stay good."""
    old, new = running.settings.chains, wanted.settings.chains
    watched = wanted.setup.inventory.watches.keys() & running.setup.inventory.watches.keys()
    return frozenset(name for name in watched if old.get(name) == new.get(name))
