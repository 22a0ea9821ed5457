"""A pipeline that runs under the names of the dashboards, with traces switched on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from devstack.supervisor import Devstack
from tests.integration.dashboards.standard import StandardLane, readings
from tests.support.collector import Collector

COUNT = 400


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Where the writers' traces go."""
    with Collector() as listening:
        yield listening


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devstack]:
    """A platform of their own: nobody else may use the names of the dashboards."""
    folder = tmp_path_factory.mktemp("dashboards-servers")
    with Devstack(folder, ephemeral_ports=True) as running:
        yield running


@pytest.fixture(scope="session")
def pipeline(
    servers: Devstack, tmp_path_factory: pytest.TempPathFactory, collector: Collector
) -> Iterator[StandardLane]:
    """Both writers, with sample readings stored in both sinks."""
    with StandardLane(servers, tmp_path_factory.mktemp("dashboards"), "dashboards") as lane:
        lane.init()
        lane.publish([*readings(COUNT, datetime.now(UTC)), b"not json"])
        for path in ("hot", "lake"):
            lane.start(path, IOT_TRACE__ENDPOINT=collector.endpoint)
        lane.wait_hot(COUNT + 2)
        lane.wait_lake(COUNT + 2)
        yield lane


@pytest.fixture
def traffic(pipeline: StandardLane) -> Iterator[None]:
    """Readings, and a message that is refused, all the while: for what is counted by the second."""
    stop = threading.Event()

    def publish() -> None:
        while not stop.wait(0.3):
            pipeline.publish([*readings(20, datetime.now(UTC)), b"not json"])

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
