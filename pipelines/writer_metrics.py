"""What a writer's /metrics page says of its lane: position, lag, ages of readings, insert times."""

from __future__ import annotations

import http.client
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample as Series

from pipelines.ages import Ages

_GAUGES = {
    "ingest_active": "active",
    "ingest_stream_last_seq": "last_seq",
    "ingest_lag_messages": "lag_messages",
    "ingest_lag_seconds": "lag_s",
    "ingest_lag_measured_timestamp_seconds": "measured_at",
    "ingest_retention_headroom_seconds": "headroom_s",
}
_AGES = "ingest_reading_age_seconds_bucket"
_INSERTS = "ingest_sink_seconds"
_WANTED = (*_GAUGES, _AGES, f"{_INSERTS}_sum", f"{_INSERTS}_count")


class PageError(Exception):
    """A page could not be had; the message names its address and the reason."""


@dataclass
class WriterPage:
    """One lane's writer; counts are since its start, ``measured_at`` (Unix time) is of the lag."""

    active: float = 0.0
    last_seq: float = 0.0
    lag_messages: float = 0.0
    lag_s: float = 0.0
    measured_at: float = 0.0
    headroom_s: float = math.inf
    inserts: float = 0.0
    inserts_s: float = 0.0
    reached: dict[float, float] = field(default_factory=dict)

    @property
    def ages(self) -> Ages | None:
        """Ages of all readings so far; None for a path that does not count them."""
        bounds = sorted(self.reached)
        cumulative = [self.reached[bound] for bound in bounds]
        counts = [now - before for now, before in zip(cumulative, [0.0, *cumulative], strict=False)]
        return Ages(tuple(bounds), tuple(counts)) if bounds else None


def fetch(url: str, timeout_s: float) -> str:
    """The page's text. Raises PageError."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", parts.path or "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise PageError(f"{parts.netloc} does not answer: {error!r}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise PageError(f"{parts.netloc} answers {answer.status}")
    return text


def parse(text: str, path: str) -> dict[str, WriterPage]:
    """Writers of ``path`` by lane. Raises PageError for what is no such page."""
    pages: dict[str, WriterPage] = {}
    try:
        for series in _series(text):
            lane = series.labels.get("lane")
            if lane is not None and series.labels.get("path", path) == path:
                _note(pages.setdefault(lane, WriterPage()), series)
    except ValueError as error:
        raise PageError(f"not a page of metrics: {error}") from error
    return pages


def _series(text: str) -> Iterator[Series]:
    """The series that are asked for; the others are not even parsed, there are many."""
    wanted = "\n".join(line for line in text.splitlines() if line.startswith(_WANTED))
    for family in text_string_to_metric_families(wanted + "\n"):
        yield from family.samples


def _note(page: WriterPage, series: Series) -> None:
    if series.name in _GAUGES:
        setattr(page, _GAUGES[series.name], series.value)
    elif series.name == _AGES:
        page.reached[float(series.labels["le"])] = series.value
    elif (series.labels.get("sink"), series.labels.get("outcome")) == ("clickhouse", "ok"):
        if series.name.endswith("_sum"):
            page.inserts_s += series.value
        else:
            page.inserts += series.value


def active(pages: Iterable[dict[str, WriterPage]], lane: str) -> WriterPage | None:
    """The lane's writer that is at work and has measured its lag, among several pages."""
    for page in pages:
        found = page.get(lane)
        if found is not None and found.active and found.measured_at:
            return found
    return None
