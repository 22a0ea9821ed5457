"""The writers in containers, on real servers: what is sent is stored, and they end in order."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from tests.containers.image.container import Box, Container
from tests.support.lane import TestLane
from tests.support.sent import expect_proven, send
from tests.support.waiting import until

# The first one may have to wait for the image to be built.
pytestmark = pytest.mark.timeout(1200)

# Looked at often, so that a test need not wait for long.
OFTEN = (
    "--health-interval=1s",
    "--health-timeout=3s",
    "--health-retries=2",
    "--health-start-period=60s",
)
SOON_S = 20.0

FIRST_PROCESS = """
import pathlib
status = dict(line.split(":\\t", 1) for line in
              pathlib.Path("/proc/1/status").read_text().splitlines() if ":\\t" in line)
print(status["Uid"].split()[0], status["CapEff"], status["NoNewPrivs"],
      pathlib.Path("/proc/1/cmdline").read_bytes().split(b"\\0")[-4:-1])
"""


def with_probe(port: int) -> tuple[str, ...]:
    """The probe's place, and the image's own health check looking at it often."""
    url = f"http://127.0.0.1:{port}/healthz"
    return (*OFTEN, f"--env=HEALTH_URL={url}", f"--env=IOT_HTTP__HOT_PORT={port}")


@pytest.fixture
def hot(lane: TestLane, lane_box: Box, free_port: int) -> Container:
    """A hot writer of a fresh lane, as docker-compose starts it, healthy."""
    lane_box.call("ingest", "init")
    started = lane_box.start("ingest", "run", "hot", options=with_probe(free_port))
    until(lambda: started.health() == "healthy", "a healthy hot writer", 90)
    return started


def test_the_hot_writer_stores_all_and_ends_on_sigterm(lane: TestLane, hot: Container) -> None:
    """Every message is one row in ClickHouse; SIGTERM ends it in seconds with exit code 0."""
    lane.publish(lane.readings(5_000))
    lane.wait_hot(5_000)

    code, took_s = hot.stop(grace_s=60)

    assert code == 0, hot.log()
    assert took_s < SOON_S
    assert lane.hot_rows() == [(seq, 0) for seq in range(1, 5_001)]


def test_it_is_the_first_process_without_any_right(hot: Container) -> None:
    """Signals reach the writer itself, which is no root, has no capability and gets none."""
    told = hot.run("python", "-c", FIRST_PROCESS)
    assert told.split(" ", 3) == [
        "10001",
        "0000000000000000",
        "1",
        "[b'/opt/iot/bin/ingest', b'run', b'hot']\n",
    ]


def test_a_command_that_waits_ends_on_sigterm(box: Box) -> None:
    """The first process of a container gets only signals that it handles: it handles this one."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        waiting = box.start(
            "ingest", "init", options=(f"--env=IOT_NATS__URL=nats://127.0.0.1:{port}",)
        )
        silent.settimeout(60)
        connection, _ = silent.accept()
        with connection:
            code, took_s = waiting.stop(grace_s=40)
    assert code == 128 + signal.SIGTERM, waiting.log()
    assert took_s < SOON_S


def test_one_that_hangs_turns_unhealthy_and_comes_back(hot: Container) -> None:
    """The health check of the image sees that nobody answers, and that somebody does again."""
    hot.signal(signal.SIGSTOP)
    until(lambda: hot.health() == "unhealthy", "an unhealthy writer", 60)
    hot.signal(signal.SIGCONT)
    until(lambda: hot.health() == "healthy", "a healthy writer again", 60)


def test_both_writers_prove_what_a_fleet_sent(
    lane: TestLane, lane_box: Box, free_port: int, tmp_path: Path
) -> None:
    """A fleet's messages, bad ones too, are in both stores exactly; both end in order."""
    lane_box.call("ingest", "init")
    hot = lane_box.start("ingest", "run", "hot")
    spool = tmp_path / "spool"
    spool.mkdir()
    spool.chmod(0o777)
    lake = lane_box.start(
        "ingest", "run", "lake", memory="1g", options=(f"--volume={spool}:/spool",)
    )
    sent = send(lane, 5_000)
    lane.wait_hot(sent.last_sequence, 60)
    lane.wait_lake(sent.last_sequence, 60)

    expect_proven(lane, sent)
    for writer in (hot, lake):
        code, took_s = writer.stop(grace_s=60)
        assert code == 0, writer.log()
        assert took_s < SOON_S


def test_a_fleet_sends_from_a_container(lane: TestLane, lane_box: Box, tmp_path: Path) -> None:
    """`sensor-sim` publishes from the image, and its manifest counts what the stream has."""
    lane.init()
    folder = tmp_path / "sent"
    folder.mkdir()
    folder.chmod(0o777)
    told = lane_box.call(
        "sensor-sim",
        "run",
        "--count=2000",
        "--rate=0",
        f"--subject-prefix={lane.subject_root}",
        "--manifest=/sent/manifest.json",
        options=(f"--volume={folder}:/sent",),
    )
    assert (folder / "manifest.json").is_file(), told
    assert lane.state().last_seq == 2_000
