"""The job that lets Trino's clients in: its certificate holds in a strict handshake."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "compose" / "trino" / "make_access.py"


def made(folder: Path, **passwords: str) -> str:
    """What the job says after a run with these users' passwords."""
    variables = {f"TRINO_PASSWORD_{user.upper()}": text for user, text in passwords.items()}
    done = subprocess.run(
        [sys.executable, SCRIPT, folder],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("name", ["trino", "localhost"])
def test_the_certificate_holds_for_the_names_of_the_server(tmp_path: Path, name: str) -> None:
    """A client that trusts ca.crt alone, and asks strictly, gets through to server.pem."""
    made(tmp_path, metrics="secret")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "server.pem")
    client = ssl.create_default_context(cafile=tmp_path / "ca.crt")
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    ours, theirs = socket.socketpair()

    def answer() -> None:
        with server.wrap_socket(theirs, server_side=True) as connection:
            connection.sendall(connection.recv(16))

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    with client.wrap_socket(ours, server_hostname=name) as connection:
        connection.sendall(b"hello")
        assert connection.recv(16) == b"hello"
    thread.join(10)


def test_it_is_made_once_and_the_passwords_each_time(tmp_path: Path) -> None:
    """A second run keeps the certificate and takes over new passwords."""
    assert made(tmp_path, admin="first", metrics="m").startswith("certificate made")
    before = (tmp_path / "server.pem").read_bytes()
    assert made(tmp_path, admin="second", metrics="m").startswith("certificate there")
    assert (tmp_path / "server.pem").read_bytes() == before

    lines = (tmp_path / "password.db").read_text(encoding="utf-8").splitlines()
    users = {user: rest for user, _, rest in (line.partition(":") for line in lines)}
    assert set(users) == {"admin", "metrics"}
    rounds, salt, digest = users["admin"].split(":")
    expected = hashlib.pbkdf2_hmac("sha1", b"second", bytes.fromhex(salt), int(rounds))
    assert digest == expected.hex()
    assert (tmp_path / "metrics-password").read_text(encoding="utf-8") == "m"


def test_strangers_cannot_read_the_secrets(tmp_path: Path) -> None:
    """Trino and Prometheus read by their group; only the certificate is everybody's."""
    made(tmp_path, metrics="m")
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()}
    assert modes == {
        "ca.crt": "0o644",
        "metrics-password": "0o640",
        "password.db": "0o640",
        "server.pem": "0o640",
    }
