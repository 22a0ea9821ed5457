"""Trino's key and certificate on loopback, made by Java's own keytool."""

from __future__ import annotations

import subprocess
from pathlib import Path

from devstack.errors import DevstackError
from devstack.trino.java import Java

KEY_STORE = "trino.p12"
CERTIFICATE = "ca.pem"

_ALIAS = "trino"
_VALID_DAYS = 3650
_WITHIN_S = 60.0
# Half the time of a program that runs for a second.
_QUICK = ("-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC")


def ensure(java: Java, folder: Path, password: str) -> None:
    """Make key store and certificate in `folder` unless they are there.

    The certificate is its own CA, good for 127.0.0.1 and localhost. Raises `DevstackError`.
    """
    if (folder / CERTIFICATE).exists():
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    store, partial = folder / KEY_STORE, folder / f"{CERTIFICATE}.new"
    store.unlink(missing_ok=True)
    common = [
        "-alias",
        _ALIAS,
        "-keystore",
        str(store),
        "-storepass:env",
        "DEVSTACK_STORE_PASSWORD",
    ]
    name = ["-dname", "CN=localhost,O=devstack", "-ext", "SAN=IP:127.0.0.1,DNS:localhost"]
    key = ["-keyalg", "EC", "-groupname", "secp256r1", "-validity", str(_VALID_DAYS)]
    usage = ["-ext", "BC:critical=ca:true,pathlen:0", "-storetype", "PKCS12"]
    _keytool(java, password, ["-genkeypair", *common, *name, *key, *usage])
    _keytool(java, password, ["-exportcert", "-rfc", *common, "-file", str(partial)])
    store.chmod(0o600)
    partial.replace(folder / CERTIFICATE)


def _keytool(java: Java, password: str, arguments: list[str]) -> None:
    try:
        done = subprocess.run(
            [java.keytool, *_QUICK, *arguments],
            env={"DEVSTACK_STORE_PASSWORD": password, "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DevstackError(f"{java.keytool} does not run: {error}") from error
    if done.returncode != 0:
        raise DevstackError(f"{java.keytool} {arguments[0]} failed: {done.stdout.strip()}")
