"""Why a JSON payload cannot be stored: the first element, column and value that is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec

from ingest.contract import Column, ColumnType, Contract, TimeFormat, UnknownFields
from ingest.contract_rules import INT_BOUNDS
from ingest.json_struct import Tree, is_required, path_tree
from ingest.refusal import Reason, RefusedPayloadError, excerpt

Problem = tuple[Reason, str]

_KINDS = {ord("{"): "an object", ord("["): "an array", ord('"'): "a string", ord("n"): "null"}
_KINDS |= {ord("t"): "a boolean", ord("f"): "a boolean"}
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw]).decode
_ANYTHING = msgspec.json.Decoder().decode


class JsonRefusals:
    """Says what is wrong with payloads that the decoder of one contract refused."""

    def __init__(self, contract: Contract) -> None:
        self._tree = path_tree(contract)
        self._refuse_unknown = contract.unknown_fields is UnknownFields.REFUSE

    def explain(self, payload: bytes, error: Exception) -> RefusedPayloadError:
        """The first thing wrong; ``error`` is what the decoder said.

        The payload must be UTF-8 and not nested too deep.
        """
        try:
            is_list = payload.lstrip(b" \t\r\n")[:1] == b"["
            elements = _ELEMENTS(payload) if is_list else [msgspec.Raw(payload)]
            for index, element in enumerate(elements):
                problems = _object(element, self._tree, "", refuse_unknown=self._refuse_unknown)
                for reason, detail in problems:
                    return RefusedPayloadError(reason, f"element {index}, {detail}")
        except msgspec.DecodeError as malformed:
            return RefusedPayloadError(Reason.INVALID_JSON, str(malformed))
        # A key that stands twice: the decoder stumbled over a value that a later one replaces.
        return RefusedPayloadError(Reason.WRONG_TYPE, str(error))


def _kind(raw: msgspec.Raw) -> str:
    first = bytes(memoryview(raw).tobytes().lstrip(b" \t\r\n")[:1])
    return _KINDS.get(first[0], "a number")


def _object(raw: msgspec.Raw, tree: Tree, above: str, *, refuse_unknown: bool) -> Iterator[Problem]:
    """Problems of one JSON object, in the order of the columns."""
    kind = _kind(raw)
    if kind != "an object":
        name = f"{above.removesuffix('.')}: " if above else ""
        yield Reason.WRONG_TYPE, f"{name}found {kind}, expected an object"
        return
    fields = _FIELDS(raw)
    for key, node in tree.items():
        value = fields.get(key)
        name = f"{above}{key}"
        if value is None or _kind(value) == "null":
            if is_required(node):
                found = "nothing" if value is None else "null"
                yield Reason.MISSING_FIELD, f"{name}: found {found}, expected a value"
        elif isinstance(node, Column):
            for reason, detail in _value(value, node):
                yield reason, f"{name}: {detail}"
        else:
            yield from _object(value, node, f"{name}.", refuse_unknown=refuse_unknown)
    if refuse_unknown:
        for key in (key for key in fields if key not in tree):
            yield Reason.UNKNOWN_FIELD, f"{above}{excerpt(key)}: found a field of no column"


def _value(raw: msgspec.Raw, column: Column) -> Iterator[Problem]:
    """What is wrong with the type or the size of one value that is not null."""
    kind = column.type
    if kind is ColumnType.JSON:
        return
    try:
        value = _ANYTHING(raw)
    except msgspec.ValidationError:
        if _kind(raw) == "a number":
            text = str(raw, "utf-8")
            yield Reason.OUT_OF_RANGE, f"found {excerpt(text)}, expected a number that fits {kind}"
            return
        value = None
    expected = _expected(column)
    if expected == "a number":
        yield from _number(value, raw, kind)
    elif expected == "a whole number":
        yield from _whole(value, raw, column)
    elif _kind(raw) != expected:
        yield Reason.WRONG_TYPE, f"found {_kind(raw)} {_shown(value)}, expected {expected}"
    elif kind is ColumnType.MAP:
        yield from _map(raw)


def _expected(column: Column) -> str:
    if column.type is ColumnType.TIMESTAMP:
        if column.format is TimeFormat.RFC3339:
            return "a string"
        fractions = (TimeFormat.EPOCH_S, TimeFormat.EPOCH_MS)
        return "a number" if column.format in fractions else "a whole number"
    if column.type.is_float:
        return "a number"
    if column.type.is_integer:
        return "a whole number"
    return {ColumnType.BOOL: "a boolean", ColumnType.MAP: "an object"}.get(column.type, "a string")


def _number(value: Any, raw: msgspec.Raw, kind: ColumnType) -> Iterator[Problem]:
    if _kind(raw) != "a number":
        yield Reason.WRONG_TYPE, f"found {_kind(raw)} {_shown(value)}, expected a number"
        return
    try:
        finite = math.isfinite(float(value))
    except OverflowError:
        finite = False
    if not finite or (kind is ColumnType.TIMESTAMP and not -(2**63) <= value < 2**63):
        yield Reason.OUT_OF_RANGE, f"found {excerpt(value)}, expected a number that fits {kind}"


def _whole(value: Any, raw: msgspec.Raw, column: Column) -> Iterator[Problem]:
    if _kind(raw) != "a number" or isinstance(value, float):
        yield Reason.WRONG_TYPE, f"found {_kind(raw)} {_shown(value)}, expected a whole number"
        return
    least, most = INT_BOUNDS.get(column.type, INT_BOUNDS[ColumnType.INT64])
    if not least <= value <= most:
        yield Reason.OUT_OF_RANGE, f"found {excerpt(value)}, expected {least} to {most}"


def _map(raw: msgspec.Raw) -> Iterator[Problem]:
    for key, value in _FIELDS(raw).items():
        if _kind(value) != "a string":
            yield (
                Reason.WRONG_TYPE,
                f"key {excerpt(key)}: found {_kind(value)}, expected a string",
            )


def _shown(value: Any) -> str:
    return excerpt(value, 40)
