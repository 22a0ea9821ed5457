"""`ingest init` on an empty, a half-made, a complete and an unsuitable platform."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import StreamConfigError
from ingest.nats_link import NatsLink
from ingest.provision import provision
from ingest.sinks.iceberg_schema import iceberg_schema
from tests.support.lane import PACKAGED, TestLane


def outcomes(lane: TestLane, *, update: bool = False, **env: str) -> dict[str, str]:
    """{"part name": outcome} of one run under the lane's settings and ``env``."""
    lane.overrides.update(env)
    steps = asyncio.run(provision(lane.settings, update=update))
    return {f"{step.part} {step.name}": step.outcome for step in steps}


def stream_info(lane: TestLane, name: str) -> dict[str, Any]:
    """Configuration and state of a stream."""
    return lane.run_async(lambda link: link.api(f"STREAM.INFO.{name}", {}))


def own_parts(lane: TestLane, found: dict[str, str]) -> dict[str, str]:
    """Without what lanes share: another test may have made that."""
    shared = ("stream DLQ", "stream LEDGER", "key-value", "bucket")
    return {name: outcome for name, outcome in found.items() if not name.startswith(shared)}


def test_a_second_run_finds_everything_and_makes_nothing(lane: TestLane) -> None:
    """Init makes each part once and tells so."""
    first = outcomes(lane)
    steps = json.loads(lane.ingest("init", "--output", "json").stdout)
    second = {f"{step['part']} {step['name']}": step["outcome"] for step in steps}

    assert set(own_parts(lane, first).values()) == {"made"}
    assert set(second.values()) == {"there"}
    assert list(first) == list(second)
    assert f"registry {lane.stream}" in first
    assert f"Iceberg table {lane.table}" in first


def test_contracts_live_side_by_side(lane: TestLane, tmp_path: Path) -> None:
    """A second contract gets stream, tables and registry of its own and shares the rest."""
    outcomes(lane)
    weather = PACKAGED.with_name("weather.toml")
    with TestLane(lane.stack, tmp_path / "second", f"{lane.tag}w", source=weather) as second:
        found = outcomes(second)

        assert set(own_parts(second, found).values()) == {"made"}
        assert found["stream DLQ"] == found["key-value bucket ingest"] == "there"
        assert second.table != lane.table
        assert set(outcomes(lane).values()) == {"there"}


def test_the_streams_get_the_sizes_of_the_settings(lane: TestLane) -> None:
    """Age, bytes, discard and duplicate window are the settings'; the DLQ keeps all and refuses."""
    outcomes(lane, IOT_STREAM__MAX_AGE_H="2", IOT_STREAM__MAX_BYTES="50000000")

    config = stream_info(lane, lane.stream)["config"]
    dlq = stream_info(lane, "DLQ")["config"]

    assert (config["max_age"], config["max_bytes"]) == (7200 * 10**9, 50_000_000)
    assert (config["storage"], config["retention"], config["discard"]) == ("file", "limits", "old")
    assert config["duplicate_window"] == 10 * 10**9
    assert config["subjects"] == list(lane.contract.subjects)
    assert (dlq["discard"], dlq["max_age"], dlq["allow_rollup_hdrs"]) == ("new", 0, True)


def test_a_message_that_fits_the_lane_fits_the_dead_letter_stream(lane: TestLane) -> None:
    """The lane takes messages only up to what still fits a publish with the DLQ's headers."""
    outcomes(lane)

    async def limits(link: NatsLink) -> tuple[int, int]:
        config = (await link.api(f"STREAM.INFO.{lane.stream}", {}))["config"]
        return config["max_msg_size"], link.client.max_payload

    largest, max_payload = lane.run_async(limits)

    assert lane.contract.max_message_bytes < largest <= max_payload - 4096


def test_a_half_made_platform_is_completed(lane: TestLane) -> None:
    """Init makes exactly the parts that are missing."""
    outcomes(lane)
    client = lane.clickhouse()
    client.command(f"DROP VIEW {lane.table}_1m")
    client.close()
    lane.lake_table().catalog.drop_table(lane.table)

    found = outcomes(lane)

    assert {name for name, outcome in found.items() if outcome == "made"} == {
        f"ClickHouse view {lane.table}_1m",
        f"Iceberg table {lane.table}",
    }


def test_the_bucket_keeps_old_versions(lane: TestLane) -> None:
    """Versioning is on after init, also where it had been off."""
    from ingest import s3

    outcomes(lane)
    client, bucket = s3.connect(lane.settings.s3), lane.settings.s3.bucket
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})

    found = outcomes(lane)

    assert found[f"bucket {bucket}"] == "changed"
    assert client.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


