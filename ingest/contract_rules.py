"""What a contract must satisfy beyond the type of each value."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import NoReturn

import numpy as np

from ingest.contract import Column, ColumnType, Contract, Scalar, UnknownFields
from ingest.contract_reader import Document, Key, nearest
from ingest.timestamps import in_supported_range, parse_date, parse_rfc3339

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")
_STREAM = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOKEN = re.compile(r"[^\s.*>\x00-\x1f\x7f]+")
_NOT_KEYS = (ColumnType.JSON, ColumnType.MAP, ColumnType.FLOAT32, ColumnType.FLOAT64)
_ROLLUP_COLUMNS = ("minute", "count", "sum", "min", "max", "last")
INT_BOUNDS = {
    ColumnType.INT32: (-(2**31), 2**31 - 1),
    ColumnType.INT64: (-(2**63), 2**63 - 1),
}


def check_default(kind: ColumnType, value: object, refuse: Callable[[str], NoReturn]) -> Scalar:
    """The value in the form that a column of that type keeps for a default or a constant."""
    if kind is ColumnType.MAP:
        refuse("none, a missing map is empty")
    if kind is ColumnType.BOOL:
        return value if isinstance(value, bool) else refuse("true or false")
    if kind.is_integer:
        least, most = INT_BOUNDS[kind]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            refuse(f"a whole number from {least} to {most}")
        return value
    if kind.is_float:
        return _finite(kind, value, refuse)
    if not isinstance(value, str):
        refuse("a text")
    return _text(kind, value, refuse)


def _finite(kind: ColumnType, value: object, refuse: Callable[[str], NoReturn]) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        refuse("a number")
    largest = float(np.finfo(np.float32 if kind is ColumnType.FLOAT32 else np.float64).max)
    if not (math.isfinite(value) and abs(value) <= largest):
        refuse(f"a finite number that fits {kind}")
    return float(value)


def _text(kind: ColumnType, value: str, refuse: Callable[[str], NoReturn]) -> str:
    if kind is ColumnType.TIMESTAMP:
        moment = parse_rfc3339(value)
        if moment is None or not in_supported_range(moment):
            refuse("an RFC 3339 text with a zone, from 1900 to 2299")
    elif kind is ColumnType.DATE:
        if parse_date(value) is None:
            refuse("a date as YYYY-MM-DD, from 1900 to 2299")
    elif kind is ColumnType.JSON:
        try:
            json.loads(value)
        except (ValueError, RecursionError):
            refuse("a text that holds JSON")
    return value


def check_contract(contract: Contract, document: Document) -> None:
    """Raise `ContractError` for the first rule that the contract breaks."""
    for key, message in _broken(contract):
        document.refuse(key, message)


def _broken(contract: Contract) -> Iterator[tuple[Key, str]]:
    yield from _names(contract)
    yield from _subjects(contract)
    yield from _paths(contract)
    yield from _time(contract)
    for option, names in (("key", contract.key), ("business_key", contract.business_key)):
        yield from _key(contract, (option,), names)
    yield from _unknown(contract)
    yield from _rollup(contract)


def _names(contract: Contract) -> Iterator[tuple[Key, str]]:
    named: list[tuple[Key, str]] = [
        ((option,), getattr(contract, option)) for option in ("name", "namespace", "table")
    ]
    named += [(("columns", i, "name"), one.name) for i, one in enumerate(contract.columns)]
    for key, name in named:
        if not _IDENTIFIER.fullmatch(name):
            expected = "a lower-case letter, then letters, digits or _ (63 at most)"
            yield key, f"found {name!r}, expected {expected}"
    if not _STREAM.fullmatch(contract.stream):
        yield ("stream",), f"found {contract.stream!r}, expected letters, digits, _ or - (to 64)"
    if contract.stream == "DLQ":
        yield ("stream",), "found 'DLQ', the stream of refused messages, expected another name"


def _subjects(contract: Contract) -> Iterator[tuple[Key, str]]:
    for subject in contract.subjects:
        tokens = subject.split(".")
        wild = tokens[:-1] + ([] if tokens[-1] == ">" else tokens[-1:])
        valid = all(one == "*" or _TOKEN.fullmatch(one) for one in wild)
        if not valid or tokens[0] in ("*", ">", "dlq") or tokens[0].startswith(("$", "_")):
            yield (
                ("subjects",),
                f"found {subject!r}, expected tokens divided by dots, the first a word but dlq",
            )
        for index, column in enumerate(contract.columns):
            token = column.subject_token
            if token is not None and token >= len(tokens) and tokens[-1] != ">":
                yield (
                    ("columns", index, "subject_token"),
                    f"found {token}, expected 0 to {len(tokens) - 1}, the tokens of {subject!r}",
                )
    for index, column in enumerate(contract.columns):
        if column.subject_token is not None and not column.type.is_text:
            yield (
                ("columns", index, "type"),
                f"found {str(column.type)!r} read from the subject, expected a string type",
            )


def _paths(contract: Contract) -> Iterator[tuple[Key, str]]:
    seen: dict[tuple[str, ...], str] = {}
    for index, column in enumerate(contract.columns):
        path = column.path
        if path is None:
            continue
        for other, name in seen.items():
            shared = min(len(path), len(other))
            if path[:shared] == other[:shared]:
                yield (
                    ("columns", index, "path"),
                    f"found {'.'.join(path)!r}, which overlaps the path of column {name!r}",
                )
        seen[path] = column.name
    if not seen:
        yield ("columns",), "found no column read from the payload, expected at least one"


def _existing(contract: Contract, key: Key, name: str) -> Iterator[tuple[Key, str]]:
    names = [column.name for column in contract.columns]
    if name not in names:
        hint = nearest(name, names)
        yield key, f"found {name!r}, expected one of the columns {', '.join(names)}{hint}"


def _time(contract: Contract) -> Iterator[tuple[Key, str]]:
    key: Key = ("time_column",)
    yield from _existing(contract, key, contract.time_column)
    column = contract.column(contract.time_column)
    if column.type is not ColumnType.TIMESTAMP:
        yield key, f"found {column.name!r} of type {column.type}, expected a timestamp column"
    if column.path is None:
        yield key, f"found {column.name!r}, a constant, expected a column of the payload"
    if column.nullable:
        yield (
            key,
            f"found {column.name!r}, which may be missing, expected it required or with a default",
        )


def _key(contract: Contract, key: Key, names: tuple[str, ...]) -> Iterator[tuple[Key, str]]:
    for name in names:
        yield from _existing(contract, key, name)
        column: Column = contract.column(name)
        if column.type in _NOT_KEYS:
            yield key, f"found {name!r} of type {column.type}, expected columns that can be sorted"
        if column.nullable:
            yield (
                key,
                f"found {name!r}, which may be missing, expected columns that always have a value",
            )


def _unknown(contract: Contract) -> Iterator[tuple[Key, str]]:
    key: Key = ("unknown_column",)
    keep = contract.unknown_fields is UnknownFields.KEEP
    if keep != (contract.unknown_column is not None):
        expected = "a column to keep them in" if keep else "none unless unknown_fields = 'keep'"
        found = contract.unknown_column
        yield key, f"found {'nothing' if found is None else repr(found)}, expected {expected}"
    if contract.unknown_column is None:
        return
    yield from _existing(contract, key, contract.unknown_column)
    column = contract.column(contract.unknown_column)
    sources = (column.path, column.subject_token, column.constant)
    if column.type is not ColumnType.JSON or any(source is not None for source in sources):
        yield key, f"found {column.name!r}, expected a column of type json without a source"


def _rollup(contract: Contract) -> Iterator[tuple[Key, str]]:
    rollup = contract.rollup
    if rollup is None:
        return
    yield from _key(contract, ("rollup", "group_by"), rollup.group_by)
    yield from _existing(contract, ("rollup", "value"), rollup.value)
    kind = contract.column(rollup.value).type
    if not (kind.is_integer or kind.is_float):
        yield ("rollup", "value"), f"found {rollup.value!r} of type {kind}, expected a number"
    for name in rollup.group_by:
        taken = (contract.time_column, rollup.value, *_ROLLUP_COLUMNS)
        if name in taken:
            yield ("rollup", "group_by"), f"found {name!r}, expected none of {', '.join(taken)}"
    for name in (rollup.value, contract.time_column):
        if name in _ROLLUP_COLUMNS:
            own = ", ".join(_ROLLUP_COLUMNS)
            yield ("rollup",), f"found a column {name!r} in it, its own columns are {own}"
