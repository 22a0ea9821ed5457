"""JSON payloads to rows: a batch in one call where that is sound, else one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from ingest.contract import Contract, UnknownFields
from ingest.json_refusal import JsonRefusals
from ingest.json_shape import is_utf8
from ingest.json_struct import Getter, Row, path_tree, rest_of, row_struct
from ingest.refusal import Reason, RefusedPayloadError

MAX_DEPTH = 64
"""Nested objects and arrays that a payload may have, its outermost one included.

A decoder's own limit depends on the interpreter and on the stack above it; this one does not.
"""

_LINE_END, _OPEN, _OPEN_LIST, _CLOSE = b"\n{[}"


@dataclass(slots=True)
class JsonRows:
    """Rows of payloads, still Python objects, and for each the fields that no column names.

    ``rests`` is empty unless the contract keeps such fields.
    """

    rows: list[Row]
    rests: list[str | None]

    def __len__(self) -> int:
        return len(self.rows)

    def extend(self, other: JsonRows) -> None:
        """Append the rows of another payload."""
        self.rows += other.rows
        self.rests += other.rests


class JsonReader:
    """Decodes the JSON payloads of one contract; holds no state between calls."""

    def __init__(self, contract: Contract) -> None:
        struct, self.getters = row_struct(contract)
        self._contract = contract
        self._tree = path_tree(contract)
        self._keep = contract.unknown_fields is UnknownFields.KEEP
        self._refusals = JsonRefusals(contract)
        self._object = msgspec.json.Decoder(struct)
        self._list: msgspec.json.Decoder[list[Row]] = msgspec.json.Decoder(list[struct])  # type: ignore[valid-type]

    getters: dict[str, Getter]

    def together(self, payloads: Sequence[bytes]) -> JsonRows | None:
        """One row for each payload, all decoded in one call; None when that is not sound.

        Sound means: each line is one payload, begins with ``{``, ends with ``}`` and holds no line
        end, so no value can reach over a line (a string cannot hold a raw line end, and ``}`` is
        never followed by ``{`` inside a value). Each line then holds at least one value, and as
        many values as lines means one each.
        """
        joined = b"\n".join(payloads)
        if not self._uniform(joined, payloads):
            return None
        try:
            rows = self._object.decode_lines(joined)
        except msgspec.DecodeError:
            return None
        if len(rows) != len(payloads):
            return None
        return JsonRows(rows, self._rests(payloads))

    def _uniform(self, joined: bytes, payloads: Sequence[bytes]) -> bool:
        if not joined or joined[0] != _OPEN or joined[-1] != _CLOSE:
            return False
        longest = self._contract.max_message_bytes
        if len(joined) > longest and max(map(len, payloads)) > longest:
            return False
        characters = np.frombuffer(joined, np.uint8)
        ends = np.flatnonzero(characters == _LINE_END)
        if len(ends) != len(payloads) - 1:
            return False
        if (characters[ends - 1] != _CLOSE).any() or (characters[ends + 1] != _OPEN).any():
            return False
        opened = np.count_nonzero(characters == _OPEN) + np.count_nonzero(characters == _OPEN_LIST)
        if opened - len(ends) > MAX_DEPTH and max(map(_opened, payloads)) > MAX_DEPTH:
            return False
        return is_utf8(joined)

    def quickly(self, payload: bytes) -> Row | None:
        """The row of an ordinary object; None for whatever needs a closer look in `one`."""
        if (
            self._keep
            or payload[:1] != b"{"
            or len(payload) > self._contract.max_message_bytes
            or not payload.isascii()
            or _opened(payload) > MAX_DEPTH
        ):
            return None
        try:
            return self._object.decode(payload)
        except msgspec.DecodeError:
            return None

    def one(self, payload: bytes) -> JsonRows:
        """The rows of one payload that begins with ``{`` or ``[``, white space aside.

        Raises `RefusedPayloadError` with the element and the column that cannot be stored.
        """
        if not is_utf8(payload):
            raise RefusedPayloadError(Reason.INVALID_UTF8, _where_not_utf8(payload))
        check_structure(payload, self._contract.max_rows_per_message)
        is_list = payload.lstrip(b" \t\r\n")[:1] == b"["
        try:
            rows = self._list.decode(payload) if is_list else [self._object.decode(payload)]
        except msgspec.DecodeError as error:
            raise self._refusals.explain(payload, error) from None
        if not rows:
            raise RefusedPayloadError(Reason.EMPTY, "found an array without elements")
        return JsonRows(rows, self._rests(_ELEMENTS(payload) if is_list else [payload]))

    def _rests(self, elements: Sequence[bytes | msgspec.Raw]) -> list[str | None]:
        return [rest_of(element, self._tree) for element in elements] if self._keep else []


def check_structure(payload: bytes, max_rows: int) -> None:
    """Refuse a payload that is nested too deep or is an array of too many elements.

    Works on bytes, before any object is made of them.
    """
    opened = _opened(payload)
    if opened <= min(MAX_DEPTH, max_rows):
        return
    # Each "},{" closes what it opens again, in a string too; what is left bounds the depth.
    flat = payload.count(b"},{") + payload.count(b"}, {")
    if opened - flat <= MAX_DEPTH and payload.count(b"{") <= max_rows:
        return
    depth, elements = _measured(payload)
    if depth > MAX_DEPTH:
        raise RefusedPayloadError(
            Reason.TOO_DEEP, f"found {depth} nested levels, expected at most {MAX_DEPTH}"
        )
    if elements > max_rows:
        raise RefusedPayloadError(
            Reason.TOO_MANY_ROWS, f"found {elements} elements, expected at most {max_rows}"
        )


def _opened(payload: bytes) -> int:
    return payload.count(b"{") + payload.count(b"[")


def _measured(payload: bytes) -> tuple[int, int]:
    """Depth of nesting, and elements of the outermost array (1 for an object)."""
    plain = payload.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside = b"".join(plain.split(b'"')[::2])
    characters = np.frombuffer(outside, np.uint8)
    steps = np.zeros(len(characters), np.int32)
    steps[(characters == ord("{")) | (characters == ord("["))] = 1
    steps[(characters == ord("}")) | (characters == ord("]"))] = -1
    depth = np.cumsum(steps)
    commas = np.count_nonzero((characters == ord(",")) & (depth == 1))
    is_list = outside.lstrip(b" \t\r\n")[:1] == b"["
    return int(depth.max(initial=0)), int(commas) + 1 if is_list else 1


def _where_not_utf8(payload: bytes) -> str:
    try:
        payload.decode()
    except UnicodeDecodeError as error:
        return f"found byte 0x{payload[error.start]:02x} at {error.start}, expected UTF-8"
    return ""


_ELEMENTS: Any = msgspec.json.Decoder(list[msgspec.Raw]).decode
