# ruff: noqa: INP001 - a container runs it alone, in no package
"""What Trino's clients need to get in: a certificate made once, and the passwords of today.

In the folder that is named: `server.pem` (key and certificate), `ca.crt` (for clients),
`password.db` (from each variable TRINO_PASSWORD_<USER>), `metrics-password` (for Prometheus).
"""

from __future__ import annotations

import hashlib
import os
import secrets
import subprocess
import sys
from pathlib import Path

PREFIX = "TRINO_PASSWORD_"
NAMES = "DNS:trino,DNS:localhost,IP:127.0.0.1"
# Python from 3.13 on asks an authority for its key's usage.
USAGE = ("keyUsage=critical,digitalSignature,keyCertSign", "extendedKeyUsage=serverAuth")
VALID_DAYS = 3650
# The fewest that Trino takes; the passwords are random, stretching them gains nothing.
ROUNDS = 1000
READ_BY_GROUP = 0o640
READ_BY_ALL = 0o644


def make_certificate(folder: Path) -> bool:
    """Key and certificate, which is its own authority; False when they are there."""
    authority, server = folder / "ca.crt", folder / "server.pem"
    if authority.exists() and server.exists():
        return False
    key, certificate = folder / "key.new", folder / "ca.new"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-noenc", "-days", str(VALID_DAYS), "-subj", "/CN=trino", "-keyout", str(key)]
    for extension in (f"subjectAltName={NAMES}", *USAGE):
        command += ["-addext", extension]
    command += ["-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    put(server, key.read_text() + certificate.read_text(), READ_BY_GROUP)
    put(authority, certificate.read_text(), READ_BY_ALL)
    key.unlink()
    certificate.unlink()
    return True


def password_line(user: str, password: str) -> str:
    """A line of Trino's password file: PBKDF2 with HMAC-SHA1, what Trino computes."""
    salt = secrets.token_bytes(16)
    digest = hashlib.pbkdf2_hmac("sha1", password.encode(), salt, ROUNDS)
    return f"{user}:{ROUNDS}:{salt.hex()}:{digest.hex()}\n"


def put(path: Path, text: str, mode: int) -> None:
    """Writes a file as a whole, never readable by more than in the end."""
    partial = path.with_name(f"{path.name}.part")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.chmod(mode)
    partial.replace(path)


def main() -> None:
    """Makes all of it; exit code 1 with one sentence when it fails."""
    folder = Path(sys.argv[1])
    users = {
        name.removeprefix(PREFIX).lower(): password
        for name, password in sorted(os.environ.items())
        if name.startswith(PREFIX)
    }
    os.umask(0o077)
    try:
        made = make_certificate(folder)
    except subprocess.CalledProcessError as error:
        sys.exit(f"openssl makes no certificate: {error.stderr.decode().strip()}")
    lines = (password_line(user, password) for user, password in users.items())
    put(folder / "password.db", "".join(lines), READ_BY_GROUP)
    put(folder / "metrics-password", users["metrics"], READ_BY_GROUP)
    print(f"certificate {'made' if made else 'there'}, passwords of {', '.join(users)}")  # noqa: T201


if __name__ == "__main__":
    main()
