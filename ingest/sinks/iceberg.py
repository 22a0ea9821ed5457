"""The Iceberg sink: one commit is one range, fenced by the catalog's compare-and-swap.

pyiceberg's own commit loop never runs here: it repeats an append without looking (two writers with
one base both land), and when a conflict answers a commit that had landed it deletes that commit's
manifests. A commit is staged on a base, sent once, and nothing is ever deleted on a conflict.

Methods block and run in worker threads.
"""

from __future__ import annotations

import itertools
import uuid
from dataclasses import dataclass

import pyarrow as pa
from pydantic import ValidationError as PydanticError
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, RESTError, ValidationError
from pyiceberg.io.pyarrow import _dataframe_to_data_files
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table, Transaction
from pyiceberg.table.update import AssertTableUUID, TableRequirement, TableUpdate
from requests import RequestException

from ingest.catalog import connect, unavailable
from ingest.contract import Contract
from ingest.errors import OutcomeUnknownError, RecordInvalidError, SchemaMismatchError
from ingest.marks import Mark, parse_mark
from ingest.settings import Settings
from ingest.sinks.sorting import sorted_by
from ingest.spool import Spooled

FAILURES = (RESTError, RequestException, OSError)


class CommitConflictError(Exception):
    """The catalog refused the base: somebody committed meanwhile, or this commit had landed."""


@dataclass(frozen=True)
class Uploaded:
    """Data files of a range, in the object store and in no table yet."""

    files: tuple[DataFile, ...]
    bytes: int


@dataclass(frozen=True)
class Staged:
    """A commit ready to be sent: its snapshot id is known before."""

    snapshot_id: int
    requirements: tuple[TableRequirement, ...]
    updates: tuple[TableUpdate, ...]