def test_an_existing_stream_only_grows_and_only_on_request(lane: TestLane) -> None:
    """Without --update a difference is told; with it sizes grow, and shrink never."""
    outcomes(lane, IOT_STREAM__MAX_BYTES="50000000")
    name = f"stream {lane.stream}"

    larger = {"IOT_STREAM__MAX_BYTES": "60000000"}
    lane.overrides.update(larger)
    told = [str(step) for step in asyncio.run(provision(lane.settings, update=False))]
    assert "max_bytes (stream.max_bytes) is 50000000, settings say 60000000" in told[0]
    assert outcomes(lane, **larger)[name] == "differs"
    assert outcomes(lane, update=True, **larger)[name] == "changed"
    assert stream_info(lane, lane.stream)["config"]["max_bytes"] == 60_000_000
    assert outcomes(lane, update=True, IOT_STREAM__MAX_BYTES="40000000")[name] == "differs"
    assert stream_info(lane, lane.stream)["config"]["max_bytes"] == 60_000_000


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"retention": "workqueue"}, "retention is 'workqueue'"),
        ({"max_msgs_per_subject": 1}, "max_msgs_per_subject is 1"),
        ({"storage": "memory"}, "storage is 'memory'"),
        ({"allow_msg_ttl": True}, "allow_msg_ttl is on"),
    ],
)
def test_an_unsuitable_stream_is_not_adopted(
    lane: TestLane, config: dict[str, Any], said: str
) -> None:
    """A stream that could drop unread messages stops init with exit 3 and is left as it is."""
    wanted = {"name": lane.stream, "subjects": list(lane.contract.subjects), "max_age": 0}
    made = {"retention": "limits", "storage": "file", "num_replicas": 1, **wanted, **config}
    lane.run_async(lambda link: link.api(f"STREAM.CREATE.{lane.stream}", made))

    with pytest.raises(StreamConfigError, match=said) as refused:
        outcomes(lane)

    assert "nats stream edit" in str(refused.value)
    assert refused.value.exit_code == 3


def test_a_suitable_stream_is_adopted_with_its_messages(lane: TestLane) -> None:
    """A stream made by other means becomes the lane, its first message included."""
    config = {
        "name": lane.stream,
        "subjects": list(lane.contract.subjects),
        "storage": "file",
        "max_bytes": 10_000_000,
        "num_replicas": 1,
    }
    lane.run_async(lambda link: link.api(f"STREAM.CREATE.{lane.stream}", config))
    lane.publish(lane.readings(3))

    found = outcomes(lane)

    assert found[f"stream {lane.stream}"] == "differs"
    assert found[f"registry {lane.stream}"] == "made"
    assert lane.state().messages == 3


def test_subjects_that_another_stream_takes_are_named(lane: TestLane) -> None:
    """A stream whose subjects are taken cannot be made; init says which subjects."""
    other = {"name": f"OTHER_{lane.tag}", "subjects": list(lane.contract.subjects)}
    lane.run_async(
        lambda link: link.api(f"STREAM.CREATE.OTHER_{lane.tag}", {**other, "num_replicas": 1})
    )

    with pytest.raises(StreamConfigError, match="another stream already takes") as refused:
        outcomes(lane)

    assert lane.contract.subjects[0] in str(refused.value)


def test_a_changed_contract_is_refused_before_anything_is_made(lane: TestLane) -> None:
    """Init does not apply a contract's change; it names the command that does."""
    outcomes(lane)
    text = lane.contract_file.read_text(encoding="utf-8")
    added = '\n[[columns]]\nname = "extra"\ntype = "int32"\n'
    lane.contract_file.write_text(text + added, encoding="utf-8")

    done = lane.ingest("init", check=False)

    assert done.returncode == 3
    assert "ingest schema apply" in done.stderr
    names = [field.name for field in lane.lake_table().schema().fields]
    assert "extra" not in names
    assert "extra" in [field.name for field in iceberg_schema(lane.contract).fields]


def test_an_absent_service_is_one_sentence(lane: TestLane) -> None:
    """Without NATS init fails with exit 1 and tells what does not answer."""
    done = lane.ingest("init", check=False, IOT_NATS__URL="nats://127.0.0.1:1")

    assert done.returncode == 1
    assert done.stderr.startswith("error: NATS does not answer")
    assert done.stderr.count("\n") == 1


def test_a_stream_larger_than_the_disk_is_refused_with_the_setting(lane: TestLane) -> None:
    """JetStream reserves a stream's size; the sentence says which setting asks for too much."""
    done = lane.ingest("init", check=False, IOT_STREAM__MAX_BYTES=str(1 << 50))

    assert done.returncode == 3
    assert f"stream {lane.stream} cannot be made: the server has less storage left" in done.stderr
    assert "lower stream.max_bytes" in done.stderr
