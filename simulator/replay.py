"""Replays a CSV file as readings: long form (a row is one) or wide form (a row is several)."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from ingest.errors import SettingsError
from simulator.csv_times import TimeParser
from simulator.errors import CsvError
from simulator.manifest import fingerprint
from simulator.readings import Message, Reading, rfc3339, subject_of

COLUMNS = ("device_id", "site", "metric", "ts", "value", "unit", "quality")
ATTRIBUTE = "attributes."
RFC3339_MIN_US = -62_135_596_800_000_000  # year 1
RFC3339_MAX_US = 253_402_300_799_999_999  # year 9999

Row = tuple[int, dict[str, str]]
"""Line number, and cells by CSV column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """How a CSV file becomes readings.

    ``columns``: contract column to CSV column. ``constants``: contract column to a fixed text. Both
    know device_id, site, metric, ts, value, unit, quality and ``attributes.<name>``.
    ``value_columns``: wide form, one reading for each of these CSV columns that is not empty, with
    the column's name as metric; ``units`` maps those names to units.
    ``time_format``: see TimeParser. ``zone``: for times without one.
    ``since_us``, ``until_us``: only rows with since <= time < until (as they stand in the file).
    ``speed``: seconds of the series per second, 0 = as fast as it goes. ``shift_to_now_us``: moves
    the series so that its last row is at the moment when it is sent; the value is the time of the
    replay's start. ``oldest_us``, ``newest_us``: times that the contract takes; a row outside is an
    error, since it would be refused. Times in microseconds since the Unix epoch.
    Raises SettingsError.
    """

    path: Path
    columns: Mapping[str, str]
    constants: Mapping[str, str] = field(default_factory=dict)
    value_columns: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    time_format: str = "rfc3339"
    zone: str = "UTC"
    since_us: int | None = None
    until_us: int | None = None
    speed: float = 0.0
    shift_to_now_us: int | None = None
    oldest_us: int = RFC3339_MIN_US
    newest_us: int = RFC3339_MAX_US
    subject_prefix: str = "readings"

    def __post_init__(self) -> None:
        given = set(self.columns) | set(self.constants)
        for name in sorted(given):
            if name not in COLUMNS and not name.startswith(ATTRIBUTE):
                raise SettingsError(
                    f"unknown column {name!r}: expected one of {', '.join(COLUMNS)} "
                    f"or {ATTRIBUTE}<name>"
                )
        if both := set(self.columns) & set(self.constants):
            raise SettingsError(f"{', '.join(sorted(both))}: both mapped and constant")
        wide = {"metric", "value"} if self.value_columns else set()
        if clash := wide & given:
            raise SettingsError(
                f"{', '.join(sorted(clash))}: in wide form these come from the value columns"
            )
        if missing := {"device_id", "metric", "ts", "value"} - given - wide:
            raise SettingsError(
                f"nothing gives {', '.join(sorted(missing))}: map a CSV column or set a constant"
            )
        if "ts" in self.constants:
            raise SettingsError("ts: a constant time for every row makes no series")
        if not 0 <= self.speed < math.inf:
            raise SettingsError(f"speed is {self.speed}, must be finite and not negative")


