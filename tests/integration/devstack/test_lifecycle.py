"""The platform starts, keeps what it had, survives its services' deaths and leaves nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import boto3
import nats
import psutil
import pyarrow as pa
import pytest
from botocore.config import Config
from nats.js.api import StorageType
from pyiceberg.catalog import load_catalog
from pyiceberg.catalog.rest import RestCatalog

from devstack import ports, supervisor
from devstack.errors import DevstackError
from devstack.nats import Nats
from devstack.seaweedfs import maintenance_is_off
from devstack.supervisor import Devstack
from tests.support.waiting import until


def s3(env: dict[str, str]) -> boto3.client:
    """A client of the platform's S3."""
    return boto3.client(
        "s3",
        endpoint_url=env["IOT_S3__ENDPOINT"],
        aws_access_key_id=env["IOT_S3__ACCESS_KEY"],
        aws_secret_access_key=env["IOT_S3__SECRET_KEY"],
        region_name=env["IOT_S3__REGION"],
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )


def catalog(env: dict[str, str]) -> RestCatalog:
    """The platform's Iceberg catalog."""
    found = load_catalog(
        "lake",
        **{
            "type": "rest",
            "uri": env["IOT_CATALOG__URI"],
            "warehouse": env["IOT_CATALOG__WAREHOUSE"],
            "rest.sigv4-enabled": "true",
            "rest.signing-name": "s3tables",
            "rest.signing-region": env["IOT_S3__REGION"],
            "client.access-key-id": env["IOT_S3__ACCESS_KEY"],
            "client.secret-access-key": env["IOT_S3__SECRET_KEY"],
            "client.region": env["IOT_S3__REGION"],
            "s3.endpoint": env["IOT_S3__ENDPOINT"],
            "s3.access-key-id": env["IOT_S3__ACCESS_KEY"],
            "s3.secret-access-key": env["IOT_S3__SECRET_KEY"],
            "s3.region": env["IOT_S3__REGION"],
            "s3.path-style-access": "true",
        },
    )
    assert isinstance(found, RestCatalog)
    return found


def status(address: str, path: str, method: str = "GET") -> int:
    """The HTTP status that a stranger gets."""
    import http.client

    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=5)
    try:
        connection.request(method, path, b"x" if method == "POST" else None)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.chaos
async def test_all_of_it_survives_a_restart_on_other_ports(tmp_path: Path) -> None:
    """Messages, objects, Iceberg tables, passwords: the same after a stop and a start."""
    rows = pa.table({"n": pa.array([1, 2, 3], pa.int64())})
    began = time.monotonic()
    with Devstack(tmp_path, ephemeral_ports=True) as stack:
        # A generous bound on what takes one or two seconds on two idle cores.
        assert time.monotonic() - began < 15
        first = stack.env
        connection = await nats.connect(first["IOT_NATS__URL"])
        await connection.jetstream().add_stream(
            name="KEPT", subjects=["kept.>"], storage=StorageType.FILE
        )
        await connection.jetstream().publish("kept.a", b"here")
        await connection.close()
        s3(first).put_object(Bucket="raw", Key="kept", Body=b"here")
        lake = catalog(first)
        lake.create_namespace("kept")
        lake.create_table("kept.t", rows.schema).append(rows)

    with occupied(first), Devstack(tmp_path, ephemeral_ports=True) as stack:
        again = stack.env
        moved = [name for name in first if name.endswith(("URL", "URI", "ENDPOINT"))]
        assert all(first[name] != again[name] for name in moved)
        assert first["IOT_S3__SECRET_KEY"] == again["IOT_S3__SECRET_KEY"]
        assert first["IOT_NATS__URL"].split("@")[0] == again["IOT_NATS__URL"].split("@")[0]
        connection = await nats.connect(again["IOT_NATS__URL"])
        assert (await connection.jetstream().get_msg("KEPT", 1)).data == b"here"
        await connection.close()
        assert s3(again).get_object(Bucket="raw", Key="kept")["Body"].read() == b"here"
        table = catalog(again).load_table("kept.t")
        assert table.scan().to_arrow().equals(rows)
        table.append(rows)
        assert table.scan().to_arrow().num_rows == 6


class occupied:  # noqa: N801  # reads as a function
    """Other programs listen on the ports of these settings meanwhile."""

    def __init__(self, env: dict[str, str]) -> None:
        names = ("IOT_NATS__URL", "IOT_S3__ENDPOINT", "IOT_CATALOG__URI", "IOT_CLICKHOUSE__URL")
        self._ports = [int(env[name].rsplit(":", 1)[1].split("/")[0]) for name in names]

    def __enter__(self) -> None:
        self._sockets = [socket.create_server(("127.0.0.1", port)) for port in self._ports]

    def __exit__(self, *_: object) -> None:
        for listening in self._sockets:
            listening.close()


