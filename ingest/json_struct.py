"""The msgspec struct that a contract's JSON readings decode into, and how to read it back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Annotated, Any

import msgspec

from ingest.contract import Column, ColumnType, Contract, TimeFormat, UnknownFields

Row = msgspec.Struct
Getter = Callable[[Sequence[Row]], list[Any]]
Tree = dict[str, Any]
"""JSON keys to a `Column`, or to the `Tree` of a nested object."""

NULL = msgspec.Raw(b"null")

_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_JSON_TYPES: dict[ColumnType, Any] = {
    ColumnType.STRING: str,
    ColumnType.LOW_CARDINALITY_STRING: str,
    ColumnType.BOOL: bool,
    ColumnType.INT32: Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)],
    ColumnType.INT64: _INT64,
    ColumnType.FLOAT32: float,
    ColumnType.FLOAT64: float,
    ColumnType.DATE: str,
    ColumnType.MAP: dict[str, str],
}
_EPOCH_TYPES: dict[TimeFormat | None, Any] = {
    TimeFormat.RFC3339: str,
    TimeFormat.EPOCH_S: _INT64 | float,
    TimeFormat.EPOCH_MS: _INT64 | float,
    TimeFormat.EPOCH_US: _INT64,
    TimeFormat.EPOCH_NS: _INT64,
}


def path_tree(contract: Contract) -> Tree:
    """The columns read from the payload, nested as their JSON paths are."""
    tree: Tree = {}
    for column in contract.columns:
        if column.path is None:
            continue
        level = tree
        for key in column.path[:-1]:
            level = level.setdefault(key, {})
        level[column.path[-1]] = column
    return tree


def is_required(node: Column | Tree) -> bool:
    """Whether a column, or any column below an object, must be there."""
    if isinstance(node, Column):
        return node.required
    return any(is_required(child) for child in node.values())


def row_struct(contract: Contract) -> tuple[type[Row], dict[str, Getter]]:
    """The struct of one reading, and for each payload column how to read it from many rows."""
    forbid = contract.unknown_fields is UnknownFields.REFUSE
    attributes: dict[str, list[tuple[str, bool]]] = {}
    struct = _struct("Reading", path_tree(contract), [], attributes, forbid=forbid)
    return struct, {name: _getter(steps) for name, steps in attributes.items()}


def _struct(
    name: str,
    tree: Tree,
    above: list[tuple[str, bool]],
    attributes: dict[str, list[tuple[str, bool]]],
    *,
    forbid: bool,
) -> type[Row]:
    fields: list[tuple[str, Any, Any]] = []
    for index, (key, node) in enumerate(tree.items()):
        attribute = f"f{index}"
        required = is_required(node)
        steps = [*above, (attribute, not required)]
        if isinstance(node, Column):
            kind = _json_type(node)
            attributes[node.name] = steps
        else:
            kind = _struct(f"{name}_{index}", node, steps, attributes, forbid=forbid)
        fields.append((attribute, *_field(key, kind, required=required)))
    # Required fields first: a struct allows no field without a default after one with it.
    fields.sort(key=lambda field: field[2].default is not msgspec.NODEFAULT)
    return msgspec.defstruct(name, fields, gc=False, forbid_unknown_fields=forbid)


def _json_type(column: Column) -> Any:
    if column.type is ColumnType.JSON:
        return msgspec.Raw
    if column.type is ColumnType.TIMESTAMP:
        return _EPOCH_TYPES[column.format]
    return _JSON_TYPES[column.type]


def _field(key: str, kind: Any, *, required: bool) -> tuple[Any, Any]:
    if required:
        return kind, msgspec.field(name=key)
    if kind is msgspec.Raw:
        return kind, msgspec.field(name=key, default=NULL)
    return kind | None, msgspec.field(name=key, default=None)


def _getter(steps: list[tuple[str, bool]]) -> Getter:
    """Reads one attribute of many rows; objects on the way may be absent."""
    if not any(optional for _, optional in steps[:-1]):
        read = attrgetter(".".join(attribute for attribute, _ in steps))
        return lambda rows: list(map(read, rows))
    first, *rest = (attrgetter(attribute) for attribute, _ in steps)

    def through(rows: Sequence[Row]) -> list[Any]:
        values = list(map(first, rows))
        for step in rest:
            values = [None if value is None else step(value) for value in values]
        return values

    return through


def rest_of(raw: bytes | msgspec.Raw, tree: Tree) -> str | None:
    """The fields of a JSON object that no column names, as JSON text with values as sent.

    Keys are sorted, so that the same fields give the same text; None when there are none.
    """
    left: dict[str, str] = {}
    for key, value in _FIELDS(raw).items():
        node = tree.get(key)
        if node is None:
            left[key] = str(value, "utf-8")
        elif isinstance(node, dict) and value != NULL:
            inner = rest_of(value, node)
            if inner is not None:
                left[key] = inner
    if not left:
        return None
    pairs = (f"{msgspec.json.encode(key).decode()}:{left[key]}" for key in sorted(left))
    return "{" + ",".join(pairs) + "}"


_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
