"""Why a message can never be stored: a closed set of reasons and the record of one refusal."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a message is refused; the value is what headers, metrics and reports show."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    TOO_MANY_ROWS = "too_many_rows"
    INVALID_UTF8 = "invalid_utf8"
    INVALID_JSON = "invalid_json"
    INVALID_ARROW = "invalid_arrow"
    ARROW_SCHEMA = "arrow_schema"
    WRONG_TYPE = "wrong_type"
    MISSING_FIELD = "missing_field"
    UNKNOWN_FIELD = "unknown_field"
    OUT_OF_RANGE = "out_of_range"
    BAD_TIMESTAMP = "bad_timestamp"
    TOO_OLD = "too_old"
    TOO_FAR_AHEAD = "too_far_ahead"
    BAD_SUBJECT = "bad_subject"


@dataclass(frozen=True, slots=True)
class Refused:
    """One message that can never be stored, whole; ``detail`` names the element and column.

    ``stored_at_ns`` is JetStream's timestamp in nanoseconds since the Unix epoch.
    """

    sequence: int
    stored_at_ns: int
    subject: str
    payload: bytes
    reason: Reason
    detail: str


class RefusedPayloadError(Exception):
    """A payload cannot be stored; raised and caught inside the decoder only."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def excerpt(value: object, most: int = 80) -> str:
    """A value for a detail text: its repr, shortened to ``most`` characters."""
    text = repr(value)
    return text if len(text) <= most else text[: most - 3] + "..."
