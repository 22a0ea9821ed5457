"""One part of the paths by itself, in a process of its own: prints its figures as JSON.

python -m benchmarks.limits.probe NAME MESSAGES
"""

from __future__ import annotations

import io
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import uvloop

from benchmarks.cpu.work import frames, reads, received, sample
from benchmarks.limits.socket_reader import count_messages
from ingest.clickhouse_client import connect as clickhouse
from ingest.contract import load_contract
from ingest.decode import Decoder
from ingest.messages import Messages
from ingest.metrics import Metrics
from ingest.nats_link import connect
from ingest.provision_tables import make_clickhouse
from ingest.pull_credit import PullCredit
from ingest.ranges import SequenceRange
from ingest.reader import ReadLimit
from ingest.service import READ_AHEAD_BATCHES
from ingest.settings import Settings, load_settings
from ingest.stream import PullReader, open_inbox

RUN = 50_000
RUNS_AHEAD = 4
"""Runs of messages held in memory; they are taken in turn, so that no cache holds them."""

Probe = Callable[[], int]
"""Does its work and returns how many messages it did; called once, and timed."""


@dataclass(frozen=True)
class Prepared:
    """What a probe needs before its time begins."""

    settings: Settings
    messages: int

    def runs(self) -> list[Messages]:
        """Runs of messages as the reader returns them."""
        ahead = min(RUNS_AHEAD, self._turns)
        return received(reads(frames(sample(ahead * RUN))), RUN)

    def batches(self) -> list[pa.RecordBatch]:
        """The rows of those runs."""
        contract = load_contract(self.settings.contract)
        decoder = Decoder(contract, contract.stream)
        return [decoder.decode(run, epoch="limits").batch for run in self.runs()]

    @property
    def _turns(self) -> int:
        return max(self.messages // RUN, 1)

    def socket(self) -> Probe:
        """A bare socket that cuts frames and counts."""
        url = self.settings.nats.url.get_secret_value()
        stream = load_contract(self.settings.contract).stream
        return lambda: count_messages(url, stream, self.messages)

    def reader(self) -> Probe:
        """The product's reader with the writer's settings, nothing behind it."""
        return lambda: uvloop.run(_read(self.settings, self.messages))

    def decode(self) -> Probe:
        """The decoder on messages in memory."""
        runs = self.runs()
        contract = load_contract(self.settings.contract)
        decoder = Decoder(contract, contract.stream)

        def work() -> int:
            return sum(
                decoder.decode(runs[turn % len(runs)], epoch="limits").batch.num_rows
                for turn in range(self._turns)
            )

        return work

    def insert(self) -> Probe:
        """Arrow bytes into the hot table, which is made anew, one insert after the other."""
        contract = load_contract(self.settings.contract)
        table = f"{contract.namespace}.{contract.table}"
        client = clickhouse(self.settings.clickhouse)
        client.command(f"DROP TABLE IF EXISTS {table} SYNC")
        make_clickhouse(self.settings, contract)
        blocks = [_stream_bytes(batch) for batch in self.batches()]
        names = contract.arrow_schema.names

        def work() -> int:
            for turn in range(self._turns):
                client.raw_insert(
                    table,
                    column_names=names,
                    insert_block=io.BytesIO(blocks[turn % len(blocks)]),
                    fmt="ArrowStream",
                    settings={"insert_deduplication_token": f"limits-{turn}"},
                )
            found = int(str(client.command(f"SELECT count() FROM {table}")))
            assert found == self._turns * RUN, f"{found} rows, expected {self._turns * RUN}"
            return found

        return work

    def parquet(self) -> Probe:
        """The rows in the order in which they came, as Parquet files on local disk."""
        rows = pa.Table.from_batches(self.batches())

        def work() -> int:
            with tempfile.TemporaryDirectory() as folder:
                written = 0
                while written < self._turns * RUN:
                    pq.write_table(rows, Path(folder) / f"{written}.parquet", compression="zstd")
                    written += rows.num_rows
                return written

        return work


async def _read(settings: Settings, messages: int) -> int:
    contract = load_contract(settings.contract)
    link = await connect(settings.nats, "limits")
    try:
        rows = settings.hot.batch_max_rows
        reader = PullReader(
            link,
            contract.stream,
            "limits",
            inbox=open_inbox(link, settings),
            heartbeat_s=settings.writer.heartbeat_s,
            credit=PullCredit(READ_AHEAD_BATCHES * rows, settings.writer.buffer_max_bytes),
            on_loss=_refuse_loss,
            metrics=Metrics(contract.stream, "hot").reader(),
        )
        limit = ReadLimit(rows, settings.hot.batch_max_bytes // 2, settings.hot.batch_max_age_s)
        await reader.open(1)
        seen = 0
        while seen < messages:
            found = await reader.read(limit, 1.0)
            seen += len(found) if found is not None else 0
        await reader.close()
        return seen
    finally:
        await link.close()


async def _refuse_loss(lost: SequenceRange) -> None:
    raise RuntimeError(f"retention removed {lost} from the benchmark's stream")


def _stream_bytes(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def main() -> None:
    """Prepares, then measures one probe."""
    name, messages = sys.argv[1], int(sys.argv[2])
    prepared = Prepared(load_settings(), messages)
    probe: Probe = getattr(prepared, name)()
    started, used = time.monotonic(), time.process_time()
    done = probe()
    figures = {
        "messages": done,
        "seconds": time.monotonic() - started,
        "cpu": time.process_time() - used,
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
