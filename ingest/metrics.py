"""Every metric that ingest exports, named and described once."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.registry import CollectorRegistry

from ingest.reading_ages import ReadingAges

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
ROWS = (1, 10, 100, 1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000)
BYTES = tuple(float(1 << power) for power in range(10, 31, 2))


@dataclass(frozen=True)
class ReaderMetrics:
    """What a lane reader counts, already labelled with lane and path."""

    frames_lost: Counter
    holes: Counter
    repulls: Counter
    buffer_bytes: Gauge
    pull_paused: Gauge


class Metrics:
    """The metrics of one process in a registry of their own (several processes fit in a test)."""

    def __init__(self, lane: str, path: str) -> None:
        self.lane = lane
        self.path = path
        self.watermark_now = 0
        self.registry = CollectorRegistry()
        both = ("lane", "path")
        self._messages = self._counter(
            "ingest_messages", "Messages settled, by outcome", (*both, "outcome")
        )
        self._rows = self._counter("ingest_rows", "Rows stored", both)
        self._refused = self._counter(
            "ingest_refused", "Messages refused, by reason", (*both, "reason")
        )
        self._batch_rows = self._histogram(
            "ingest_batch_rows", "Rows of an insert or commit", both, ROWS
        )
        self._batch_bytes = self._histogram(
            "ingest_batch_bytes", "Arrow bytes of an insert or commit", both, BYTES
        )
        self._batch_age = self._histogram(
            "ingest_batch_age_seconds", "Age of a batch's oldest message when stored", both, SECONDS
        )
        self._sink = self._histogram(
            "ingest_sink_seconds",
            "Time of one step of a sink",
            ("lane", "sink", "step", "outcome"),
            SECONDS,
        )
        self._events = {
            name: self._counter(name, text, both)
            for name, text in (
                ("ingest_commit_conflicts", "Commits refused because the table had changed"),
                ("ingest_commit_unknown", "Writes whose outcome had to be looked up"),
                ("ingest_commit_found_landed", "Writes found landed without an answer"),
                ("ingest_frames_lost", "Times that frames were lost between server and reader"),
                ("ingest_stream_holes", "Sequences that the stream does not hold"),
                ("ingest_history_rewritten", "Times that the stream's history was rewritten"),
                ("ingest_watchdog_repulls", "Readers opened again because the server was silent"),
                ("ingest_fenced", "Times that another writer took the lane"),
                ("ingest_lost_messages", "Messages removed by retention before they were read"),
                ("ingest_reader_openings", "Times that the reader was opened"),
                ("ingest_trace_spans_dropped", "Spans that the trace collector did not take"),
            )
        }
        # At 0 from the start: Prometheus sees no increase from "not there" to 1.
        for counter in self._events.values():
            counter.labels(lane, path)
        self._gauges = {
            name: self._gauge(name, text, both)
            for name, text in (
                ("ingest_stream_last_seq", "Last sequence of the stream"),
                ("ingest_lag_messages", "Messages between the watermark and the stream's end"),
                ("ingest_lag_seconds", "Age of the oldest message beyond the watermark"),
                ("ingest_lag_measured_timestamp_seconds", "When the lag was measured, Unix time"),
                ("ingest_retention_headroom_messages", "Messages that retention is away from us"),
                ("ingest_retention_headroom_seconds", "Estimated time until unread data is lost"),
                ("ingest_buffer_bytes", "Payload bytes read ahead"),
                ("ingest_pull_paused", "1 while no pull is open because the buffer is full"),
                ("ingest_active", "1 when this process is the lane's writer, 0 on standby"),
            )
        }
        self._watermark = self._gauge(
            "ingest_watermark_seq", "Last sequence durable in the sink", ("sink", "lane")
        )
        self._freshness = self._gauge(
            "ingest_freshness_seconds", "Age of the newest stored reading", ("sink", "lane", "time")
        )
        self.reading_ages = ReadingAges(lane, path)
        if path == "hot":
            self.registry.register(self.reading_ages)

    def reader(self) -> ReaderMetrics:
        """The reader's share, labelled."""
        return ReaderMetrics(
            frames_lost=self.event("ingest_frames_lost"),
            holes=self.event("ingest_stream_holes"),
            repulls=self.event("ingest_watchdog_repulls"),
            buffer_bytes=self.gauge("ingest_buffer_bytes"),
            pull_paused=self.gauge("ingest_pull_paused"),
        )

    def event(self, name: str) -> Counter:
        """Counter of one kind of event."""
        return self._events[name].labels(self.lane, self.path)

    def gauge(self, name: str) -> Gauge:
        """Gauge of the lane and path."""
        return self._gauges[name].labels(self.lane, self.path)

    def settled(self, stored: int, refused: dict[str, int], holes: int) -> None:
        """Counts messages whose fate is durable: stored ones, refused by reason, holes."""
        self._messages.labels(self.lane, self.path, "stored").inc(stored)
        for reason, count in refused.items():
            self._messages.labels(self.lane, self.path, "refused").inc(count)
            self._refused.labels(self.lane, self.path, reason).inc(count)
        self._messages.labels(self.lane, self.path, "hole").inc(holes)

    def batch(self, rows: int, size: int, age_s: float) -> None:
        """Counts one stored batch."""
        self._rows.labels(self.lane, self.path).inc(rows)
        self._batch_rows.labels(self.lane, self.path).observe(rows)
        self._batch_bytes.labels(self.lane, self.path).observe(size)
        self._batch_age.labels(self.lane, self.path).observe(age_s)

    def sink_step(self, sink: str, step: str, outcome: str, seconds: float) -> None:
        """Times one step of a sink."""
        self._sink.labels(self.lane, sink, step, outcome).observe(seconds)

    def watermark(self, sink: str, sequence: int) -> None:
        """Sets the sink's watermark."""
        self.watermark_now = sequence
        self._watermark.labels(sink, self.lane).set(sequence)

    def freshness(self, sink: str, *, event_s: float, stored_s: float) -> None:
        """Sets the age of the newest stored reading by event time and by stream time."""
        self._freshness.labels(sink, self.lane, "event").set(event_s)
        self._freshness.labels(sink, self.lane, "stored").set(stored_s)

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...]) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]
    ) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)
