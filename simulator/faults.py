"""Messages that can never be stored, one builder for each kind of mistake a device makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from struct import pack

import pyarrow as pa

from simulator.payloads import arrow_stream
from simulator.readings import Reading, rfc3339

NESTING = 4_000
TEN_YEARS_US = 3_652 * 86_400_000_000
MONTH_US = 30 * 86_400_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes that some kinds must exceed: rows of one message, bytes of an oversized one."""

    max_rows: int
    oversized_bytes: int


Builder = Callable[[Reading, Limits], bytes]


def _quoted(text: str) -> str:
    return f'"{text}"'


def _fields(reading: Reading) -> dict[str, str]:
    """JSON tokens of a good reading by field."""
    return {
        "device_id": _quoted(reading.device_id),
        "site": _quoted(reading.site),
        "metric": _quoted(reading.metric),
        "ts": _quoted(rfc3339(reading.ts_us)),
        "value": repr(reading.value),
        "unit": _quoted(reading.unit),
    }


def _text(fields: dict[str, str]) -> str:
    return "{" + ",".join(f'"{name}":{token}' for name, token in fields.items()) + "}"


def _with(**tokens: str) -> Builder:
    """A good document in which the named fields hold other JSON tokens."""

    def build(reading: Reading, _: Limits) -> bytes:
        return _text(_fields(reading) | tokens).encode()

    return build


def _without(name: str) -> Builder:
    def build(reading: Reading, _: Limits) -> bytes:
        fields = _fields(reading)
        del fields[name]
        return _text(fields).encode()

    return build


def _moved(by_us: int) -> Builder:
    def build(reading: Reading, _: Limits) -> bytes:
        return _text(_fields(reading._replace(ts_us=reading.ts_us + by_us))).encode()

    return build


def _not_json(reading: Reading, _: Limits) -> bytes:
    return f"{reading.metric},{reading.value},{reading.unit}\n".encode()


def _truncated_json(reading: Reading, _: Limits) -> bytes:
    text = _text(_fields(reading))
    return text[: len(text) * 2 // 3].encode()


def _two_documents(reading: Reading, _: Limits) -> bytes:
    text = _text(_fields(reading))
    return (text + text).encode()


def _invalid_utf8(reading: Reading, _: Limits) -> bytes:
    return _text(_fields(reading)).encode().replace(b'"unit":"', b'"unit":"\xc3\x28\xff', 1)


def _without_zone(reading: Reading, _: Limits) -> bytes:
    return _text(_fields(reading) | {"ts": _quoted(rfc3339(reading.ts_us)[:-1])}).encode()


def _impossible_date(reading: Reading, _: Limits) -> bytes:
    year = rfc3339(reading.ts_us)[:4]
    return _text(_fields(reading) | {"ts": _quoted(f"{year}-13-41T25:61:61Z")}).encode()


def _deep_nesting(reading: Reading, _: Limits) -> bytes:
    nested = "[" * NESTING + "]" * NESTING
    return _text(_fields(reading) | {"value": nested}).encode()


def _bad_element(reading: Reading, _: Limits) -> bytes:
    good, bad = _text(_fields(reading)), _text(_fields(reading) | {"value": "null"})
    return f"[{good},{bad},{good}]".encode()


def _array_too_long(_: Reading, limits: Limits) -> bytes:
    return b"[" + b",".join([b"{}"] * (limits.max_rows + 1)) + b"]"


def _arrow_other_schema(reading: Reading, _: Limits) -> bytes:
    # From buffers: pa.array would import pandas where it is installed, which takes two seconds.
    column = pa.Array.from_buffers(pa.int64(), 1, [None, pa.py_buffer(pack("<q", reading.ts_us))])
    return arrow_stream(pa.RecordBatch.from_arrays([column], names=["sensor"]))


def _arrow_truncated(reading: Reading, limits: Limits) -> bytes:
    whole = _arrow_other_schema(reading, limits)
    return whole[: len(whole) // 2]


def _oversized(reading: Reading, limits: Limits) -> bytes:
    fields = {"padding": '""'} | _fields(reading) | {"value": "null"}
    missing = max(0, limits.oversized_bytes - len(_text(fields).encode()))
    return _text(fields | {"padding": _quoted("x" * missing)}).encode()


MALFORMED: dict[str, Builder] = {
    "not_json": _not_json,
    "truncated_json": _truncated_json,
    "scalar": lambda reading, _: repr(reading.value).encode(),
    "empty": lambda _reading, _limits: b"",
    "two_documents": _two_documents,
    "invalid_utf8": _invalid_utf8,
    "text_for_number": _with(value='"21.5"'),
    "number_for_text": _with(device_id="17"),
    "object_for_text": _with(metric='{"name":"temperature"}'),
    "missing_field": _without("value"),
    "null_field": _with(metric="null"),
    "nan": _with(value="NaN"),
    "infinity": _with(value="-Infinity"),
    "number_out_of_range": _with(value="1e999"),
    "timestamp_without_zone": _without_zone,
    "timestamp_impossible": _impossible_date,
    "timestamp_not_text": _with(ts="true"),
    "timestamp_too_late": _moved(-TEN_YEARS_US),
    "timestamp_too_far_ahead": _moved(MONTH_US),
    "deep_nesting": _deep_nesting,
    "array_bad_element": _bad_element,
    "array_too_long": _array_too_long,
    "arrow_other_schema": _arrow_other_schema,
    "arrow_truncated": _arrow_truncated,
    "oversized": _oversized,
}
"""Kind to builder; each gets the good reading that the device meant to send."""


def malformed_kinds(limits: Limits) -> tuple[str, ...]:
    """Kinds in use, in their fixed order; ``oversized`` only where a size is asked for."""
    return tuple(kind for kind in MALFORMED if kind != "oversized" or limits.oversized_bytes > 0)
