"""Brings a live Iceberg table to a contract: optional columns added, numbers widened."""

from __future__ import annotations

import structlog
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
from pyiceberg.table import Table, Transaction
from pyiceberg.table.update import AssertTableUUID

from ingest.catalog import unavailable
from ingest.contract import Contract
from ingest.errors import SchemaMismatchError, SinkUnavailableError
from ingest.sinks.iceberg import FAILURES
from ingest.table_diff import Difference, iceberg_differences

log = structlog.get_logger(__name__)

TRIES = 20
"""Commits of a running writer can come in between; each try starts from the newest table."""


def live_differences(lake: Catalog, contract: Contract) -> list[Difference]:
    """What would change in the table; blocks.

    Raises SchemaMismatchError when there is no table or a difference cannot be reconciled, and
    SinkUnavailableError.
    """
    _, differing = _look(lake, contract)
    return differing


def apply(lake: Catalog, contract: Contract) -> list[Difference]:
    """Adds and widens what is missing; returns what was changed; blocks.

    Each try looks at the table anew, so a conflict or an answer that was lost does no harm.
    Raises as `live_differences`.
    """
    changed: list[Difference] = []
    for _ in range(TRIES):
        table, differing = _look(lake, contract)
        if not differing:
            return changed
        changed = differing
        try:
            _send(lake, table, contract, differing)
        except CommitFailedException as error:
            log.debug("schema_commit_conflict", problem=str(error))
        except FAILURES as error:
            raise unavailable(error) from error
    raise SinkUnavailableError(
        f"other commits to {contract.namespace}.{contract.table} came in between every time;"
        " apply again when it is calmer"
    )


def _look(lake: Catalog, contract: Contract) -> tuple[Table, list[Difference]]:
    name = f"{contract.namespace}.{contract.table}"
    try:
        table = lake.load_table(name)
    except NoSuchTableError as error:
        raise SchemaMismatchError(
            f"the catalog has no table {name}; run `ingest init` first"
        ) from error
    except FAILURES as error:
        raise unavailable(error) from error
    differing = iceberg_differences(table, contract)
    for difference in differing:
        if difference.kind == "refused":
            raise SchemaMismatchError(f"Iceberg table {name}: {difference.sentence}")
    return table, differing


def _send(lake: Catalog, table: Table, contract: Contract, differing: list[Difference]) -> None:
    """One commit, sent once: pyiceberg's own loop would send it again without looking."""
    order = contract.arrow_schema.names
    transaction = Transaction(table)
    with transaction.update_schema() as update:
        for difference in differing:
            field = difference.field
            assert field is not None
            if difference.kind == "widen":
                update.update_column(difference.column, field_type=field.field_type)
                continue
            update.add_column(difference.column, field.field_type, doc=field.doc)
            place = order.index(difference.column)
            if place:
                update.move_after(difference.column, order[place - 1])
            else:
                update.move_first(difference.column)
    lake.commit_table(
        table,
        (*transaction._requirements, AssertTableUUID(uuid=table.metadata.table_uuid)),  # noqa: SLF001 - there is no public way
        transaction._updates,  # noqa: SLF001 - likewise
    )
