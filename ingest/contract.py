"""A contract declares a table's columns once; every schema and the decoder come from it.

A contract is read from a TOML file (`load_contract`) or from the canonical JSON that a lane's
registry keeps (`Contract.from_json`), so that an old version can still decode old messages.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow as pa

from ingest.errors import ContractError

Scalar = str | bool | int | float

STORED_AT = "stored_at"
"""As the default of a timestamp column: JetStream's own timestamp of the message."""


class ColumnType(StrEnum):
    """The types a column may have; the value is the name used in a contract file."""

    STRING = "string"
    LOW_CARDINALITY_STRING = "low_cardinality_string"
    BOOL = "bool"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    TIMESTAMP = "timestamp"
    DATE = "date"
    JSON = "json"
    MAP = "map<string,string>"

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type in which a decoded batch holds this column."""
        return _ARROW_TYPES[self]

    @property
    def is_integer(self) -> bool:
        """Whether values are whole numbers."""
        return self in (ColumnType.INT32, ColumnType.INT64)

    @property
    def is_float(self) -> bool:
        """Whether values are IEEE-754 numbers."""
        return self in (ColumnType.FLOAT32, ColumnType.FLOAT64)

    @property
    def is_text(self) -> bool:
        """Whether values are plain strings (JSON text is not)."""
        return self in (ColumnType.STRING, ColumnType.LOW_CARDINALITY_STRING)


_ARROW_TYPES: dict[ColumnType, pa.DataType] = {
    ColumnType.STRING: pa.string(),
    ColumnType.LOW_CARDINALITY_STRING: pa.string(),
    ColumnType.BOOL: pa.bool_(),
    ColumnType.INT32: pa.int32(),
    ColumnType.INT64: pa.int64(),
    ColumnType.FLOAT32: pa.float32(),
    ColumnType.FLOAT64: pa.float64(),
    ColumnType.TIMESTAMP: pa.timestamp("us", "UTC"),
    ColumnType.DATE: pa.date32(),
    ColumnType.JSON: pa.string(),
    ColumnType.MAP: pa.map_(pa.string(), pa.string()),
}


class TimeFormat(StrEnum):
    """How a timestamp is written in JSON; chosen by the contract, never guessed."""

    RFC3339 = "rfc3339"
    EPOCH_S = "epoch_s"
    EPOCH_MS = "epoch_ms"
    EPOCH_US = "epoch_us"
    EPOCH_NS = "epoch_ns"


class UnknownFields(StrEnum):
    """What happens to a payload's fields that no column names."""

    IGNORE = "ignore"
    KEEP = "keep"
    REFUSE = "refuse"


class LakePartition(StrEnum):
    """The transform of the time column by which the lake's files are partitioned."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"


METADATA_FIELDS: tuple[pa.Field, ...] = (
    pa.field("_seq", pa.int64(), nullable=False),
    pa.field("_idx", pa.int32(), nullable=False),
    pa.field("_lane", pa.string(), nullable=False),
    pa.field("_epoch", pa.string(), nullable=False),
    pa.field("_stored_at", pa.timestamp("us", "UTC"), nullable=False),
)
"""Columns that every row carries after the contract's own."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: its type, where its value comes from and what stands in for a missing one.

    Exactly one source: ``path`` (keys from the payload's top), ``subject_token`` (counted from 0),
    ``constant``, or none of them for the column that keeps unknown fields.
    """

    name: str
    type: ColumnType
    path: tuple[str, ...] | None = None
    subject_token: int | None = None
    constant: Scalar | None = None
    required: bool = False
    default: Scalar | None = None
    format: TimeFormat | None = None
    unit: str = ""
    description: str = ""

    @property
    def nullable(self) -> bool:
        """Whether a stored row may hold no value; a map is empty instead."""
        return not (
            self.required
            or self.default is not None
            or self.constant is not None
            or self.subject_token is not None
            or self.type is ColumnType.MAP
        )

    @property
    def arrow_field(self) -> pa.Field:
        """The column as an Arrow field."""
        return pa.field(self.name, self.type.arrow, nullable=self.nullable)


@dataclass(frozen=True, kw_only=True)
class Rollup:
    """The per-minute aggregate: count, sum, min and max of ``value`` by ``group_by``."""

    group_by: tuple[str, ...]
    value: str


@dataclass(frozen=True, kw_only=True)
class Contract:
    """A table, the stream that feeds it, and how a message becomes its rows.

    ``max_age_s`` and ``max_ahead_s`` bound the time column relative to JetStream's timestamp of
    the message, in seconds.
    """

    name: str
    namespace: str
    table: str
    stream: str
    subjects: tuple[str, ...]
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    time_column: str
    business_key: tuple[str, ...]
    lake_partition: LakePartition
    max_age_s: int
    max_ahead_s: int
    max_rows_per_message: int
    max_message_bytes: int
    unknown_fields: UnknownFields
    unknown_column: str | None
    rollup: Rollup | None
    description: str = ""

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """Schema of a decoded batch: the contract's columns, then `METADATA_FIELDS`."""
        return pa.schema([*(column.arrow_field for column in self.columns), *METADATA_FIELDS])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON, as 64 hexadecimal digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @property
    def event_time_fallback(self) -> bool:
        """Whether a missing event time is replaced by JetStream's timestamp."""
        return self.column(self.time_column).default == STORED_AT

    def column(self, name: str) -> Column:
        """The column of that name. Raises ``KeyError`` when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def to_json(self) -> str:
        """Canonical JSON: keys sorted, no spaces, every option explicit, absent ones left out."""
        document = {"format": 1, **_plain(self)}
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Contract:
        """The contract that `to_json` wrote. Raises `ContractError` for anything else."""
        from ingest.contract_file import contract_from_json

        return contract_from_json(text)


def _plain(value: Any) -> Any:
    """Dataclasses as dicts without absent values, enums as text, tuples as lists."""
    if isinstance(value, (Contract, Column, Rollup)):
        pairs = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {name: _plain(one) for name, one in pairs if one is not None}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, StrEnum) else value


def packaged_contracts() -> list[str]:
    """Names of the contracts that come with the package, sorted."""
    folder = resources.files("ingest").joinpath("contracts")
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    )


def load_contract(name_or_path: str | Path) -> Contract:
    """The packaged contract of that name, or the one in that file (a path or ``*.toml``).

    Raises `ContractError`: one sentence with file, line and key, what was found and expected.
    """
    from ingest.contract_file import contract_from_toml
    from ingest.contract_reader import nearest

    text = str(name_or_path)
    if isinstance(name_or_path, Path) or "/" in text or text.endswith(".toml"):
        path = Path(name_or_path)
        try:
            return contract_from_toml(path.read_bytes(), str(path))
        except OSError as error:
            raise ContractError(f"{path}: cannot be read: {error.strerror}") from error
    names = packaged_contracts()
    if text not in names:
        raise ContractError(
            f"no contract {text!r} comes with the package; expected one of {', '.join(names)}"
            f"{nearest(text, names)}, or the path of a .toml file"
        )
    source = resources.files("ingest").joinpath("contracts", f"{text}.toml")
    return contract_from_toml(source.read_bytes(), f"{text}.toml")