class IcebergSink:
    """Ranges of one lane in one table."""

    def __init__(self, settings: Settings, contract: Contract, lane: str) -> None:
        self._settings = settings
        self._contract = contract
        self._lane = lane
        self.table_name = (contract.namespace, contract.table)
        self._catalog: Catalog | None = None

    def load(self) -> Table:
        """The table as the catalog has it now."""
        try:
            if self._catalog is None:
                self._catalog = connect(self._settings)
            return self._catalog.load_table(self.table_name)
        except NoSuchTableError as error:
            raise SchemaMismatchError(
                f"the catalog has no table {'.'.join(self.table_name)}; run `ingest init` first"
            ) from error
        except (*FAILURES, PydanticError) as error:
            # The second is an answer that is no table: a page of a proxy, say.
            raise unavailable(error) from error

    def watermark(self, table: Table) -> Mark | None:
        """The last message whose effect is in the table, from its property."""
        return self._mark(table, f"watermark.{self._lane}")

    def last_row(self, table: Table) -> Mark | None:
        """The newest row that this lane committed, from its property."""
        return self._mark(table, f"last-row.{self._lane}")

    def commit_id(self, table: Table) -> str:
        """Id of the lane's newest commit, "" when there is none."""
        return str(table.properties.get(f"commit.{self._lane}", ""))

    def upload(self, table: Table, spooled: Spooled) -> Uploaded:
        """Writes the rows as sorted Parquet files; no table refers to them yet."""
        files: list[DataFile] = []
        max_rows = self._settings.lake.file_max_rows
        write_uuid = uuid.uuid4()
        number = itertools.count()
        try:
            for run in spooled.runs(max_rows):
                ordered = sorted_by(run, self._contract.key)
                files += _dataframe_to_data_files(
                    table.metadata,
                    _as_stored(ordered, table),
                    table.io,
                    write_uuid=write_uuid,
                    counter=number,
                )
        except FAILURES as error:
            raise unavailable(error) from error
        except (ValueError, ValidationError, pa.ArrowInvalid) as error:
            raise SchemaMismatchError(
                f"rows do not fit {'.'.join(self.table_name)}: {error}; see `ingest schema diff`"
            ) from error
        return Uploaded(tuple(files), sum(file.file_size_in_bytes for file in files))

    def stage(
        self, table: Table, uploaded: Uploaded, spooled: Spooled, commit_id: str, writer: str
    ) -> Staged:
        """A commit of the files on top of ``table``; writes manifests, changes nothing.

        An empty range is staged all the same, as an append without files: only a snapshot carries
        the requirement that fences it.
        """
        previous = self.watermark(table)
        summary = {
            "ingest.lane": self._lane,
            "ingest.epoch": spooled.last.epoch,
            "ingest.first": str(spooled.covered.first),
            "ingest.last": str(spooled.covered.last),
            "ingest.previous": str(previous) if previous else "",
            "ingest.rows": str(spooled.rows),
            "ingest.messages": str(spooled.messages),
            "ingest.refused": str(sum(spooled.refused.values())),
            "ingest.commit-id": commit_id,
            "ingest.writer": writer,
        }
        properties = {
            f"watermark.{self._lane}": str(spooled.last),
            f"commit.{self._lane}": commit_id,
        }
        if spooled.last_row is not None:
            properties[f"last-row.{self._lane}"] = str(spooled.last_row)
        try:
            transaction = Transaction(table)
            with transaction.update_snapshot(snapshot_properties=summary).fast_append() as append:
                for file in uploaded.files:
                    append.append_data_file(file)
                snapshot_id = append.snapshot_id
            transaction.set_properties(properties)
        except FAILURES as error:
            raise unavailable(error) from error
        uuid_check = AssertTableUUID(uuid=table.metadata.table_uuid)
        return Staged(
            snapshot_id,
            (*transaction._requirements, uuid_check),  # noqa: SLF001 - there is no public way
            transaction._updates,  # noqa: SLF001
        )

    def send(self, table: Table, staged: Staged) -> None:
        """Sends the commit once.

        Raises CommitConflictError, SettingsError, or OutcomeUnknownError for everything else:
        several ways of failing leave open whether the commit landed.
        """
        assert self._catalog is not None
        try:
            self._catalog.commit_table(table, staged.requirements, staged.updates)
        except CommitFailedException as error:
            raise CommitConflictError(str(error)) from error
        except Exception as error:
            raise OutcomeUnknownError(
                f"the commit's outcome is unknown: {type(error).__name__}: {error}"
            ) from error

    def nearest_row(self, sequence: int, epoch: str = "") -> Mark | None:
        """The lane's row with the largest sequence up to ``sequence``, of any epoch or one."""
        table = self.load()
        window = 10_000
        while True:
            floor = max(sequence - window, 0)
            found = self._rows_between(table, floor, sequence, epoch)
            if found is not None or floor == 0:
                return found
            window *= 32

    def _rows_between(self, table: Table, above: int, upto: int, epoch: str) -> Mark | None:
        wanted = f"_lane = '{self._lane}' and _seq > {above} and _seq <= {upto}"
        try:
            rows = table.scan(
                row_filter=f"{wanted} and _epoch = '{epoch}'" if epoch else wanted,
                selected_fields=("_epoch", "_seq", "_stored_at"),
            ).to_arrow()
        except FAILURES as error:
            raise unavailable(error) from error
        if rows.num_rows == 0:
            return None
        newest = rows.sort_by([("_seq", "descending"), ("_stored_at", "descending")]).slice(0, 1)
        stored_at = newest.column("_stored_at").cast(pa.int64())[0].as_py()
        return Mark(newest.column("_epoch")[0].as_py(), newest.column("_seq")[0].as_py(), stored_at)

    def _mark(self, table: Table, name: str) -> Mark | None:
        text = table.properties.get(name)
        if text is None:
            return None
        try:
            return parse_mark(text)
        except ValueError as error:
            raise RecordInvalidError(
                f"table property {name} is {text!r}, not <epoch>:<sequence>:<stored_at>;"
                " somebody else wrote it"
            ) from error


def _as_stored(rows: pa.Table, table: Table) -> pa.Table:
    """The rows with the columns and number widths of the table.

    Rows of an older contract version lack its newer columns (null) and may have narrower numbers.
    Raises ValueError for a column that the table has not: its values would be lost without a word.
    """
    lost = set(rows.schema.names) - {field.name for field in table.schema().fields}
    if lost:
        raise ValueError(f"the table has no column {', '.join(sorted(lost))}")
    columns: list[pa.ChunkedArray | pa.Array] = []
    fields: list[pa.Field] = []
    for field in table.schema().as_arrow():
        if field.name not in rows.schema.names:
            columns.append(pa.nulls(rows.num_rows, field.type))
            fields.append(pa.field(field.name, field.type))
            continue
        given = rows.schema.field(field.name)
        column = rows.column(field.name)
        if pa.types.is_primitive(given.type) and given.type != field.type:
            column, given = column.cast(field.type), given.with_type(field.type)
        columns.append(column)
        fields.append(given)
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))
