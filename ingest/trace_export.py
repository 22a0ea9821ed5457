"""Finished traces to an OpenTelemetry collector, over OTLP/HTTP and in a thread of its own.

Imported only when ``trace.endpoint`` is set. A bounded number of spans waits; what comes while that
is full, and what the collector does not take within ``trace.timeout_s``, is dropped and counted. A
writer never waits for a trace, but for the collector's last answer when it ends.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Sequence

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span, Status, StatusCode, set_span_in_context
from prometheus_client import Counter

from ingest.settings import TraceSettings
from ingest.tracing import OK, Facts, Finished, Step, Trace

log = structlog.get_logger(__name__)

MOST_WAITING_SPANS = 4_096
LINGER_S = 1.0
"""Spans of this time go out in one request."""


class TraceExport:
    """Begins the traces of one writer and sends what finishes."""

    def __init__(
        self, settings: TraceSettings, lane: str, path: str, writer: str, dropped: Counter
    ) -> None:
        # It tells of every failure at length; one line of ours and the counter say enough.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._share = settings.share
        self._timeout_s = settings.timeout_s
        self._dropped = dropped
        self._spans_of = SpanMaker(lane, path, writer)
        self._exporter = OTLPSpanExporter(endpoint=settings.endpoint, timeout=settings.timeout_s)
        self._taken = True
        self._change = threading.Condition()
        self._waiting: list[Finished] = []
        self._waiting_spans = 0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def begin(self, steps: Sequence[Step]) -> Trace:
        """A trace that is sent when it finishes, or for a share of them not."""
        return Trace(steps, self._put if random.random() < self._share else None)

    def close(self) -> None:
        """Sends what waits; gives up after ``trace.timeout_s``."""
        with self._change:
            self._closing = True
            self._change.notify()
        self._thread.join(self._timeout_s)
        if self._thread.is_alive():
            self._exporter.shutdown()  # type: ignore[no-untyped-call]
            log.warning("traces_given_up", waited_s=self._timeout_s)

    def _put(self, finished: Finished) -> None:
        count = len(finished.steps) + 1
        with self._change:
            if not self._closing and self._waiting_spans + count <= MOST_WAITING_SPANS:
                self._waiting.append(finished)
                self._waiting_spans += count
                self._change.notify()
                return
        self._dropped.inc(count)

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._closing)
                self._change.wait_for(lambda: self._closing, LINGER_S)
                taken, self._waiting, self._waiting_spans = self._waiting, [], 0
                last = self._closing
            if taken:
                self._send([span for one in taken for span in self._spans_of(one)])
            if last:
                return

    def _send(self, spans: list[ReadableSpan]) -> None:
        taken = self._exporter.export(spans) is SpanExportResult.SUCCESS
        if not taken:
            self._dropped.inc(len(spans))
        if taken != self._taken:
            self._taken = taken
            if taken:
                log.info("traces_taken_again")
            else:
                log.warning("traces_dropped", spans=len(spans), hint="is trace.endpoint reachable?")


class SpanMaker:
    """Makes the spans of a finished trace: the batch, and under it a span for each step."""

    def __init__(self, lane: str, path: str, writer: str) -> None:
        self._name = f"{path} batch"
        self._lane: Facts = {"lane": lane, "path": path}
        self._ids = _Ids()
        self._made = _Made()
        provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.create(
                {"service.name": f"ingest-{path}", "service.instance.id": writer}
            ),
            shutdown_on_exit=False,
            id_generator=self._ids,
        )
        provider.add_span_processor(self._made)
        self._tracer = provider.get_tracer("ingest")

    def __call__(self, trace: Finished) -> list[ReadableSpan]:
        """The spans, the batch's last."""
        self._ids.trace_id, self._ids.next_span_id = trace.trace_id, trace.span_id
        whole = {**self._lane, **trace.facts}
        start, end = _times(trace.steps)
        root = self._tracer.start_span(
            self._name,
            context=Context(),
            attributes=_attributes(whole),
            start_time=_unix_ns(start, trace),
        )
        parent = set_span_in_context(root, Context())
        for step in trace.steps:
            self._end_child(step, trace, whole, parent)
        root.end(_unix_ns(end, trace))
        return self._made.take()

    def _end_child(self, step: Step, trace: Finished, whole: Facts, parent: Context) -> None:
        of_run = "first_seq" in step.facts
        base: Facts = {**self._lane, "epoch": whole["epoch"]} if of_run else whole
        span: Span = self._tracer.start_span(
            step.name,
            context=parent,
            attributes=_attributes({**base, **step.facts}),
            start_time=_unix_ns(step.start, trace),
        )
        if step.outcome != OK:
            span.set_status(Status(StatusCode.ERROR, step.outcome))
        span.end(_unix_ns(step.end, trace))


class _Ids(RandomIdGenerator):
    """Random ids, but for those of a batch: its log records carry them already."""

    trace_id = 0
    next_span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        known, self.next_span_id = self.next_span_id, 0
        return known or super().generate_span_id()


class _Made(SpanProcessor):
    """Keeps the spans that have ended until they are taken."""

    def __init__(self) -> None:
        self._spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self._spans.append(span)

    def take(self) -> list[ReadableSpan]:
        taken, self._spans = self._spans, []
        return taken


def _times(steps: Sequence[Step]) -> tuple[float, float]:
    return min(step.start for step in steps), max(step.end for step in steps)


def _unix_ns(monotonic_s: float, trace: Finished) -> int:
    return round(monotonic_s * 1e9) + trace.clock_ns


def _attributes(facts: Facts) -> dict[str, str | int]:
    return {f"ingest.{name}": value for name, value in facts.items()}
