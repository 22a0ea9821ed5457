"""Each malformed kind is what its name says, judged by the decoder that must refuse it."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from ingest.contract import load_contract
from ingest.decode import Decoded, Decoder
from ingest.messages import Messages
from ingest.ranges import SequenceRange
from ingest.refusal import Reason
from simulator.faults import MALFORMED, Limits
from simulator.fleet import Fleet, FleetOptions
from simulator.readings import Reading

NOW_US = 1_795_000_000_000_000
READING = Reading("dev-0001", "site-01", "temperature", NOW_US, 21.5, "Cel")
LIMITS = Limits(max_rows=10_000, oversized_bytes=9 << 20)
CONTRACT = load_contract("readings")

REASONS = {
    "not_json": Reason.INVALID_JSON,
    "truncated_json": Reason.INVALID_JSON,
    "scalar": Reason.INVALID_JSON,
    "empty": Reason.EMPTY,
    "two_documents": Reason.INVALID_JSON,
    "invalid_utf8": Reason.INVALID_UTF8,
    "text_for_number": Reason.WRONG_TYPE,
    "number_for_text": Reason.WRONG_TYPE,
    "object_for_text": Reason.WRONG_TYPE,
    "missing_field": Reason.MISSING_FIELD,
    "null_field": Reason.MISSING_FIELD,
    "nan": Reason.INVALID_JSON,
    "infinity": Reason.INVALID_JSON,
    "number_out_of_range": Reason.OUT_OF_RANGE,
    "timestamp_without_zone": Reason.BAD_TIMESTAMP,
    "timestamp_impossible": Reason.BAD_TIMESTAMP,
    "timestamp_not_text": Reason.WRONG_TYPE,
    "timestamp_too_late": Reason.TOO_OLD,
    "timestamp_too_far_ahead": Reason.TOO_FAR_AHEAD,
    "deep_nesting": Reason.TOO_DEEP,
    "array_bad_element": Reason.MISSING_FIELD,
    "array_too_long": Reason.TOO_MANY_ROWS,
    "arrow_other_schema": Reason.ARROW_SCHEMA,
    "arrow_truncated": Reason.INVALID_ARROW,
    "oversized": Reason.TOO_LARGE,
}


def decode(payloads: list[bytes]) -> Decoded:
    """Payloads as consecutive messages, stored at the time of the reading."""
    count = len(payloads)
    messages = Messages(
        np.arange(1, count + 1),
        np.full(count, NOW_US * 1_000),
        ["readings.site-01.dev-0001.temperature"] * count,
        payloads,
        SequenceRange(1, count),
    )
    return Decoder(CONTRACT, lane="READINGS").decode(messages, "e1")


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_kind_is_refused_for_its_own_reason(kind: str) -> None:
    """The decoder refuses the message, names the mistake of its kind, and keeps the neighbours."""
    good = MALFORMED["nan"](READING, LIMITS).replace(b"NaN", b"21.5")
    decoded = decode([good, MALFORMED[kind](READING, LIMITS), good])

    assert [(one.sequence, one.reason) for one in decoded.refused] == [(2, REASONS[kind])]
    assert decoded.batch.column("_seq").to_pylist() == [1, 3]


def test_oversized_has_exactly_the_size_asked_for() -> None:
    """The oversized kind is valid JSON of so many bytes that lacks its value."""
    payload = MALFORMED["oversized"](READING, Limits(10, 12_345))

    assert len(payload) == 12_345
    assert json.loads(payload)["value"] is None


def test_two_documents_are_each_valid() -> None:
    """Both halves of a message with two documents are good readings by themselves."""
    payload = MALFORMED["two_documents"](READING, LIMITS)
    half = len(payload) // 2

    assert payload[:half] == payload[half:]
    assert not decode([payload[:half]]).refused


def test_an_array_too_long_has_one_element_more_than_allowed() -> None:
    """The limit is exceeded by one, not by chance."""
    payload = MALFORMED["array_too_long"](READING, Limits(50, 0))

    assert len(json.loads(payload)) == 51


def test_arrow_with_another_schema_is_a_sound_stream() -> None:
    """The Arrow payload is refused for its columns alone: any Arrow reader takes it."""
    payload = MALFORMED["arrow_other_schema"](READING, LIMITS)
    table = pa.ipc.open_stream(payload).read_all()

    assert table.column_names == ["sensor"]
    assert table.num_rows == 1


@pytest.mark.parametrize(("payload", "rows"), [("json", 1), ("array", 50), ("arrow", 50)])
def test_well_formed_messages_are_never_refused(payload: str, rows: int) -> None:
    """Late, doubled and caught-up readings are data: the decoder stores every one."""
    fleet = Fleet(
        FleetOptions(
            start_us=NOW_US,
            devices=50,
            count=5_000,
            payload=payload,  # type: ignore[arg-type]
            rows_per_message=rows,
            late=0.1,
            duplicates=0.1,
            dropouts=0.1,
        )
    )
    messages = list(fleet)
    decoded = decode([message.payload for message in messages])

    assert decoded.refused == []
    assert decoded.batch.num_rows == sum(message.readings for message in messages)
