"""The tables: what is kept is one JSON text each, beside the few columns that queries ask for."""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator

METADATA = MetaData()


class UtcTime(TypeDecorator[datetime]):
    """An aware time, UTC in and UTC out: SQLite forgets the zone, PostgreSQL answers in that of the session."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


SCHEMA = Table("pyrometer_schema", METADATA, Column("version", Integer, primary_key=True, autoincrement=False))

FINDINGS = Table(
    "pyrometer_findings",
    METADATA,
    Column("id", String, primary_key=True),
    Column("state", String, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("resolved", UtcTime),
    Column("body", Text, nullable=False),
    Index("pyrometer_findings_state", "state", "resolved"),
)

NOTIFICATIONS = Table(
    "pyrometer_notifications",
    METADATA,
    # The order in which notifications were recorded; SQLite counts only in a column of type INTEGER.
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("sink", String, nullable=False),
    Column("event", String, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("finding", Text, nullable=False),
    Column("settled", UtcTime),
    Column("refusal", Text),
    Index("pyrometer_notifications_queue", "sink", "settled", "seq"),
    # Numbers of deleted rows are not given out again.
    sqlite_autoincrement=True,
)

SNAPSHOTS = Table(
    "pyrometer_snapshots",
    METADATA,
    # Seconds that a snapshot covers from `at` on.
    Column("grain", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcTime, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

CLOSINGS = Table(
    "pyrometer_closings",
    METADATA,
    Column("day", String, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

REPORTS = Table(
    "pyrometer_reports",
    METADATA,
    Column("day", String, primary_key=True),
    Column("sha256", String, nullable=False),
    Column("previous", String),
    Column("body", LargeBinary, nullable=False),
)

PRICE_DAYS = Table(
    "pyrometer_price_days",
    METADATA,
    Column("asset", String, primary_key=True),
    Column("day", String, primary_key=True),
    Column("timezone", String, primary_key=True),
    Column("currency", String, primary_key=True),
    # A decimal as text: every dialect has another idea of how exact a NUMERIC is.
    Column("sum", Text, nullable=False),
    Column("count", Integer, nullable=False),
)

CHECKS = Table(
    "pyrometer_checks",
    METADATA,
    Column("policy", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("due", UtcTime, primary_key=True),
    Column("body", Text, nullable=False),
)

MEMORY = Table(
    "pyrometer_memory",
    METADATA,
    # Whose it is: movements, matches, windows, ...; the texts of one kind are read by one module alone.
    Column("kind", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("body", Text, nullable=False),
    Index("pyrometer_memory_age", "kind", "at"),
)

ANNOUNCEMENTS = Table(
    "pyrometer_announcements",
    METADATA,
    Column("id", String, primary_key=True),
    Column("ends", UtcTime, nullable=False),
    Column("body", Text, nullable=False),
)

GATES = Table(
    "pyrometer_gates",
    METADATA,
    Column("wallet", String, primary_key=True),
    Column("body", Text, nullable=False),
)

AUDIT = Table(
    "pyrometer_audit",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("body", Text, nullable=False),
    # Of this record and of the one before it, which it therefore vouches for.
    Column("sha256", String, nullable=False),
    Column("previous", String, nullable=False),
)

STEP_1 = (SCHEMA, FINDINGS, NOTIFICATIONS)
"""What a database of schema 1 holds."""

STEP_2 = (SNAPSHOTS, CLOSINGS, REPORTS, PRICE_DAYS, CHECKS)
"""What schema 2 adds."""

STEP_3 = (MEMORY, ANNOUNCEMENTS, GATES, AUDIT)
"""What schema 3 adds."""