class Replay:
    """Iterates the file's messages, one reading each, in the order of the file.

    Iterating raises CsvError, one sentence with file and line, for a row that cannot be readings;
    the messages before it have been yielded by then. Memory does not grow with the file.
    """

    def __init__(self, options: ReplayOptions) -> None:
        self.options = options
        self._times = TimeParser(options.time_format, options.zone)

    def __iter__(self) -> Iterator[Message]:
        options = self.options
        first_us, last_us = self._span() if self._needs_span else (0, 0)
        shift_us = 0
        if options.shift_to_now_us is not None:
            played_us = (last_us - first_us) / options.speed if options.speed else 0.0
            shift_us = options.shift_to_now_us + round(played_us) - last_us
        for line, row, ts_us in self._rows():
            due_s = max(0, ts_us - first_us) / 1e6 / options.speed if options.speed else 0.0
            for reading, document in self._readings(line, row, ts_us + shift_us):
                yield self._message(line, reading, document, due_s)

    @property
    def _needs_span(self) -> bool:
        return bool(self.options.speed) or self.options.shift_to_now_us is not None

    def _span(self) -> tuple[int, int]:
        """Earliest and latest time in the file, in a pass of its own."""
        earliest: int | None = None
        latest = 0
        for _, _, ts_us in self._rows():
            latest = ts_us if earliest is None else max(latest, ts_us)
            earliest = ts_us if earliest is None else min(earliest, ts_us)
        return (earliest or 0), latest

    def _rows(self) -> Iterator[tuple[int, dict[str, str], int]]:
        """Line, cells and time of the rows within ``since`` and ``until``."""
        column = self.options.columns["ts"]
        since, until = self.options.since_us, self.options.until_us
        for line, row in read_rows(self.options.path, self._wanted()):
            try:
                ts_us = self._times.parse(row[column])
            except ValueError as error:
                raise self._error(line, f"column {column}: {error}") from error
            if (since is None or ts_us >= since) and (until is None or ts_us < until):
                yield line, row, ts_us

    def _wanted(self) -> list[str]:
        return [*self.options.columns.values(), *self.options.value_columns]

    def _readings(
        self, line: int, row: dict[str, str], ts_us: int
    ) -> Iterator[tuple[Reading, dict[str, object]]]:
        """Each reading of the row with its JSON document."""
        options = self.options
        self._check_time(line, ts_us)
        texts = dict(options.constants)
        texts |= {name: row[column] for name, column in options.columns.items()}
        if not texts["device_id"]:
            raise self._error(line, "the device_id is empty")
        if not options.value_columns:
            if not texts["metric"]:
                raise self._error(line, "the metric is empty")
            column = options.columns.get("value", "value")
            yield self._reading(texts, ts_us, self._number(line, column, texts["value"]))
            return
        for column in options.value_columns:
            if row[column].strip():
                wide = texts | {"metric": column}
                if column in options.units:
                    wide["unit"] = options.units[column]
                yield self._reading(wide, ts_us, self._number(line, column, row[column]))

    def _check_time(self, line: int, ts_us: int) -> None:
        if not RFC3339_MIN_US <= ts_us <= RFC3339_MAX_US:
            raise self._error(line, "the time is outside the years 1 to 9999")
        ahead_us = ts_us - self.options.newest_us
        if self.options.speed and self.options.shift_to_now_us is not None:
            ahead_us = 0  # a row is sent when it is measured, however long that takes
        if ts_us < self.options.oldest_us or ahead_us > 0:
            side = "further ahead" if ahead_us > 0 else "older"
            raise self._error(
                line,
                f"{rfc3339(ts_us)} is {side} than the contract takes: shift the series to now, "
                "or choose another contract",
            )

    def _reading(
        self, texts: dict[str, str], ts_us: int, value: float
    ) -> tuple[Reading, dict[str, object]]:
        reading = Reading(
            texts["device_id"],
            texts.get("site", ""),
            texts["metric"],
            ts_us,
            value,
            texts.get("unit", ""),
        )
        document: dict[str, object] = {**reading._asdict(), "ts": rfc3339(ts_us)}
        del document["ts_us"]
        if "quality" in texts:
            document["quality"] = texts["quality"]
        attributes = {
            name.removeprefix(ATTRIBUTE): text
            for name, text in texts.items()
            if name.startswith(ATTRIBUTE)
        }
        if attributes:
            document["attributes"] = attributes
        return reading, document

    def _message(
        self, line: int, reading: Reading, document: dict[str, object], due_s: float
    ) -> Message:
        site = reading.site or "none"
        prefix = self.options.subject_prefix
        try:
            text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
            payload = text.encode()
        except UnicodeEncodeError as error:
            raise self._error(line, f"text that is no Unicode: {error}") from error
        return Message(
            subject=subject_of(prefix, site, reading.device_id, reading.metric),
            payload=payload,
            device=reading.device_id,
            readings=1,
            fingerprint=fingerprint(reading),
            due_s=due_s,
        )

    def _number(self, line: int, column: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self._error(line, f"column {column}: {text!r} is not a finite number")
        return value

    def _error(self, line: int, problem: str) -> CsvError:
        return CsvError(f"{self.options.path}, line {line}: {problem}")


def read_rows(path: Path, wanted: list[str]) -> Iterator[Row]:
    """Rows of a CSV file with a header line, UTF-8, separated by commas.

    Raises CsvError when the file cannot be read, lacks a ``wanted`` column, or a row has another
    number of cells than the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            try:
                yield from _checked_rows(path, reader, wanted)
            except csv.Error as error:
                raise CsvError(f"{path}, line {reader.line_num}: {error}") from error
            except UnicodeDecodeError as error:
                raise CsvError(f"{path}, after line {reader.line_num}: not UTF-8") from error
    except OSError as error:
        raise CsvError(f"{path}: cannot be read: {error.strerror}") from error


def _checked_rows(path: Path, reader: Iterator[list[str]], wanted: list[str]) -> Iterator[Row]:
    header = next(reader, None)
    if not header:
        raise CsvError(f"{path}, line 1: expected a header with column names, found nothing")
    for name in wanted:
        if header.count(name) != 1:
            found = "twice" if name in header else "not"
            raise CsvError(
                f"{path}, line 1: column {name!r} is {found} there; found: {', '.join(header)}"
            )
    for cells in reader:
        line: int = reader.line_num  # type: ignore[attr-defined]
        if not cells:
            continue
        if len(cells) != len(header):
            raise CsvError(
                f"{path}, line {line}: {len(cells)} cells, expected {len(header)} as in the header"
            )
        yield line, dict(zip(header, cells, strict=True))


def sample_series() -> Path:
    """Path of a real series: hourly temperatures in Seattle over 2010, degrees Fahrenheit.

    8,759 rows with the columns ``date`` (local standard time, ``%Y/%m/%d %H:%M``) and ``temp``.
    Data of NOAA, in the public domain, as packaged by vega-datasets. Raises SettingsError without.
    """
    spec = find_spec("vega_datasets")
    if spec is None or spec.origin is None:
        raise SettingsError("the sample series needs the package vega-datasets: pip install it")
    return Path(spec.origin).parent / "_data" / "seattle-temps.csv"


def sample_options(
    *, subject_prefix: str, shift_to_now_us: int | None = None, since_us: int | None = None
) -> ReplayOptions:
    """Options that replay the sample series as fast as it goes; see ReplayOptions."""
    return ReplayOptions(
        path=sample_series(),
        columns={"ts": "date", "value": "temp"},
        constants={
            "device_id": "seattle-station",
            "site": "seattle",
            "metric": "temperature",
            "unit": "[degF]",
        },
        time_format="%Y/%m/%d %H:%M",
        zone="-08:00",
        subject_prefix=subject_prefix,
        shift_to_now_us=shift_to_now_us,
        since_us=since_us,
    )
