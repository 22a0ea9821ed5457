"""Traces of batches: what is noted, what is sent, and what is dropped rather than waited for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, Counter
from pydantic import ValidationError

from ingest import trace_export
from ingest.errors import SettingsError
from ingest.ranges import SequenceRange
from ingest.settings import TraceSettings
from ingest.trace_export import TraceExport
from ingest.tracing import MOST_STEPS, NO_TRACE, Finished, Step, Trace, no_trace, traces
from tests.support.collector import Collector
from tests.support.waiting import until

COVERED = SequenceRange(11, 20)


class Told:
    """Keeps what a trace tells."""

    def __init__(self) -> None:
        self.finished: list[Finished] = []

    def __call__(self, one: Finished) -> None:
        """Takes a finished trace."""
        self.finished.append(one)

    @property
    def names(self) -> list[str]:
        """Names of the steps of the only trace."""
        (one,) = self.finished
        return [step.name for step in one.steps]


def dropped_counter() -> Counter:
    """A counter in a registry of its own."""
    return Counter("dropped", "Spans", registry=CollectorRegistry())


def count_of(counter: Counter) -> float:
    """The counter's value."""
    return float(counter.collect()[0].samples[0].value)


def export_to(endpoint: str, dropped: Counter, **settings: float) -> TraceExport:
    """An export as a writer makes it."""
    return TraceExport(
        TraceSettings(endpoint=endpoint, **settings), "READINGS", "hot", "w1", dropped
    )


def finish(trace: Trace) -> None:
    """Ends a trace of two steps."""
    trace.step("decode", time.monotonic())
    trace.finish(COVERED, "e1", rows=10, refused=0)


def test_a_trace_is_told_once_with_its_steps_and_facts() -> None:
    """Steps keep their order, a failed one its error; what comes after the end changes nothing."""
    told = Told()
    trace = Trace([Step("read", 1.0, 2.0, {})], told)
    ids = trace.ids
    with trace.timed("insert"), pytest.raises(ZeroDivisionError), trace.timed("settle"):
        _ = 1 // 0
    trace.finish(COVERED, "e1", rows=10)
    trace.step("late", 3.0)
    trace.finish(COVERED, "e1", rows=10)

    assert told.names == ["read", "settle", "insert"]
    (one,) = told.finished
    assert [step.outcome for step in one.steps] == ["ok", "ZeroDivisionError", "ok"]
    assert one.facts == {"epoch": "e1", "first_seq": 11, "last_seq": 20, "rows": 10}
    assert ids == {"trace_id": f"{one.trace_id:032x}", "span_id": f"{one.span_id:016x}"}


def test_a_batch_that_is_not_sampled_has_no_ids() -> None:
    """Its log lines lead to no trace, so they name none."""
    assert Trace((), None).ids == {}
    assert NO_TRACE.ids == {}


def test_batches_of_one_run_share_its_read() -> None:
    """A trace adopts what came after its own steps, so that no run is shown twice."""
    told = Told()
    run = [Step("read", 1.0, 2.0, {}), Step("decode", 2.0, 3.0, {})]
    first, second, third = (Trace(steps, told) for steps in (run, run, [Step("read", 9, 10, {})]))
    first._steps.append(Step("spool", 3.0, 4.0, {}))
    second._steps.append(Step("spool", 4.0, 5.0, {}))
    for one in (first, second, third):
        first.adopt(one)
    first.finish(COVERED, "e1")

    assert told.names == ["read", "decode", "spool", "spool", "read"]


def test_a_commit_of_many_runs_keeps_its_own_steps() -> None:
    """Steps of runs beyond the limit are counted; the commit's are there all the same."""
    told = Told()
    trace = Trace((), told)
    for number in range(MOST_STEPS + 5):
        trace.adopt(Trace([Step("read", number, number + 1, {})], None))
    trace.step("commit", time.monotonic())
    trace.finish(COVERED, "e1")

    assert len(told.names) == MOST_STEPS + 1
    assert told.names[-1] == "commit"
    assert told.finished[0].facts["steps_left_out"] == 5


