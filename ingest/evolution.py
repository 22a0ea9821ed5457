"""What a change of a contract means, and which changes no sink can follow.

Allowed: an optional column more, a wider number, other words in a description, and how a payload
is read (paths, formats, limits) as long as the stored columns stay as they are. Old messages keep
the contract version that was in force for them, so no change reaches back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

from ingest.contract import Column, ColumnType, Contract, UnknownFields
from ingest.errors import ContractError


class ChangeKind(StrEnum):
    """What a change touches: the sinks' tables for the first two, later decoding or words."""

    ADD_COLUMN = "add_column"
    WIDEN_COLUMN = "widen_column"
    DECODING = "decoding"
    DESCRIPTION = "description"


@dataclass(frozen=True, slots=True)
class Change:
    """One allowed difference; ``subject`` is a column or an option of the contract."""

    kind: ChangeKind
    subject: str
    before: str
    after: str

    def __str__(self) -> str:
        before = f"{self.before} -> " if self.before else ""
        return f"{self.kind} {self.subject}: {before}{self.after}"


_WIDER = {
    ColumnType.INT32: ColumnType.INT64,
    ColumnType.FLOAT32: ColumnType.FLOAT64,
}
_FIXED = {
    "name": "versions of one contract share it",
    "namespace": "the tables are already there",
    "table": "the tables are already there",
    "stream": "the lane and its registry are named by it",
    "subjects": "another subject is another contract",
    "key": "rows are sorted by it in both sinks",
    "time_column": "partitions and the rollup are built on it",
    "business_key": "a view deduplicates by it",
    "lake_partition": "files of the lake are laid out by it",
    "rollup": "it is part of every stored part",
    "unknown_column": "unknown fields are already kept in it",
}
_LIMITS = ("max_age_s", "max_ahead_s", "max_rows_per_message", "max_message_bytes")
_READING = ("path", "subject_token", "constant", "default", "format", "required")


def changes(old: Contract, new: Contract) -> list[Change]:
    """The differences between two versions, in the order of the new columns, then options.

    Raises `ContractError` that names the first difference that cannot be applied, and why.
    """
    for option, reason in _FIXED.items():
        before, after = getattr(old, option), getattr(new, option)
        if before != after:
            _refuse(new, option, f"changed from {_shown(before)} to {_shown(after)}", reason)
    found = _columns(old, new)
    for option in _LIMITS:
        found += _change(ChangeKind.DECODING, option, getattr(old, option), getattr(new, option))
    if old.unknown_fields is not new.unknown_fields:
        if UnknownFields.KEEP in (old.unknown_fields, new.unknown_fields):
            _refuse(new, "unknown_fields", "changed to or from keep", "it needs its own column")
        option = "unknown_fields"
        found += _change(ChangeKind.DECODING, option, old.unknown_fields, new.unknown_fields)
    found += _change(ChangeKind.DESCRIPTION, "description", old.description, new.description)
    return found


def _columns(old: Contract, new: Contract) -> list[Change]:
    before = {column.name: column for column in old.columns}
    kept = [column.name for column in new.columns if column.name in before]
    for name in before:
        if name not in kept:
            reason = "rows are stored with it; a renamed column is a dropped one and a new one"
            _refuse(new, f"column {name}", "dropped", reason)
    if kept != list(before):
        _refuse(new, "columns", "put in another order", "tables keep the order of their columns")
    found: list[Change] = []
    for column in new.columns:
        if column.name in before:
            found += _column(new, before[column.name], column)
        else:
            found.append(_added(new, column))
    return found


def _added(new: Contract, column: Column) -> Change:
    if not column.nullable and column.type is not ColumnType.MAP:
        reason = "rows that are already stored have no value for it; make it optional, no default"
        _refuse(new, f"column {column.name}", "added as one that always has a value", reason)
    return Change(ChangeKind.ADD_COLUMN, column.name, "", str(column.type))


def _column(new: Contract, old: Column, column: Column) -> list[Change]:
    subject = f"column {column.name}"
    found: list[Change] = []
    if old.type is not column.type:
        if _WIDER.get(old.type) is not column.type:
            _refuse(
                new,
                subject,
                f"changed from {old.type} to {column.type}",
                "a type may only widen, int32 to int64 or float32 to float64",
            )
        if column.name in (*new.key, *new.business_key, *_rolled_up(new)):
            _refuse(new, subject, "widened", "it is part of a key or of the rollup")
        found.append(Change(ChangeKind.WIDEN_COLUMN, column.name, str(old.type), str(column.type)))
    if old.nullable != column.nullable:
        what = "may now be missing" if column.nullable else "must now have a value"
        _refuse(new, subject, f"changed so that it {what}", "rows are stored by the old rule")
    if old.unit != column.unit:
        _refuse(
            new,
            f"{subject}.unit",
            f"changed from {old.unit!r} to {column.unit!r}",
            "stored values would silently mean something else; add a column",
        )
    for option in _READING:
        before, after = getattr(old, option), getattr(column, option)
        found += _change(ChangeKind.DECODING, f"{column.name}.{option}", before, after)
    name = f"{column.name}.description"
    return found + _change(ChangeKind.DESCRIPTION, name, old.description, column.description)


def _rolled_up(contract: Contract) -> tuple[str, ...]:
    rollup = contract.rollup
    return (*rollup.group_by, rollup.value) if rollup else ()


def _change(kind: ChangeKind, subject: str, before: object, after: object) -> list[Change]:
    return [] if before == after else [Change(kind, subject, _shown(before), _shown(after))]


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(one) for one in value)
    return "nothing" if value is None or value == "" else str(value)


def _refuse(contract: Contract, subject: str, what: str, reason: str) -> NoReturn:
    raise ContractError(f"contract {contract.name}, {subject}: {what}, which is refused: {reason}")
