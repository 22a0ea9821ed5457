"""Times as they stand in CSV files, by a format that is chosen and never guessed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from ingest.errors import SettingsError
from simulator.readings import EPOCH

MICROSECOND = timedelta(microseconds=1)
EPOCH_UNITS = {
    "epoch-s": Decimal(1_000_000),
    "epoch-ms": Decimal(1_000),
    "epoch-us": Decimal(1),
    "epoch-ns": Decimal("0.001"),
}
MAX_EXPONENT = 20  # beyond any time in any unit
FORMATS = ("rfc3339", *EPOCH_UNITS)


def parse_zone(text: str) -> tzinfo:
    """Time zone of an offset (``-08:00``) or a name (``Europe/Vienna``).

    Raises SettingsError for anything else.
    """
    if text.upper() in ("UTC", "Z"):
        return UTC
    try:
        if text.startswith(("+", "-")):
            offset = datetime.fromisoformat(f"2000-01-01T00:00:00{text}").tzinfo
            assert offset is not None
            return offset
        return ZoneInfo(text)
    except (ValueError, KeyError, OSError) as error:
        raise SettingsError(
            f"unknown time zone {text!r}: expected an offset like -08:00 or a name like "
            "Europe/Vienna"
        ) from error


class TimeParser:
    """Parses times of one format.

    ``time_format``: ``rfc3339`` (ISO 8601 date and time), ``epoch-s|ms|us|ns`` (a number since the
    Unix epoch), or a strptime pattern (it contains a ``%``). Times without a zone are in ``zone``.
    Raises SettingsError for another format or an unknown zone.
    """

    def __init__(self, time_format: str, zone: str) -> None:
        if time_format not in FORMATS and "%" not in time_format:
            raise SettingsError(
                f"unknown time format {time_format!r}: expected one of {', '.join(FORMATS)} "
                "or a pattern like %Y-%m-%d %H:%M:%S"
            )
        self._format = time_format
        self._unit = EPOCH_UNITS.get(time_format)
        self._zone = parse_zone(zone)

    def parse(self, text: str) -> int:
        """Microseconds since the Unix epoch, rounded down.

        Raises ValueError that says what was found and expected.
        """
        if self._unit is not None:
            return self._from_number(text, self._unit)
        try:
            if self._format == "rfc3339":
                moment = datetime.fromisoformat(text.strip())
            else:
                moment = datetime.strptime(text.strip(), self._format)  # noqa: DTZ007 - zone below
        except ValueError as error:
            raise ValueError(f"{text!r} is not a time of the format {self._format}") from error
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self._zone)
        return (moment - EPOCH) // MICROSECOND

    def _from_number(self, text: str, unit: Decimal) -> int:
        try:
            number = Decimal(text.strip())
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite() or number.adjusted() > MAX_EXPONENT:
            raise ValueError(f"{text!r} is not a time, expected a number ({self._format})")
        return int((number * unit).to_integral_value("ROUND_FLOOR"))