def test_spans_arrive_with_the_ids_of_the_logs() -> None:
    """The batch has the ids that its log lines had; times are those of the clock."""
    dropped = dropped_counter()
    before = time.time_ns()
    with Collector() as collector:
        export = export_to(collector.endpoint, dropped)
        trace = export.begin([])
        ids = trace.ids
        finish(trace)
        export.close()
        ((batch, step),) = collector.traces()

    assert {"trace_id": batch.trace_id, "span_id": batch.span_id} == ids
    assert (step.name, step.parent_id) == ("decode", batch.span_id)
    assert batch.attributes == {
        "ingest.lane": "READINGS",
        "ingest.path": "hot",
        "ingest.epoch": "e1",
        "ingest.first_seq": 11,
        "ingest.last_seq": 20,
        "ingest.rows": 10,
        "ingest.refused": 0,
    }
    assert before - 1_000 <= step.start_ns <= step.end_ns <= time.time_ns() + 1_000
    assert count_of(dropped) == 0


@pytest.mark.parametrize(("share", "sent"), [(0.0, 0), (1.0, 20)])
def test_only_the_share_that_is_asked_for_is_sent(share: float, sent: int) -> None:
    """A share of 0 sends nothing, 1 everything."""
    with Collector() as collector:
        export = export_to(collector.endpoint, dropped_counter(), share=share)
        for _ in range(20):
            finish(export.begin([]))
        export.close()

        assert len(collector.batches()) == sent


def test_a_collector_that_refuses_holds_nothing_up() -> None:
    """Traces beyond the bound are dropped at once, refused ones later; all are counted."""
    dropped = dropped_counter()
    many = trace_export.MOST_WAITING_SPANS
    with Collector(deaf=True) as collector:
        export = export_to(collector.endpoint, dropped, timeout_s=0.3)
        started = time.monotonic()
        for _ in range(many):
            finish(export.begin([]))
        assert time.monotonic() - started < 2.0
        assert count_of(dropped) > 0
        until(lambda: collector.requests, "a request")
        export.close()
        until(lambda: count_of(dropped) == 2 * many, "every span counted as dropped")


def test_an_end_waits_for_no_collector_longer_than_it_may() -> None:
    """Nobody listens: closing takes about trace.timeout_s, whatever waits."""
    dropped = dropped_counter()
    with Collector() as gone:
        endpoint = gone.endpoint
    export = export_to(endpoint, dropped, timeout_s=0.3)
    finish(export.begin([]))
    started = time.monotonic()
    export.close()

    assert time.monotonic() - started < 1.5
    until(lambda: count_of(dropped) == 2, "the spans counted as dropped")


def test_without_an_endpoint_nothing_is_begun() -> None:
    """Every batch gets the same trace, which notes nothing."""

    async def begun() -> Callable[..., Trace]:
        async with traces(TraceSettings(), "R", "hot", "w", dropped_counter()) as begin:
            return begin

    assert asyncio.run(begun()) is no_trace


def test_an_endpoint_without_the_packages_is_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error names what is missing and the extra that brings it."""
    monkeypatch.delitem(sys.modules, "ingest.trace_export")
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)

    async def begin() -> None:
        settings = TraceSettings(endpoint="http://127.0.0.1:1/v1/traces")
        async with traces(settings, "R", "hot", "w", dropped_counter()):
            raise AssertionError("began")

    with pytest.raises(
        SettingsError, match=r"opentelemetry.* not installed.*iot-lakehouse\[trace\]"
    ):
        asyncio.run(begin())


def test_the_writers_import_no_opentelemetry() -> None:
    """All modules of both paths are imported, and nothing of OpenTelemetry is."""
    code = (
        "import sys, ingest.service, ingest.hot, ingest.lake, ingest.sinks.clickhouse,"
        " ingest.sinks.iceberg, ingest.commands.run;"
        " print([m for m in sys.modules if m.startswith(('opentelemetry', 'ingest.trace_'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("endpoint", "kept"), [(" ", ""), (" http://a:4318/v1/traces ", "http://a:4318/v1/traces")]
)
def test_space_around_an_endpoint_counts_for_nothing(endpoint: str, kept: str) -> None:
    """An endpoint of space is none."""
    assert TraceSettings(endpoint=endpoint).endpoint == kept


def test_an_endpoint_is_a_url() -> None:
    """A host alone, as for gRPC, is refused."""
    with pytest.raises(ValidationError, match="should match pattern"):
        TraceSettings(endpoint="jaeger:4317")
