"""`ingest doctor` on a sound platform, and on one with a single thing broken."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingest import s3
from ingest.doctor import examine
from ingest.doctor_finding import Finding
from ingest.nats_link import NatsLink
from ingest.provision import init
from tests.support.lane import TestLane

Break = Callable[[TestLane], dict[str, str]]
"""Breaks one thing; returns settings that are part of the breakage."""


def findings(lane: TestLane, **env: str) -> list[Finding]:
    """Doctor's findings under the lane's settings and ``env``."""
    lane.overrides.update(env)
    return asyncio.run(examine(lane.settings))


def problems(found: list[Finding]) -> list[Finding]:
    """Those that make doctor fail."""
    return [finding for finding in found if finding.verdict == "problem"]


@pytest.fixture
def sound(lane: TestLane) -> TestLane:
    """A lane after init."""
    asyncio.run(init(lane.settings))
    return lane


def test_a_sound_platform_has_no_problem(sound: TestLane) -> None:
    """Doctor passes what init made, looks at every part, and leaves nothing behind."""
    objects = _objects(sound)

    done = sound.ingest("doctor", "--output", "json")

    found = json.loads(done.stdout)
    by_part = {finding["part"]: finding["verdict"] for finding in found}
    others = {finding["verdict"] for finding in found if finding["part"] != "Trino"}
    assert others == {"ok"}
    assert set(by_part) == {"NATS", "ClickHouse", "S3", "Iceberg", "this machine", "Trino"}
    assert by_part["Trino"] == "note", "there is none on this platform, and readings need none"
    assert _objects(sound) == objects
    assert "ingest.doctor" not in sound.lake_table().properties
    assert sound.state().messages == 0


def _objects(lane: TestLane) -> int:
    listed = s3.connect(lane.settings.s3).list_object_versions(Bucket=lane.settings.s3.bucket)
    return len(listed.get("Versions", [])) + len(listed.get("DeleteMarkers", []))


def _alter(lane: TestLane, statement: str) -> dict[str, str]:
    client = lane.clickhouse()
    client.command(statement)
    client.close()
    return {}


def _edit_stream(lane: TestLane, **changes: Any) -> dict[str, str]:
    async def edit(link: NatsLink) -> None:
        config = (await link.api(f"STREAM.INFO.{lane.stream}", {}))["config"]
        await link.api(f"STREAM.UPDATE.{lane.stream}", {**config, **changes})

    lane.run_async(edit)
    return {}


def _delete_stream(lane: TestLane) -> dict[str, str]:
    lane.run_async(lambda link: link.api(f"STREAM.DELETE.{lane.stream}"))
    return {}


def _change_contract(lane: TestLane) -> dict[str, str]:
    text = lane.contract_file.read_text(encoding="utf-8")
    lane.contract_file.write_text(f'{text}\n[[columns]]\nname = "extra"\ntype = "int32"\n')
    return {}


def _suspend_versioning(lane: TestLane) -> dict[str, str]:
    s3.connect(lane.settings.s3).put_bucket_versioning(
        Bucket=lane.settings.s3.bucket, VersioningConfiguration={"Status": "Suspended"}
    )
    return {}


def _set_property(lane: TestLane, name: str, value: str) -> dict[str, str]:
    with lane.lake_table().transaction() as change:
        change.set_properties({name: value})
    return {}


def _drop_lake_table(lane: TestLane) -> dict[str, str]:
    lane.lake_table().catalog.drop_table(lane.table)
    return {}


def _spool_in_a_file(lane: TestLane) -> dict[str, str]:
    Path(lane.folder / "file").write_text("not a folder")
    return {"IOT_LAKE__SPOOL_DIR": str(lane.folder / "file")}


BROKEN: dict[str, tuple[Break, str, str]] = {
    "NATS away": (lambda _: {"IOT_NATS__URL": "nats://127.0.0.1:1"}, "connection", "nats.url"),
    "NATS password wrong": (
        lambda lane: {
            "IOT_NATS__URL": "nats://iot:wrong@" + lane.env["IOT_NATS__URL"].split("@")[1]
        },
        "connection",
        "NATS refuses the credentials",
    ),
    "stream missing": (_delete_stream, "stream READINGS", "ingest init"),
    "per-subject limit": (
        lambda lane: _edit_stream(lane, max_msgs_per_subject=1),
        "stream READINGS",
        "nats stream edit",
    ),
    "messages too large for the DLQ": (
        lambda lane: _edit_stream(lane, max_msg_size=-1),
        "stream READINGS",
        "max_payload",
    ),
    "another subject": (
        lambda lane: _edit_stream(lane, subjects=[f"elsewhere_{lane.tag}.>"]),
        "stream READINGS",
        "nats stream edit",
    ),
    "lease lives longer": (
        lambda _: {"IOT_WRITER__LEASE_TTL_S": "9"},
        "key-value bucket ingest-lease",
        "lease_ttl_s",
    ),
    "contract changed": (_change_contract, "registry", "ingest schema diff"),
    "ClickHouse away": (
        lambda _: {"IOT_CLICKHOUSE__URL": "http://default:@127.0.0.1:1/iot"},
        "connection",
        "clickhouse.url",
    ),
    "no deduplication": (
        lambda lane: _alter(
            lane,
            f"ALTER TABLE {lane.table} MODIFY SETTING non_replicated_deduplication_window = 0",
        ),
        "non_replicated_deduplication_window",
        "MODIFY SETTING",
    ),
    "no fsync": (
        lambda lane: _alter(
            lane, f"ALTER TABLE {lane.table} MODIFY SETTING fsync_after_insert = 0"
        ),
        "fsync_after_insert",
        "MODIFY SETTING",
    ),
    "column dropped": (
        lambda lane: _alter(lane, f"ALTER TABLE {lane.table} DROP COLUMN attributes"),
        "columns of",
        "ingest schema",
    ),
    "view dropped": (
        lambda lane: _alter(lane, f"DROP VIEW {lane.table}_1m"),
        "view",
        "ingest init",
    ),
    "reader's rights only": (
        lambda lane: {"IOT_CLICKHOUSE__URL": lane.stack.clickhouse_url("reader")},
        "inserting",
        "GRANT",
    ),
    "versioning off": (_suspend_versioning, "versioning", "ingest init"),
    "S3 secret wrong": (
        lambda _: {"IOT_S3__SECRET_KEY": "wrong"},
        "bucket",
        "refuses the credentials",
    ),
    "bucket missing": (
        lambda lane: {"IOT_S3__BUCKET": f"missing-{lane.tag}"},
        "bucket missing",
        "ingest init",
    ),
    "catalog away": (
        lambda _: {"IOT_CATALOG__URI": "http://127.0.0.1:1"},
        "connection",
        "catalog.",
    ),
    "lake table missing": (_drop_lake_table, "table", "ingest init"),
    "retries disarmed": (
        lambda lane: _set_property(lane, "commit.retry.num-retries", "0"),
        "properties",
        "remove it",
    ),
    "metadata piles up": (
        lambda lane: _set_property(lane, "write.metadata.delete-after-commit.enabled", "false"),
        "properties",
        "set it to true",
    ),
    "spool not writable": (_spool_in_a_file, "spool", "lake.spool_dir"),
    "no room for the spool": (
        lambda _: {"IOT_LAKE__COMMIT_MAX_BYTES": str(1 << 50)},
        "spool",
        "commit_max_bytes",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_doctor_names_the_broken_thing_and_the_mend(sound: TestLane, name: str) -> None:
    """One broken thing is a problem that names it and says how to mend it."""
    breaking, check, mend = BROKEN[name]

    found = problems(findings(sound, **breaking(sound)))
    if name == "versioning off":
        asyncio.run(init(sound.settings))

    assert any(f.check.startswith(check) and mend in f"{f.mend} {f.found}" for f in found), found


def test_a_problem_is_exit_1_with_its_mend_in_the_line(sound: TestLane) -> None:
    """The command line ends with 1 and prints the mend behind the problem."""
    done = sound.ingest("doctor", check=False, IOT_LAKE__COMMIT_MAX_BYTES=str(1 << 50))

    assert done.returncode == 1
    told = [line for line in done.stdout.splitlines() if line.startswith("PROBLEM")]
    assert len(told) == 1
    assert "IOT_LAKE__COMMIT_MAX_BYTES" in told[0]


def test_a_taken_port_is_a_problem_but_not_for_our_own_writer(sound: TestLane) -> None:
    """A stranger on the metrics port is named; a running writer there is fine."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = str(stranger.getsockname()[1])
        found = problems(findings(sound, IOT_HTTP__HOT_PORT=port))
        assert [f.check for f in found] == [f"port {port} for run hot"]

    writer = sound.start("hot", IOT_HTTP__HOT_PORT=port)
    sound.publish(sound.readings(1))
    sound.wait_hot(1)
    assert problems(findings(sound)) == []
    assert writer.drain() == 0


def test_what_differs_from_the_settings_without_harm_is_a_note(sound: TestLane) -> None:
    """Another stream size is told and is no problem."""
    found = findings(sound, IOT_STREAM__MAX_AGE_H="1")

    assert problems(found) == []
    assert any(f.verdict == "note" and "stream.max_age_h" in f.found for f in found)
