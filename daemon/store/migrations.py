"""The way from any older schema to the one that this version knows."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Table, insert, inspect, select, update

from daemon.errors import StoreError
from daemon.store.tables import METADATA, SCHEMA, STEP_1, STEP_2, STEP_3

Step = Callable[[Connection], None]


def _creates(tables: Sequence[Table]) -> Step:
    return lambda connection: METADATA.create_all(connection, tables=tables)


# Step n leads from schema n - 1 to n. A step that was released never changes: when a table of it does, the step gets
# the table as it was and a new step follows.
STEPS: tuple[Step, ...] = (_creates(STEP_1), _creates(STEP_2), _creates(STEP_3))


def version(connection: Connection) -> int:
    """The schema version of the database, 0 when it holds nothing of ours; StoreError when it is newer than ours."""
    if not inspect(connection).has_table(SCHEMA.name):
        return 0
    found = connection.scalar(select(SCHEMA.c.version)) or 0
    if found > len(STEPS):
        raise StoreError(
            f"the database was written by a newer Pyrometer (schema {found}, this one knows {len(STEPS)}): "
            "install that version again, or point `store` at another database"
        )
    return found


def migrate(connection: Connection) -> None:
    """Takes the steps that are missing, in the transaction of `connection`: all of them or none."""
    before = version(connection)
    for step in STEPS[before:]:
        step(connection)
    if before == 0:
        connection.execute(insert(SCHEMA).values(version=len(STEPS)))
    elif before < len(STEPS):
        connection.execute(update(SCHEMA).values(version=len(STEPS)))
