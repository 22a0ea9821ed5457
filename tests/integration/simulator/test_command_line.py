"""``sensor-sim`` as a process: results, signals, progress."""

from __future__ import annotations

import asyncio
import io
import json
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nats
import pytest

from simulator import progress
from simulator.fleet import Fleet, FleetOptions
from simulator.manifest import Origin
from simulator.publisher import Publisher, PublishOptions, new_run_id


async def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a process once it is over."""
    out, err = await asyncio.to_thread(process.communicate, None, 30)
    return process.returncode, out, err


async def test_run_publishes_and_writes_the_manifest(
    server: Any, make_stream: Any, stored: Any, sensor_sim: Any, tmp_path: Path
) -> None:
    """A run ends with code 0, its result on stdout and the same manifest in the file."""
    await make_stream(server)
    arguments = ["--count", "2000", "--malformed", "1%", "--late", "0.02", "--duplicates", "1%"]
    arguments += ["--manifest", "m.json", "--output", "json", "--quiet", "--url", server.url]
    code, out, err = await ended(sensor_sim("run", *arguments))
    manifest = json.loads((tmp_path / "m.json").read_text())

    assert (code, err) == (0, "")
    assert json.loads(out) == manifest
    assert manifest["messages"] == len(await stored(server))
    assert manifest["readings"] + sum(manifest["malformed"].values()) == manifest["messages"]
    assert manifest["contract"] == "readings"


async def test_one_interrupt_settles_and_ends_well(
    server: Any, make_stream: Any, stored: Any, sensor_sim: Any, wait_until: Any, tmp_path: Path
) -> None:
    """Ctrl-C stops the source, waits for the window, writes the manifest, exits 0."""
    await make_stream(server)
    process = sensor_sim("run", "--url", server.url, "--manifest", "m.json")
    await stream_has(server, 1_000)
    process.send_signal(signal.SIGINT)
    code, out, err = await ended(process)
    manifest = json.loads((tmp_path / "m.json").read_text())

    assert code == 0
    assert "stopping" in err
    assert manifest["complete"]
    assert not manifest["exhausted"]
    assert manifest["messages"] == len(await stored(server))
    assert str(manifest["messages"]) in out


async def test_a_second_interrupt_ends_at_once(
    server: Any, make_stream: Any, sensor_sim: Any
) -> None:
    """While a frozen server keeps the window open, a second Ctrl-C exits with code 130."""
    await make_stream(server)
    process = sensor_sim("run", "--url", server.url)
    await stream_has(server, 1_000)
    server.send(signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    line = await asyncio.to_thread(process.stderr.readline)
    process.send_signal(signal.SIGINT)
    code, _, _ = await ended(process)
    server.send(signal.SIGCONT)

    assert "acknowledgements to wait for" in line
    assert code == 130


async def stream_has(server: Any, count: int) -> None:
    """Waits until the stream holds so many messages."""
    client = await nats.connect(server.url)
    async with asyncio.timeout(20):
        while True:
            stream = await client.jetstream().stream_info("READINGS")
            if stream.state.messages >= count:
                break
            await asyncio.sleep(0.01)
    await client.close()


async def test_a_full_stream_is_exit_1(
    server: Any, make_stream: Any, sensor_sim: Any, tmp_path: Path
) -> None:
    """A refusal is one sentence on stderr, and the manifest is written all the same."""
    await make_stream(server, max_msgs=100, discard="new")
    arguments = ["--count", "5000", "--url", server.url, "--manifest", "m.json", "--quiet"]
    code, out, err = await ended(sensor_sim("run", *arguments))

    assert (code, out) == (1, "")
    assert err.startswith("error: stream READINGS refused a message")
    assert err.count("\n") == 1
    assert json.loads((tmp_path / "m.json").read_text())["messages"] == 100


async def test_replay_sends_the_file_and_ends(
    server: Any, make_stream: Any, stored: Any, sensor_sim: Any, tmp_path: Path
) -> None:
    """Rows become readings; a bad row ends the replay with its line after those before it."""
    await make_stream(server)
    day = datetime.now(UTC).date() - timedelta(days=1)
    rows = [f"{day}T00:{minute:02}:00Z,{minute}.5" for minute in range(30)]
    file = tmp_path / "s.csv"
    file.write_text("\n".join(["at,temp", *rows]) + "\n", encoding="utf-8")
    mapping = ["--map", "ts=at", "--constant", "device_id=d", "--constant", "site=roof"]
    mapping += ["--value-columns", "temp", "--unit", "temp=Cel", "--url", server.url, "--quiet"]
    code, out, _ = await ended(sensor_sim("replay", "s.csv", *mapping))
    payloads = [json.loads(message.payload) for message in await stored(server)]

    assert code == 0
    assert out.startswith("30 messages acknowledged by stream READINGS (sequences 1 to 30)")
    assert [one["value"] for one in payloads] == [minute + 0.5 for minute in range(30)]
    assert {one["unit"] for one in payloads} == {"Cel"}

    file.write_text("\n".join(["at,temp", *rows, "oops,1"]), encoding="utf-8")
    code, out, err = await ended(sensor_sim("replay", "s.csv", *mapping))
    assert (code, out) == (1, "")
    assert err.startswith("error: s.csv, line 32: column at: 'oops' is not a time")
    assert len(await stored(server)) == 60


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Always."""
        return True


@pytest.mark.parametrize("stream_type", [io.StringIO, Terminal])
async def test_progress_shows_live_counts(
    server: Any,
    make_stream: Any,
    running: Any,
    acknowledged: Any,
    wait_until: Any,
    monkeypatch: pytest.MonkeyPatch,
    stream_type: type[io.StringIO],
) -> None:
    """A terminal gets a bar, anything else plain lines; both with counts and rate."""
    monkeypatch.setattr(progress, "LINE_INTERVAL_S", 0.05)
    monkeypatch.setattr(progress, "BAR_INTERVAL_S", 0.05)
    await make_stream(server)
    options = PublishOptions(nats=server.settings())
    publisher = Publisher(options, Origin(new_run_id(), "readings", "readings", "fleet"))
    stream = stream_type()
    running(progress.show_progress(publisher, 1_000_000, stream))
    task = running(publisher.run(Fleet(FleetOptions(start_us=0, devices=10))))
    await wait_until(lambda: "in flight" in stream.getvalue() and "/s" in stream.getvalue())
    publisher.stop()
    await task

    assert ("\x1b[" in stream.getvalue()) is stream.isatty()
    if not stream.isatty():
        assert "messages acknowledged" in stream.getvalue().splitlines()[0]