def test_a_restart_keeps_the_ports(tmp_path: Path) -> None:
    """Clients that noted the settings can go on; the file of them is private."""
    with Devstack(tmp_path, services=("nats",), ephemeral_ports=True) as stack:
        first = stack.env
    with Devstack(tmp_path, services=("nats",)) as stack:
        assert stack.env == first
        text = (tmp_path / "env").read_text()
        assert text == "".join(f"{name}={value}\n" for name, value in first.items())
        assert (tmp_path / "env").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["nats", "seaweedfs"])
def test_a_killed_service_comes_back_on_its_ports(tmp_path: Path, name: str) -> None:
    """Kill is a crash; start_service waits until it is healthy again."""
    with Devstack(tmp_path, services=(name,), ephemeral_ports=True) as stack:
        before, pid = stack.env, stack.pid(name)
        with pytest.raises(DevstackError, match="is running already"):
            stack.start_service(name)
        stack.kill(name)
        assert not stack.is_running(name)
        assert not psutil.pid_exists(pid)
        stack.start_service(name)
        assert stack.is_running(name)
        assert stack.pid(name) != pid
        assert stack.env == before


def test_a_stopped_service_hangs_and_still_ends(tmp_path: Path) -> None:
    """SIGSTOP makes it hang without closing; stop() ends it all the same."""
    with Devstack(tmp_path, services=("nats",), ephemeral_ports=True) as stack:
        pid = stack.pid("nats")
        stack.signal("nats", signal.SIGSTOP)
        until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, "it is stopped")
        assert stack.is_running("nats")
        assert not Nats().is_healthy(stack_place(stack))
    assert not psutil.pid_exists(pid)


def stack_place(stack: Devstack) -> object:
    """Where the stack's NATS lives."""
    from devstack.state import State
    from devstack.supervisor import SERVICES, place_of

    return place_of(SERVICES["nats"], stack.directory, State.load(stack.directory))


def test_a_second_platform_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    """The sentence names folder and process; the first one goes on undisturbed."""
    with Devstack(tmp_path, services=("nats",), ephemeral_ports=True) as stack:
        says = rf"already runs in {tmp_path} \(pid {os.getpid()}\)"
        with pytest.raises(DevstackError, match=says):
            Devstack(tmp_path, services=("nats",)).start()
        assert stack.is_running("nats")


def test_two_platforms_live_side_by_side(tmp_path: Path) -> None:
    """Another folder, other ports, other passwords."""
    names = ("seaweedfs",)
    with (
        Devstack(tmp_path / "a", services=names) as one,
        Devstack(tmp_path / "b", services=names) as two,
    ):
        assert not set(one.env.values()) & set(two.env.values()) - {
            *("us-east-1", "raw", "s3://lake", "sigv4", "iot")
        }


def test_a_killed_parent_leaves_no_child(tmp_path: Path) -> None:
    """However the supervisor dies, its services die with it, and the next start is clean."""
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom devstack.supervisor import Devstack\n"
        f"stack = Devstack(Path({str(tmp_path)!r}), ephemeral_ports=True)\nstack.start()\n"
        "print(*(stack.pid(n) for n in ('nats', 'seaweedfs', 'clickhouse')), flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        children = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(children) == 3
        parent.kill()
    until(lambda: not any(map(alive, children)), "the services are gone", timeout_s=10)
    with Devstack(tmp_path, ephemeral_ports=True) as stack:
        assert all(map(stack.is_running, ("nats", "seaweedfs", "clickhouse")))


