"""RFC 3339 timestamps and dates, a whole column at a time, strictly and without a clock.

Accepted: ``YYYY-MM-DDTHH:MM:SS[.1-9 digits](Z|+HH:MM|-HH:MM)``; ``t``, ``z`` and a space for the
``T`` as RFC 3339 allows. Digits beyond microseconds are cut. No leap second, no 24:00.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# ClickHouse's DateTime64 and Date32 hold these years; beyond them it clamps without an error.
EARLIEST_US = -2_208_988_800_000_000  # 1900-01-01T00:00:00Z
LATEST_US = 10_413_791_999_999_999  # 2299-12-31T23:59:59.999999Z
EARLIEST_DAY = EARLIEST_US // 86_400_000_000
LATEST_DAY = LATEST_US // 86_400_000_000

_DAYS_IN_MONTH = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)
_SECONDS_LENGTH = 19  # YYYY-MM-DDTHH:MM:SS
_ZONE_LENGTH = 6  # +HH:MM


def in_supported_range(microseconds: int) -> bool:
    """Whether every sink can hold this moment (1900 to 2299)."""
    return EARLIEST_US <= microseconds <= LATEST_US


def parse_rfc3339(text: str) -> int | None:
    """Microseconds since the Unix epoch, None when the text is not a timestamp with a zone."""
    values, valid = rfc3339_column(pa.array([text], pa.string()))
    return int(values[0]) if valid[0] else None


def parse_date(text: str) -> int | None:
    """Days since the Unix epoch, None when the text is no date from 1900 to 2299."""
    values, valid = date_column(pa.array([text], pa.string()))
    day = int(values[0])
    return day if valid[0] and EARLIEST_DAY <= day <= LATEST_DAY else None


def rfc3339_column(texts: pa.StringArray) -> tuple[Int64Array, BoolArray]:
    """Microseconds since the Unix epoch (int64) and which rows hold a timestamp (bool).

    Rows that are null or not a timestamp are 0 and not valid.
    """
    values = np.zeros(len(texts), np.int64)
    valid = np.zeros(len(texts), np.bool_)
    for rows, characters in _rows_by_length(texts):
        length = characters.shape[1]
        if length <= _SECONDS_LENGTH:
            continue
        zulu = (characters[:, -1] | 0x20) == ord("z")
        for subset, zone in ((zulu, 1), (~zulu, _ZONE_LENGTH)):
            if not subset.any():
                continue
            some = characters if subset.all() else characters[subset]
            where = rows[subset]
            values[where], valid[where] = _moments(some, zone)
    return values, valid


def date_column(texts: pa.StringArray) -> tuple[Int64Array, BoolArray]:
    """Days since the Unix epoch (int64) and which rows hold a ``YYYY-MM-DD`` date (bool)."""
    values = np.zeros(len(texts), np.int64)
    valid = np.zeros(len(texts), np.bool_)
    for rows, characters in _rows_by_length(texts):
        if characters.shape[1] == len("YYYY-MM-DD"):
            days, fine = _days(characters)
            values[rows], valid[rows] = np.where(fine, days, 0), fine
    return values, valid


def _rows_by_length(
    texts: pa.StringArray,
) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.uint8]]]:
    """Row numbers and their bytes as a matrix, for each byte length that a timestamp may have."""
    count = len(texts)
    if count == 0:
        return []
    offsets = np.frombuffer(texts.buffers()[1], np.int32, count + 1, texts.offset * 4)
    data = texts.buffers()[2]
    bytes_ = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    lengths = np.diff(offsets)
    groups = []
    for length in np.unique(lengths):
        if not len("YYYY-MM-DD") <= length <= _SECONDS_LENGTH + 10 + _ZONE_LENGTH:
            continue
        rows = np.flatnonzero(lengths == length)
        if len(rows) == count:
            matrix = bytes_[offsets[0] : offsets[-1]].reshape(count, length)
        else:
            matrix = bytes_[offsets[rows][:, None] + np.arange(length)]
        groups.append((rows, matrix))
    return groups


def _moments(characters: npt.NDArray[np.uint8], zone: int) -> tuple[Int64Array, BoolArray]:
    """Values of rows that share one length and one length of zone."""
    count, length = characters.shape
    fraction = length - _SECONDS_LENGTH - zone
    if fraction not in (0, *range(2, 11)):
        return np.zeros(count, np.int64), np.zeros(count, np.bool_)
    days, valid = _days(characters)
    separator = characters[:, 10]
    valid &= ((separator | 0x20) == ord("t")) | (separator == ord(" "))
    valid &= (characters[:, 13] == ord(":")) & (characters[:, 16] == ord(":"))
    hour, minute, second = (_number(characters, at, 2, valid) for at in (11, 14, 17))
    valid &= (hour < 24) & (minute < 60) & (second < 60)
    values = ((days * 24 + hour) * 60 + minute) * 60 + second
    if zone == _ZONE_LENGTH:
        values -= _offset_seconds(characters, length - zone, valid)
    values *= 1_000_000
    if fraction:
        digits = fraction - 1
        valid &= characters[:, _SECONDS_LENGTH] == ord(".")
        part = _number(characters, _SECONDS_LENGTH + 1, digits, valid)
        values += part * 10 ** (6 - digits) if digits <= 6 else part // 10 ** (digits - 6)
    return np.where(valid, values, 0), valid


def _offset_seconds(characters: npt.NDArray[np.uint8], at: int, valid: BoolArray) -> Int64Array:
    sign = characters[:, at]
    valid &= ((sign == ord("+")) | (sign == ord("-"))) & (characters[:, at + 3] == ord(":"))
    hours = _number(characters, at + 1, 2, valid)
    minutes = _number(characters, at + 4, 2, valid)
    valid &= (hours < 24) & (minutes < 60)
    seconds: Int64Array = hours * 3600 + minutes * 60
    return np.where(sign == ord("-"), -seconds, seconds)


def _days(characters: npt.NDArray[np.uint8]) -> tuple[Int64Array, BoolArray]:
    """Days since the Unix epoch of the leading ``YYYY-MM-DD``, and whether it is a real date."""
    valid = (characters[:, 4] == ord("-")) & (characters[:, 7] == ord("-"))
    year = _number(characters, 0, 4, valid)
    month = _number(characters, 5, 2, valid)
    day = _number(characters, 8, 2, valid)
    valid &= (month >= 1) & (month <= 12) & (day >= 1)
    leap = ((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0)
    month = np.where(valid, month, 1)
    valid &= day <= _DAYS_IN_MONTH[month] - ((month == 2) & ~leap)
    # Howard Hinnant's days_from_civil: years begin in March, so that the leap day comes last.
    shifted = year - (month <= 2)
    era_year = shifted % 400
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    day_of_era = era_year * 365 + era_year // 4 - era_year // 100 + day_of_year
    return (shifted // 400) * 146_097 + day_of_era - 719_468, valid


def _number(
    characters: npt.NDArray[np.uint8], at: int, digits: int, valid: BoolArray
) -> Int64Array:
    """Decimal digits from a column on; rows with anything else are marked as not valid."""
    value = np.zeros(len(characters), np.int64)
    for column in range(at, at + digits):
        digit = characters[:, column] - np.uint8(ord("0"))
        valid &= digit < 10
        value = value * 10 + digit
    return value
