"""Trino's configuration files, written anew at each start."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from pathlib import Path

from devstack import seaweedfs
from devstack.service import Place, write_private
from devstack.trino.certificate import KEY_STORE

USER = "iot"
HEAP_MB = 768
MAINTENANCE = "maintenance"
"""Source prefix `iot-maintenance` or client tag of the statements that yield to all others."""

_QUERY_MB = 256
_HEADROOM_MB = 128
# The fewest that Trino takes; the password is random, stretching it gains nothing.
_PBKDF2_ROUNDS = 1000

Properties = dict[str, object]


def write(place: Place) -> None:
    """Write the folder `etc` of a place; secrets are readable by the owner only."""
    etc = place.directory / "etc"
    shutil.rmtree(etc, ignore_errors=True)
    etc.mkdir(mode=0o700)
    (etc / "catalog").mkdir()
    files = {
        "config": _server(place),
        "password-authenticator": _password_authenticator(etc),
        "resource-groups": {
            "resource-groups.configuration-manager": "file",
            "resource-groups.config-file": etc / "resource-groups.json",
        },
        "log": _LOG_LEVELS,
        **{f"catalog/{name}": catalog for name, catalog in _catalogs(place).items()},
    }
    for name, properties in files.items():
        write_private(etc / f"{name}.properties", text(properties))
    write_private(etc / "password.db", password_line(USER, place.secrets["trino_password"]))
    write_private(etc / "resource-groups.json", json.dumps(_RESOURCE_GROUPS, indent=2))


def text(properties: Properties) -> str:
    """A Java properties file."""
    return "".join(f"{name}={value}\n" for name, value in properties.items())


def password_line(user: str, password: str) -> str:
    """A line of Trino's password file: PBKDF2 with HMAC-SHA1, what release 476 computes."""
    salt = secrets.token_bytes(16)
    digest = hashlib.pbkdf2_hmac("sha1", password.encode(), salt, _PBKDF2_ROUNDS)
    return f"{user}:{_PBKDF2_ROUNDS}:{salt.hex()}:{digest.hex()}\n"


def _server(place: Place) -> Properties:
    return {
        "coordinator": "true",
        "node-scheduler.include-coordinator": "true",
        "node.bind-ip": "127.0.0.1",
        "node.internal-address": "127.0.0.1",
        # Clients get in by TLS and password only. The plain port is the node's own: requests
        # between its tasks carry the shared secret, all others are refused.
        "http-server.https.enabled": "true",
        "http-server.https.port": place.ports["https"],
        "http-server.https.keystore.path": place.directory / "tls" / KEY_STORE,
        "http-server.https.keystore.key": place.secrets["trino_keystore_password"],
        "http-server.authentication.type": "PASSWORD",
        "http-server.http.port": place.ports["internal"],
        "discovery.uri": f"http://127.0.0.1:{place.ports['internal']}",
        "internal-communication.shared-secret": place.secrets["trino_shared_secret"],
        "http-server.log.enabled": "false",
        "catalog.management": "static",
        "query.max-memory": f"{_QUERY_MB}MB",
        "query.max-memory-per-node": f"{_QUERY_MB}MB",
        # A client that was killed leaves its statement running for so long.
        "query.client.timeout": "1m",
        "memory.heap-headroom-per-node": f"{_HEADROOM_MB}MB",
    }


def _password_authenticator(etc: Path) -> Properties:
    return {"password-authenticator.name": "file", "file.password-file": etc / "password.db"}


def _catalogs(place: Place) -> dict[str, Properties]:
    catalogs: dict[str, Properties] = {
        name: {"connector.name": name} for name in ("memory", "tpch", "tpcds")
    }
    lake = place.neighbours.get("seaweedfs")
    if lake is not None:
        catalogs["iceberg"] = {
            "connector.name": "iceberg",
            "iceberg.catalog.type": "rest",
            "iceberg.rest-catalog.uri": f"http://127.0.0.1:{lake['iceberg']}",
            "iceberg.rest-catalog.warehouse": f"s3://{seaweedfs.TABLE_BUCKET}",
            "iceberg.rest-catalog.sigv4-enabled": "true",
            "iceberg.rest-catalog.signing-name": "s3tables",
            "fs.native-s3.enabled": "true",
            "s3.endpoint": f"http://127.0.0.1:{lake['s3']}",
            "s3.region": seaweedfs.REGION,
            "s3.path-style-access": "true",
            "s3.aws-access-key": seaweedfs.ACCESS_KEY,
            "s3.aws-secret-key": place.secrets["s3_secret_key"],
        }
    return catalogs


# One maintenance statement at a time, and it is the last to be let in when many wait.
_RESOURCE_GROUPS = {
    "rootGroups": [
        {
            "name": "lakehouse",
            "softMemoryLimit": "100%",
            "hardConcurrencyLimit": 8,
            "maxQueued": 200,
            "schedulingPolicy": "weighted",
            "subGroups": [
                {
                    "name": MAINTENANCE,
                    "softMemoryLimit": "70%",
                    "hardConcurrencyLimit": 1,
                    "maxQueued": 10,
                    "schedulingWeight": 1,
                },
                {
                    "name": "interactive",
                    "softMemoryLimit": "100%",
                    "hardConcurrencyLimit": 8,
                    "maxQueued": 100,
                    "schedulingWeight": 10,
                },
            ],
        }
    ],
    "selectors": [
        {"source": "iot-maintenance.*", "group": f"lakehouse.{MAINTENANCE}"},
        {"clientTags": [MAINTENANCE], "group": f"lakehouse.{MAINTENANCE}"},
        {"group": "lakehouse.interactive"},
    ],
}
# Trino writes its whole configuration at each start, about a thousand lines.
_LOG_LEVELS: Properties = {
    "Bootstrap": "WARN",
    "io.airlift.bootstrap.LifeCycleManager": "WARN",
    "io.trino.server.PluginManager": "WARN",
    "org.apache.iceberg": "WARN",
}
