"""From a contract file, or a registry's canonical JSON, to a checked `Contract`."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any, NoReturn

from ingest.contract import (
    STORED_AT,
    Column,
    ColumnType,
    Contract,
    LakePartition,
    Rollup,
    Scalar,
    TimeFormat,
    UnknownFields,
)
from ingest.contract_reader import Document, Table, key_lines, shown
from ingest.contract_rules import check_contract, check_default
from ingest.errors import ContractError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "y": 365 * 86400}
_DURATION = re.compile(r"(\d{1,12})([smhdy])")
_LONGEST_S = 400 * _SECONDS["y"]


def contract_from_toml(data: bytes, origin: str) -> Contract:
    """The contract in a TOML file; ``origin`` names the file in messages."""
    try:
        text = data.decode()
        values = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ContractError(f"{origin} line {line}: found bytes that are not UTF-8") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ContractError(f"{origin}: found what is not TOML: {error}") from error
    return _contract(Table(Document(origin, key_lines(text)), (), values))


def contract_from_json(text: str) -> Contract:
    """The contract that `Contract.to_json` wrote."""
    origin = "contract version"
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"{origin}: found what is not JSON: {error}") from error
    table = Table(Document(origin), (), values)
    if table.take("format") != 1:
        table.refuse("format", "found a format that this version does not know, expected 1")
    return _contract(table)


def _contract(table: Table) -> Contract:
    name = table.text("name")
    columns = _columns(table)
    contract = Contract(
        name=name,
        description=table.text("description", ""),
        namespace=table.text("namespace", "iot"),
        table=table.text("table", name),
        stream=table.text("stream"),
        subjects=table.texts("subjects"),
        columns=columns,
        key=table.texts("key"),
        time_column=table.text("time_column"),
        business_key=table.texts("business_key", ()),
        lake_partition=table.choice("lake_partition", LakePartition, LakePartition.DAY),
        max_age_s=_duration(table, "max_age", "30d"),
        max_ahead_s=_duration(table, "max_ahead", "1h"),
        max_rows_per_message=table.whole("max_rows_per_message", 10_000, 1, 1_000_000) or 0,
        max_message_bytes=table.whole("max_message_bytes", 8 << 20, 64, 64 << 20) or 0,
        unknown_fields=table.choice("unknown_fields", UnknownFields, UnknownFields.IGNORE),
        unknown_column=_optional_text(table, "unknown_column"),
        rollup=_rollup(table),
    )
    table.done()
    check_contract(contract, table.document)
    return contract


def _columns(table: Table) -> tuple[Column, ...]:
    values = table.take("columns")
    if not isinstance(values, list) or not values:
        table.refuse("columns", "found no columns, expected a list of [[columns]] tables")
    unknown_column = table.peek("unknown_column")
    columns: list[Column] = []
    for index, one in enumerate(values):
        column = _column(Table(table.document, ("columns", index), one), unknown_column)
        if any(column.name == other.name for other in columns):
            table.document.refuse(
                ("columns", index, "name"), f"found {column.name!r} twice, expected another name"
            )
        columns.append(column)
    return tuple(columns)


def _column(table: Table, unknown_column: object) -> Column:
    name = table.text("name")
    kind = table.choice("type", ColumnType)
    required = table.flag("required")
    path = _path(table)
    token = table.whole("subject_token", None, 0, 63)
    constant = _scalar(table, "constant", kind)
    sources = [
        key
        for key, value in (("path", path), ("subject_token", token), ("constant", constant))
        if value is not None
    ]
    if len(sources) > 1:
        table.refuse(sources[1], f"found beside {sources[0]!r}, expected a single source")
    if not sources and name != unknown_column:
        path = (name,)
    time_format = None
    if kind is ColumnType.TIMESTAMP and path is not None:
        time_format = table.choice("format", TimeFormat, TimeFormat.RFC3339)
    elif table.has("format"):
        table.refuse("format", "found on a column that is no timestamp of the payload")
    default = _scalar(table, "default", kind)
    if default is not None and (required or path is None):
        reason = "required" if required else "not read from the payload"
        table.refuse("default", f"found on a column that is {reason}, expected none")
    if required and path is None:
        table.refuse("required", "found on a column that is not read from the payload")
    column = Column(
        name=name,
        type=kind,
        path=path,
        subject_token=token,
        constant=constant,
        required=required,
        default=default,
        format=time_format,
        unit=table.text("unit", ""),
        description=table.text("description", ""),
    )
    table.done()
    return column


def _path(table: Table) -> tuple[str, ...] | None:
    """``path = "wind.speed"``, or a list of keys when a key itself holds a dot."""
    value = table.take("path")
    if value is None:
        return None
    keys = value.split(".") if isinstance(value, str) else value
    if (
        not isinstance(keys, list)
        or not 1 <= len(keys) <= 16
        or not all(isinstance(key, str) and key for key in keys)
    ):
        table.refuse(
            "path", f"found {shown(value)}, expected 1 to 16 keys as 'a.b' or as a list of texts"
        )
    return tuple(keys)


def _scalar(table: Table, name: str, kind: ColumnType) -> Scalar | None:
    value = table.take(name)
    if value is None:
        return None
    if name == "default" and value == STORED_AT and kind is ColumnType.TIMESTAMP:
        return STORED_AT

    def refuse(expected: str) -> NoReturn:
        table.refuse(name, f"found {shown(value)}, expected {expected}")

    return check_default(kind, value, refuse)


def _optional_text(table: Table, name: str) -> str | None:
    return table.text(name) if table.has(name) else table.take(name)


def _rollup(table: Table) -> Rollup | None:
    value = table.take("rollup")
    if value is None:
        return None
    inner = Table(table.document, ("rollup",), value)
    rollup = Rollup(group_by=inner.texts("group_by"), value=inner.text("value"))
    inner.done()
    return rollup


def _duration(table: Table, name: str, default: str) -> int:
    """Seconds from a text such as ``30d`` (file) or from ``<name>_s`` (canonical JSON)."""
    if table.has(f"{name}_s"):
        return table.whole(f"{name}_s", 0, 0, _LONGEST_S) or 0
    text = table.text(name, default)
    match = _DURATION.fullmatch(text)
    seconds = int(match[1]) * _SECONDS[match[2]] if match else -1
    if not 0 <= seconds <= _LONGEST_S:
        table.refuse(
            name, f"found {text!r}, expected a duration such as 90s, 15m, 6h, 30d or 2y (to 400y)"
        )
    return seconds
