"""Which refusals of JetStream are worth another try."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.errors import passes, stores_nothing


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": 503}, True),
        ({"code": 503, "err_code": 10008, "description": "temporarily unavailable"}, True),
        ({"code": 429, "err_code": 10167, "description": "too many requests"}, True),
        ({"code": 409, "err_code": 10158, "description": "duplicate id is in process"}, True),
        ({"code": 503, "err_code": 10077, "description": "maximum bytes exceeded"}, False),
        ({"code": 503, "err_code": 10023, "description": "insufficient resources"}, False),
        ({"code": 400, "err_code": 10054, "description": "message size exceeds maximum"}, False),
        ({"code": 500}, False),
        ({}, False),
    ],
)
def test_a_refusal_passes_or_is_final(error: dict[str, Any], expected: bool) -> None:
    """Nobody there, no leader and too busy pass; full and forbidden do not, nor the unknown."""
    assert passes(error) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": 503}, True),
        ({"code": 429, "err_code": 10167, "description": "too many requests"}, True),
        ({"code": 409, "err_code": 10158, "description": "duplicate id is in process"}, False),
        ({"code": 503, "err_code": 10008, "description": "temporarily unavailable"}, False),
        ({}, False),
    ],
)
def test_a_refusal_may_leave_open_whether_the_message_is_stored(
    error: dict[str, Any], expected: bool
) -> None:
    """Nobody there and too busy are proof; an id in process is the message's own."""
    assert stores_nothing(error) is expected
