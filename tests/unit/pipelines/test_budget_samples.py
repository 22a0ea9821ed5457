"""Samples are the differences of two pages that a writer really exports."""

from __future__ import annotations

import time

import numpy as np
import pytest
from prometheus_client import generate_latest

from ingest.metrics import Metrics
from ingest.settings import HttpSettings, LaneSettings, NatsSettings, Settings
from pipelines.budget import PathSample
from pipelines.hot_samples import HotSampler, _delta, _together, _urls
from pipelines.settings import BudgetSettings
from pipelines.writer_metrics import PageError, WriterPage, active, fetch, parse

NOW_US = 1_800_000_000_000_000


def page(metrics: Metrics, path: str = "hot") -> WriterPage:
    """The lane's part of what the registry exports."""
    return parse(generate_latest(metrics.registry).decode(), path)[metrics.lane]


def writing(metrics: Metrics, *, last: int, lag: int, measured_at: float) -> None:
    """Sets what a writer at work sets."""
    for name, value in (
        ("ingest_active", 1),
        ("ingest_stream_last_seq", last),
        ("ingest_lag_messages", lag),
        ("ingest_lag_seconds", 0.4),
        ("ingest_lag_measured_timestamp_seconds", measured_at),
        ("ingest_retention_headroom_seconds", 9_000),
    ):
        metrics.gauge(name).set(value)


def test_a_page_gives_what_happened_since_the_one_before() -> None:
    """Rates, ages and insert time are of the interval; lag and headroom of the moment."""
    metrics = Metrics("L", "hot")
    writing(metrics, last=1_000, lag=100, measured_at=50.0)
    metrics.reading_ages.add(np.full(900, NOW_US - 5_000_000), NOW_US)
    metrics.sink_step("clickhouse", "insert", "ok", 9.0)
    before = page(metrics)
    writing(metrics, last=3_000, lag=300, measured_at=52.0)
    metrics.reading_ages.add(np.full(1_800, NOW_US - 300_000), NOW_US)
    metrics.sink_step("clickhouse", "insert", "ok", 0.2)
    metrics.sink_step("clickhouse", "insert", "failed", 7.0)

    sample = _delta(before, page(metrics))

    assert (sample.lag_messages, sample.lag_s, sample.headroom_s) == (300, 0.4, 9_000)
    assert sample.arrived_per_s == 1_000
    assert sample.stored_per_s == 900
    assert sample.insert_s == pytest.approx(0.2)
    assert sample.ages
    assert sample.ages.total == 1_800
    assert sample.ages.quantile(0.99) == pytest.approx(0.3, rel=0.13)


def test_a_first_page_tells_lag_and_nothing_of_the_past() -> None:
    """Counts since the start of the writer are no sample of now."""
    metrics = Metrics("L", "hot")
    writing(metrics, last=1_000, lag=100, measured_at=50.0)
    metrics.reading_ages.add(np.full(900, NOW_US - 5_000_000), NOW_US)

    sample = _delta(None, page(metrics))

    assert sample.lag_messages == 100
    assert (sample.ages, sample.stored_per_s, sample.insert_s) == (None, None, None)


def test_a_standby_and_one_that_has_not_measured_yet_are_no_writers() -> None:
    """Of several processes the one at work is taken."""
    standby, fresh, writer = (Metrics("L", "hot") for _ in range(3))
    fresh.gauge("ingest_active").set(1)
    writing(writer, last=10, lag=0, measured_at=1.0)
    pages = [{"L": page(one)} for one in (standby, fresh, writer)]

    found = active(pages, "L")

    assert found is pages[2]["L"]
    assert active(pages[:2], "L") is None
    assert active(pages, "OTHER") is None


def test_the_lake_is_told_from_the_hot_path() -> None:
    """By the label, when both are looked for on one page."""
    metrics = Metrics("L", "lake")
    writing(metrics, last=10, lag=3, measured_at=1.0)

    assert page(metrics, "lake").lag_messages == 3
    assert parse(generate_latest(metrics.registry).decode(), "hot") == {}


def test_several_lanes_are_as_bad_as_the_worst() -> None:
    """Lag and headroom of the worst lane, rates and ages of all."""
    one = PathSample(lag_messages=5, lag_s=0.1, stored_per_s=10.0, headroom_s=50.0)
    other = PathSample(lag_messages=9, lag_s=3.0, stored_per_s=None, insert_s=0.5)

    both = _together([one, other])

    assert (both.lag_messages, both.lag_s, both.headroom_s) == (9, 3.0, 50.0)
    assert (both.stored_per_s, both.insert_s) == (10.0, 0.5)


def test_the_writers_address_follows_from_its_own_settings() -> None:
    """A port that is chosen at start cannot be known; an address for all is reached locally."""
    assert _urls("", [(HttpSettings(), 9464)]) == ["http://127.0.0.1:9464/metrics"]
    assert _urls("", [(HttpSettings(host="0.0.0.0"), 1)]) == ["http://127.0.0.1:1/metrics"]
    assert _urls("", [(HttpSettings(), 0)]) == []
    assert _urls("http://a:1/metrics, http://b:2/x", [(HttpSettings(), 0)]) == [
        "http://a:1/metrics",
        "http://b:2/x",
    ]


def test_each_lanes_writers_are_asked_where_they_listen() -> None:
    """Lane k's writers listen 2k ports above the first lane's; the one lane of a pod does not."""
    lanes = LaneSettings(count=2, by="readings.*.>")
    assert HotSampler(Settings(lanes=lanes), BudgetSettings(), ["L", "L_1"]).hot_urls == [
        "http://127.0.0.1:9464/metrics",
        "http://127.0.0.1:9466/metrics",
    ]
    one = lanes.model_copy(update={"only": 1})
    assert HotSampler(Settings(lanes=one), BudgetSettings(), ["L_1"]).hot_urls == [
        "http://127.0.0.1:9464/metrics"
    ]


@pytest.mark.parametrize("text", ["ingest_active{lane=", 'ingest_active{lane="L"} much\n'])
def test_what_is_no_page_of_metrics_is_refused(text: str) -> None:
    """Another service may listen there."""
    with pytest.raises(PageError):
        parse(text, "hot")


def test_a_page_that_does_not_answer_names_its_address() -> None:
    """Nothing listens on port 9 here."""
    with pytest.raises(PageError, match=r"127\.0\.0\.1:9"):
        fetch("http://127.0.0.1:9/metrics", 0.5)


def test_nothing_that_answers_is_a_sample_without_hot_path() -> None:
    """The sampler never raises for an outage; the sample says why."""
    nats = NatsSettings(url="nats://127.0.0.1:9", connect_timeout_s=0.2)  # type: ignore[arg-type]
    settings = Settings(nats=nats)
    budget = BudgetSettings(hot_metrics_urls="http://127.0.0.1:9/metrics")
    started = time.monotonic()

    sample = HotSampler(settings, budget, ["L"]).sample()

    assert sample.hot is None
    assert sample.at_s >= started
    assert "127.0.0.1:9" in sample.problem
    assert "NATS does not answer" in sample.problem
