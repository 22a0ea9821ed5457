"""Make the passwords of docker-compose.yml in `.env`: what is there stays, the rest is added.

`python3 scripts/env.py [FILE]`; needs Python alone. Only the owner can read the file afterwards.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
from pathlib import Path

SECRETS = (
    "NATS_ADMIN_PASSWORD",
    "NATS_INGEST_INIT_PASSWORD",
    "NATS_INGEST_HOT_PASSWORD",
    "NATS_INGEST_LAKE_PASSWORD",
    "NATS_DAGSTER_PASSWORD",
    "NATS_SIMULATOR_PASSWORD",
    "NATS_SENSORS_PASSWORD",
    "CLICKHOUSE_OWNER_PASSWORD",
    "CLICKHOUSE_WRITER_PASSWORD",
    "CLICKHOUSE_MAINTENANCE_PASSWORD",
    "CLICKHOUSE_GRAFANA_PASSWORD",
    "CLICKHOUSE_READER_PASSWORD",
    "S3_ROOT_PASSWORD",
    "S3_LAKE_SECRET_KEY",
    "CATALOG_DB_PASSWORD",
    "CATALOG_ENCRYPTION_KEY",
    "TRINO_SHARED_SECRET",
    "TRINO_ADMIN_PASSWORD",
    "TRINO_ANALYST_PASSWORD",
    "TRINO_DAGSTER_PASSWORD",
    "TRINO_GRAFANA_PASSWORD",
    "TRINO_METRICS_PASSWORD",
    "DAGSTER_DB_PASSWORD",
    "GRAFANA_ADMIN_PASSWORD",
)
HEADING = "# Passwords of docker-compose.yml, made by `make env`. Volumes remember them: keep them."
ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=", re.MULTILINE)


def password() -> str:
    """A random password of letters and digits: it stands in URLs as it is.

    It begins with a letter, as NATS reads 12e5 as a number.
    """
    return "p" + secrets.token_hex(20)


def completed(text: str) -> tuple[str, list[str]]:
    """The file's text with every password, and the names that were added."""
    there = set(ASSIGNMENT.findall(text))
    missing = [name for name in SECRETS if name not in there]
    if not missing:
        return text, []
    if text and not text.endswith("\n"):
        text += "\n"
    lines = [] if HEADING in text else [HEADING]
    lines += [f"{name}={password()}" for name in missing]
    return text + "\n".join(lines) + "\n", missing


def main() -> None:
    """Completes the file; nothing in it is ever changed."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else ".env")
    found = path.read_text(encoding="utf-8") if path.exists() else ""
    text, added = completed(found)
    if added:
        partial = path.with_name(f"{path.name}.new")
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        partial.replace(path)
    else:
        path.chmod(0o600)
    print(f"{path}: {len(added)} passwords made, {len(SECRETS) - len(added)} there already")


if __name__ == "__main__":
    main()
