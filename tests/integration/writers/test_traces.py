"""Traces of both writers, against the real servers and the other end of OTLP."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.support.collector import Collector, Seen
from tests.support.lane import TestLane, Writer
from tests.support.proxy import Action, HttpProxy

STEPS = {
    "hot": ["read", "decode", "intent", "insert", "done"],
    "lake": ["read", "decode", "spool", "upload", "stage", "commit", "settle"],
}
COUNT = 5_000


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that takes everything."""
    with Collector() as listening:
        yield listening


def wait(lane: TestLane, path: str, sequence: int) -> None:
    """Waits until the path has stored the sequence."""
    (lane.wait_hot if path == "hot" else lane.wait_lake)(sequence)


@pytest.mark.parametrize("path", ["hot", "lake"])
def test_every_batch_is_one_trace(lane: TestLane, collector: Collector, path: str) -> None:
    """The ranges of all traces are the stream, each step lies in its batch after the one before."""
    lane.init()
    lane.publish([*lane.readings(COUNT - 10), *[b"not json"] * 10])
    writer = lane.start(path, IOT_TRACE__ENDPOINT=collector.endpoint)
    wait(lane, path, COUNT)
    lane.publish(lane.readings(100))
    wait(lane, path, COUNT + 100)
    assert writer.drain() == 0

    batches = collector.batches()
    assert batches[0].range[0] == 1
    assert batches[-1].range[1] == COUNT + 100
    assert [one.range[1] + 1 for one in batches[:-1]] == [one.range[0] for one in batches[1:]]
    assert sum(int(one.attributes["ingest.rows"]) for one in batches) == COUNT + 90
    assert sum(int(one.attributes["ingest.refused"]) for one in batches) == 10
    for trace in collector.traces():
        expect_sound(lane, path, trace)
    expect_logs(writer, "batch" if path == "hot" else "commit", batches)


def expect_sound(lane: TestLane, path: str, trace: list[Seen]) -> None:
    """One trace: the batch, and its steps in order, each within it and apart from the others."""
    batch, *steps = trace
    names = [step.name for step in steps]
    if path == "lake" or batch.attributes["ingest.rows"]:
        assert [name for name in STEPS[path] if name not in names] == []
    assert set(names) <= {*STEPS[path], "refuse"}
    assert {step.parent_id for step in steps} == {batch.span_id}
    assert (batch.service, batch.name, batch.parent_id) == (f"ingest-{path}", f"{path} batch", "")
    assert (batch.start_ns, batch.end_ns) == (steps[0].start_ns, max(one.end_ns for one in steps))
    for earlier, later in pairwise(steps):
        assert earlier.start_ns <= earlier.end_ns <= later.start_ns, (earlier, later)
    for span in trace:
        assert span.attributes["ingest.lane"] == lane.stream
        assert span.attributes["ingest.path"] == path
        assert span.attributes["ingest.epoch"] == batch.attributes["ingest.epoch"]
        assert not span.failed
    reads = [step for step in steps if step.name == "read"]
    assert reads[0].range[0] <= batch.range[0]
    assert reads[-1].range[1] >= batch.range[1]


def expect_logs(writer: Writer, event: str, batches: list[Seen]) -> None:
    """The line of each batch names its trace."""
    lines = [(line["trace_id"], line["span_id"]) for line in writer.said(event)]
    assert sorted(lines) == sorted((one.trace_id, one.span_id) for one in batches)


def test_an_insert_without_an_answer_is_an_error_and_then_settled(
    lane: TestLane, collector: Collector
) -> None:
    """The trace shows the error and the look that followed; the line of log leads to it."""
    lane.init()
    lane.publish(lane.readings(100))
    url = urlsplit(lane.stack.env["IOT_CLICKHOUSE__URL"])
    with HttpProxy(url.port or 0) as proxy:
        proxy.fail(Action.CUT_AFTER, "INSERT INTO")
        place = f"{url.username}:{url.password}@127.0.0.1:{proxy.port}"
        hot = lane.start(
            "hot",
            IOT_CLICKHOUSE__URL=urlunsplit(url._replace(netloc=place)),
            IOT_TRACE__ENDPOINT=collector.endpoint,
        )
        lane.wait_hot(100)
        assert hot.drain() == 0

    trace = collector.traces()[0]
    names = [step.name for step in trace[1:]]
    assert names == ["read", "decode", "intent", "insert", "settle", "done"]
    (failed,) = [span for span in trace if span.failed]
    assert (failed.name, failed.attributes["ingest.outcome"]) == ("insert", "OutcomeUnknownError")
    assert [line["trace_id"] for line in hot.said("insert_failed")] == [failed.trace_id]


@pytest.mark.chaos
@pytest.mark.parametrize("path", ["hot", "lake"])
def test_a_collector_that_is_away_costs_spans_and_nothing_else(lane: TestLane, path: str) -> None:
    """All is stored, the writer drains with exit 0, and one line says that spans are lost."""
    with Collector() as gone:
        endpoint = gone.endpoint
    lane.init()
    lane.publish(lane.readings(COUNT))
    writer = lane.start(path, IOT_TRACE__ENDPOINT=endpoint, IOT_TRACE__TIMEOUT_S="0.5")
    wait(lane, path, COUNT)
    assert writer.drain() == 0

    rows = lane.hot_rows() if path == "hot" else lane.lake_rows()
    assert rows == [(seq, 0) for seq in range(1, COUNT + 1)]
    assert len(writer.said("traces_dropped")) == 1
    assert "Traceback" not in writer.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", ["hot", "lake"])
def test_without_an_endpoint_opentelemetry_is_not_imported(lane: TestLane, path: str) -> None:
    """A writer that traces nothing pays for nothing: its imports, told by Python, show it."""
    lane.init()
    lane.publish(lane.readings(100))
    writer = lane.start(path, PYTHONPROFILEIMPORTTIME="1")
    wait(lane, path, 100)
    assert writer.drain() == 0

    imported = writer.log.read_text(encoding="utf-8")
    assert "ingest.tracing" in imported
    assert "opentelemetry" not in imported
    assert "ingest.trace_export" not in imported
