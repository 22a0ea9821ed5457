"""Building messages and decoding them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from ingest.contract import Contract, load_contract
from ingest.decode import Decoded, Decoder
from ingest.messages import Messages
from ingest.ranges import SequenceRange

settings.register_profile("decode", deadline=None, max_examples=60)
settings.load_profile("decode")

STORED_NS = 1_767_326_400_123_456_789  # 2026-01-02T04:00:00.123456789Z

Build = Callable[..., Messages]


def build(
    payloads: Sequence[bytes], subject: str = "readings.hall.d1.temperature", first: int = 101
) -> Messages:
    """Messages with consecutive sequences, one nanosecond apart."""
    count = len(payloads)
    return Messages(
        np.arange(first, first + count),
        STORED_NS + np.arange(count),
        [subject] * count,
        list(payloads),
        SequenceRange(first, max(first, first + count - 1)),
    )


def decode_payloads(
    payloads: Sequence[bytes],
    contract: str | Contract = "readings",
    subject: str = "readings.hall.d1.temperature",
) -> Decoded:
    """The outcome of decoding the payloads of one lane."""
    known = contract if isinstance(contract, Contract) else load_contract(contract)
    return Decoder(known, known.stream).decode(build(payloads, subject), "e1")


def reading_fields(**changes: Any) -> dict[str, Any]:
    """A good reading as a dict, with fields changed; ``...`` leaves a field out."""
    fields = {
        "device_id": "d1",
        "site": "hall",
        "metric": "temperature",
        "ts": "2026-01-02T03:04:05.678Z",
        "value": 21.5,
        "unit": "Cel",
    }
    fields.update(changes)
    return {name: value for name, value in fields.items() if value is not ...}


def reading_json(**changes: Any) -> bytes:
    """A good reading as compact JSON, with fields changed; ``...`` leaves a field out."""
    fields = reading_fields(**changes)
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.fixture(scope="session")
def decode() -> Callable[..., Decoded]:
    """Decodes payloads: ``decode(payloads, contract="readings", subject=...)``."""
    return decode_payloads


@pytest.fixture(scope="session")
def reading() -> Callable[..., bytes]:
    """A good reading as JSON: ``reading(value=1.5, unit=...)``."""
    return reading_json


@pytest.fixture(scope="session")
def messages() -> Build:
    """Messages of payloads: ``messages(payloads, subject=..., first=101)``."""
    return build