def alive(pid: int) -> bool:
    """Whether the process runs; one that waits to be collected does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_leftovers_of_an_earlier_run_are_ended(tmp_path: Path) -> None:
    """A recorded process that still is the same one is killed; a reused pid is not touched."""
    import json

    command = ["sleep", "600"]
    leftover = subprocess.Popen(command, start_new_session=True)
    stranger = subprocess.Popen(command, start_new_session=True)
    try:
        state = {
            "secrets": {},
            "ports": {},
            "processes": {
                "nats": [leftover.pid, psutil.Process(leftover.pid).create_time()],
                "clickhouse": [stranger.pid, time.time() - 5000],
            },
        }
        (tmp_path / "state.json").write_text(json.dumps(state))
        with Devstack(tmp_path, services=("nats",), ephemeral_ports=True) as stack:
            assert stack.leftovers == [f"nats (pid {leftover.pid})"]
        assert leftover.wait(5) == -signal.SIGKILL
        assert stranger.poll() is None
    finally:
        for process in (leftover, stranger):
            process.kill()
            process.wait()


def test_a_service_that_cannot_start_is_one_sentence(tmp_path: Path) -> None:
    """The sentence has the service's own last words and its log; nothing is left running."""
    (tmp_path / "clickhouse").mkdir()
    (tmp_path / "clickhouse" / "embedded").write_text("in the way")
    stack = Devstack(tmp_path, services=("nats", "clickhouse"), ephemeral_ports=True)
    with pytest.raises(
        DevstackError, match=r"^clickhouse exited with code 2: .* is a file\. \(log: .*\)$"
    ):
        stack.start()
    assert not stack.is_running("nats")
    with pytest.raises(DevstackError, match="There is no service 'kafka'; there are nats"):
        Devstack(tmp_path, services=("kafka",))


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("name", "port"), [("nats", "client"), ("seaweedfs", "s3"), ("clickhouse", "http")]
)
def test_a_port_that_is_lost_in_the_last_moment_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, port: str
) -> None:
    """A program that takes the port between the look and the start moves the service."""
    service = supervisor.SERVICES[name]
    free = ports.choose(service.ports, remembered={}, taken=set(), ephemeral=True)[port]
    with socket.create_server(("127.0.0.1", free)):
        honest, looks = ports.is_free, iter([True])
        monkeypatch.setattr(
            ports, "is_free", lambda asked: (asked == free and next(looks, False)) or honest(asked)
        )
        wishes = {**service.ports, port: replace(service.ports[port], standard=free)}
        monkeypatch.setattr(service, "ports", wishes)
        with Devstack(tmp_path, services=(name,)) as stack:
            assert next(looks, None) is None
            assert stack.is_running(name)
            assert not any(f":{free}" in value for value in stack.env.values())


async def test_nats_wants_the_password(stack: Devstack) -> None:
    """Nobody gets in without, and an 8 MB message with headers fits."""
    url = stack.env["IOT_NATS__URL"]
    host, port = url.split("@")[1].split(":")
    with socket.create_connection((host, int(port)), timeout=5) as stranger:
        stranger.sendall(b"CONNECT {}\r\nPING\r\n")
        with stranger.makefile("rb") as answers:
            assert answers.readline().startswith(b"INFO")
            assert b"Authorization Violation" in answers.readline()
    connection = await nats.connect(url)
    await connection.jetstream().account_info()
    assert connection.max_payload == 16 << 20
    await connection.close()


def test_nothing_of_seaweedfs_is_open_to_strangers(stack: Devstack) -> None:
    """S3, catalog and filer refuse requests without a key; all listen on 127.0.0.1 only."""
    env, state = stack.env, state_of(stack)
    assert status(env["IOT_S3__ENDPOINT"], "/raw") == 403
    assert status(env["IOT_CATALOG__URI"], "/v1/namespaces?warehouse=s3://lake") in (401, 403)
    filer = f"127.0.0.1:{state['filer']}"
    assert status(filer, "/buckets/raw/stranger", "POST") == 401
    for name in ("nats", "seaweedfs", "clickhouse"):
        listening = [
            found.laddr.ip
            for found in psutil.Process(stack.pid(name)).net_connections("tcp")
            if found.status == psutil.CONN_LISTEN
        ]
        assert set(listening) == {"127.0.0.1"}


def state_of(stack: Devstack) -> dict[str, int]:
    """The ports of the stack's SeaweedFS."""
    from devstack.state import State

    return State.load(stack.directory).ports["seaweedfs"]


def test_seaweedfs_never_rewrites_tables_itself(stack: Devstack, tmp_path: Path) -> None:
    """Its Iceberg maintenance is registered and off; switched on, the platform refuses."""
    data = stack.directory / "seaweedfs" / "data"
    assert maintenance_is_off(data)
    assert not maintenance_is_off(tmp_path)
    config = tmp_path / "admin/plugin/job_types/iceberg_maintenance/config.json"
    config.parent.mkdir(parents=True)
    config.write_text('{"adminRuntime": {"enabled": true}}')
    with pytest.raises(DevstackError, match="iceberg_maintenance job is switched on"):
        maintenance_is_off(tmp_path)


def test_secrets_are_in_no_argument_list(stack: Devstack) -> None:
    """Everybody on the machine can read the arguments of a process."""
    from devstack.state import State

    secrets = State.load(stack.directory).secrets.values()
    for name in ("nats", "seaweedfs", "clickhouse"):
        arguments = " ".join(psutil.Process(stack.pid(name)).cmdline())
        assert not any(secret in arguments for secret in secrets)
