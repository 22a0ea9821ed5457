"""The same readings in one lane or in two, drained by `ingest run hot` with all servers counted."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.backlog import ROOT, Backlog, Drain
from benchmarks.idle import Others
from benchmarks.usage import Usage
from devstack.nats import change_mappings
from devstack.state import State
from devstack.supervisor import SERVICES, Devstack, place_of
from ingest.clickhouse_client import connect as clickhouse
from ingest.contract import load_contract
from ingest.kept import open_bucket
from ingest.lane_mapping import wrong_mappings
from ingest.lanes import each_lane, lane_contract, mappings, mappings_block
from ingest.nats_link import NatsLink, connect
from ingest.provision import init
from ingest.stream_info import stream_state

PATIENCE_S = 120.0


@dataclass(frozen=True)
class LanesDrain(Drain):
    """A drained backlog; ``cpu_seconds`` are those of writers, NATS and ClickHouse together."""

    writers_cpu_s: float = 0.0
    nats_cpu_s: float = 0.0
    clickhouse_cpu_s: float = 0.0

    @property
    def cores(self) -> float:
        """Cores that writers and servers kept busy, on average."""
        return self.cpu_seconds / self.seconds


class Lanes:
    """A backlog in ``count`` lanes of a contract of their own; ``messages`` in all of them."""

    def __init__(self, stack: Devstack, folder: Path, messages: int, count: int) -> None:
        self._stack = stack
        self._log = folder / f"lanes-{count}.log"
        self._backlog = Backlog(stack, folder, messages, f"bench{count}")
        self._folder = folder
        self.count = count
        if count > 1:
            by = f"{self._backlog.contract}.*.*.>"
            self._backlog.env |= {"IOT_LANES__COUNT": str(count), "IOT_LANES__BY": by}

    def fill(self) -> list[int]:
        """Maps the subjects where there are several lanes, and publishes; messages by lane."""
        settings = self._backlog.settings()
        asyncio.run(init(settings))
        needed = mappings(settings)
        place = place_of(SERVICES["nats"], self._stack.directory, State.load(self._stack.directory))
        change_mappings(place, mappings_block(needed), self._stack.pid("nats"))
        deadline = time.monotonic() + PATIENCE_S
        while self._asked(lambda link: wrong_mappings(link, needed)):
            assert time.monotonic() < deadline, "the server does not take the mapping"
            time.sleep(0.1)
        self._backlog.fill()
        return list(self._ends().values())

    def drain(self) -> LanesDrain:
        """Runs `ingest run hot` from the first message of every lane to the last."""
        self._forget()
        ends = self._ends()
        process = self._start()
        writers, nats = Usage(process.pid), Usage(self._stack.pid("nats"))
        store, others = Usage(self._stack.pid("clickhouse")), Others()
        parts = (writers, nats, store)
        started = self._writing(process)
        before = [one.cpu_s() for one in parts]
        ended = self._follow(ends, process, writers)
        used = [one.cpu_s() - then for one, then in zip(parts, before, strict=True)]
        drained = LanesDrain(
            *(self._backlog.messages, ended - started, sum(used), writers.peak_rss_mb()),
            others_cores=others.cores(),
            writers_cpu_s=used[0],
            nats_cpu_s=used[1],
            clickhouse_cpu_s=used[2],
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        self._check()
        return drained

    def sizes(self) -> dict[str, float]:
        """Bytes a reading in the stream and in ClickHouse."""
        held = [self._asked(lambda link, one=one: _stream(link, one)) for one in self._ends()]
        rows, size = self._query(
            "SELECT sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active"
            " AND database = {database:String} AND table = {table:String}"
        )
        return {
            "stream": sum(size for _, size in held) / sum(count for count, _ in held),
            "clickhouse": size / rows,
        }

    def _start(self) -> subprocess.Popen[bytes]:
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        env |= {**self._backlog.env, "PYTHONPATH": str(ROOT), "IOT_HTTP__HOT_PORT": "0"}
        with self._log.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "ingest", "run", "hot"],
                cwd=self._folder,
                env=env,
                stderr=output,
            )

    def _writing(self, process: subprocess.Popen[bytes]) -> float:
        """Unix time at which the first writer holds its lane."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for fields in map(_fields, self._log.read_text(encoding="utf-8").splitlines()):
                if fields.get("event") == "writing":
                    return _moment(fields)
            self._require(process, deadline, "no writer began")
            time.sleep(0.01)

    def _follow(
        self, ends: dict[str, int], process: subprocess.Popen[bytes], writers: Usage
    ) -> float:
        """Unix time at which the last message of all lanes is stored."""
        ended, done = 0.0, dict.fromkeys(ends, 0)
        deadline = time.monotonic() + PATIENCE_S + self._backlog.messages / 5_000
        with self._log.open(encoding="utf-8") as lines:
            while any(done[lane] < last for lane, last in ends.items()):
                for fields in map(_fields, lines):
                    if fields.get("event") == "batch":
                        done[fields["lane"]] = int(fields["range"].split("-")[-1])
                        ended = _moment(fields)
                writers.look()
                self._require(process, deadline, f"drained {done} of {ends}")
                time.sleep(0.02)
        return ended

    def _require(self, process: subprocess.Popen[bytes], deadline: float, what: str) -> None:
        """The writers run, and there is time left."""
        log = self._log.read_text(encoding="utf-8")[-2_000:]
        assert process.poll() is None, log
        assert time.monotonic() < deadline, f"{what}: {log}"

    def _check(self) -> None:
        """Every message is one row, or the figure would be that of less work."""
        (rows,) = self._query("SELECT count() FROM {database:Identifier}.{table:Identifier}")
        assert rows == self._backlog.messages, f"{rows:,} rows of {self._backlog.messages:,}"

    def _forget(self) -> None:
        """Empties table and records, so that the drain begins at the first messages."""
        settings = self._backlog.settings()
        contract = load_contract(settings.contract)

        async def forget(link: NatsLink) -> None:
            bucket = await open_bucket(link)
            for one in each_lane(settings):
                await bucket.delete(f"hot.{lane_contract(one).stream}")

        self._asked(forget)
        client = clickhouse(settings.clickhouse, database="default")
        client.command(f"DROP TABLE IF EXISTS {contract.namespace}.{contract.table} SYNC")
        client.close()
        asyncio.run(init(settings))

    def _ends(self) -> dict[str, int]:
        """Last sequence of each lane's stream."""
        names = [lane_contract(one).stream for one in each_lane(self._backlog.settings())]

        async def ask(link: NatsLink) -> dict[str, int]:
            return {name: (await stream_state(link, name)).last_seq for name in names}

        found: dict[str, int] = self._asked(ask)
        return found

    def _query(self, query: str) -> tuple[Any, ...]:
        settings = self._backlog.settings()
        contract = load_contract(settings.contract)
        client = clickhouse(settings.clickhouse, database="default")
        try:
            names = {"database": contract.namespace, "table": contract.table}
            return tuple(client.query(query, names).result_rows[0])
        finally:
            client.close()

    def _asked(self, work: Any) -> Any:
        async def connected() -> Any:
            link = await connect(self._backlog.settings().nats, "bench")
            try:
                return await work(link)
            finally:
                await link.close()

        return asyncio.run(connected())


async def _stream(link: NatsLink, name: str) -> tuple[int, int]:
    """Messages and bytes of a stream."""
    state = (await link.api(f"STREAM.INFO.{name}", {}))["state"]
    return int(state["messages"]), int(state["bytes"])


def _fields(line: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
    return found


def _moment(fields: dict[str, Any]) -> float:
    return datetime.fromisoformat(fields["timestamp"]).timestamp()
