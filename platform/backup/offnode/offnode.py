# ruff: noqa: INP001, T201 - a script of a pod: in no package, and what it prints is its log
"""Copies to and from the off-node S3 target: put, get, newest, age and prune.

A put is one folder under a prefix, sealed by a list of SHA-256 sums that is uploaded last: a copy
without the list was cut off and is not looked at again. The address and the key come from the
variables OFFNODE_ENDPOINT, OFFNODE_REGION, OFFNODE_BUCKET, OFFNODE_ACCESS_KEY and
OFFNODE_SECRET_KEY.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3

SUMS = "SHA256SUMS"


class OffnodeError(Exception):
    """The off-node target does not hold what it should."""


def client() -> Any:
    """A client of the off-node target; its certificate must be one that the system trusts."""
    return boto3.client(
        "s3",
        endpoint_url=os.environ["OFFNODE_ENDPOINT"],
        region_name=os.environ["OFFNODE_REGION"],
        aws_access_key_id=os.environ["OFFNODE_ACCESS_KEY"],
        aws_secret_access_key=os.environ["OFFNODE_SECRET_KEY"],
    )


def objects(s3: Any, prefix: str) -> Iterator[dict[str, Any]]:
    """Every object whose key begins with the prefix."""
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=os.environ["OFFNODE_BUCKET"], Prefix=prefix
    )
    for page in pages:
        yield from page.get("Contents", [])


def sha256(path: Path) -> str:
    """The SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def put(s3: Any, folder: Path, prefix: str) -> None:
    """Upload a folder under prefix/<time>/, the sums at the end."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise OffnodeError(f"{folder} is empty, expected a backup: see the step before")
    target = f"{prefix}/{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    bucket = os.environ["OFFNODE_BUCKET"]
    sums = [f"{sha256(path)}  {path.relative_to(folder)}\n" for path in files]
    for path in files:
        s3.upload_file(str(path), bucket, f"{target}/{path.relative_to(folder)}")
    s3.put_object(Bucket=bucket, Key=f"{target}/{SUMS}", Body="".join(sums).encode())
    print(f"put {len(files)} files, {sum(path.stat().st_size for path in files)} bytes: {target}")


def get(s3: Any, prefix: str, folder: Path) -> None:
    """Download the newest sealed copy under the prefix and compare every sum."""
    sealed = [item["Key"] for item in objects(s3, f"{prefix}/") if item["Key"].endswith(f"/{SUMS}")]
    if not sealed:
        raise OffnodeError(f"no sealed copy under {prefix}/, expected one: does the backup run?")
    bucket, root = os.environ["OFFNODE_BUCKET"], max(sealed).removesuffix(SUMS)
    sums = s3.get_object(Bucket=bucket, Key=root + SUMS)["Body"].read().decode()
    for line in sums.splitlines():
        wanted, name = line.split("  ", 1)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, root + name, str(path))
        if (found := sha256(path)) != wanted:
            raise OffnodeError(f"{root}{name}: sha256 {found}, expected {wanted}: the copy is bad")
    print(f"got {len(sums.splitlines())} files with equal sums: {root}")


def newest(s3: Any, prefix: str) -> dict[str, Any]:
    """The object under the prefix that was written last."""
    found = max(objects(s3, prefix), key=lambda item: item["LastModified"], default=None)
    if found is None:
        raise OffnodeError(f"nothing under {prefix}, expected a copy: does the backup run?")
    return found


def fetch(s3: Any, prefix: str, path: Path) -> None:
    """Download the newest object under the prefix; a zip file is unpacked to its one member."""
    item = newest(s3, prefix)
    s3.download_file(os.environ["OFFNODE_BUCKET"], item["Key"], str(path))
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            content = archive.read(archive.namelist()[0])
        path.write_bytes(content)
    print(f"got {item['Key']}, {path.stat().st_size} bytes")


def age(s3: Any, prefix: str, limit: timedelta) -> None:
    """Fail when the newest object under the prefix is older than the limit."""
    item = newest(s3, prefix)
    old = datetime.now(UTC) - item["LastModified"]
    if old > limit:
        raise OffnodeError(f"{item['Key']} is {old} old, expected at most {limit}")
    print(f"{item['Key']} is {old} old, {item['Size']} bytes")


def prune(s3: Any, prefix: str, keep: timedelta) -> None:
    """Delete what is older than the time to keep; only after a newer copy is sealed."""
    limit = datetime.now(UTC) - keep
    sealed = [o for o in objects(s3, f"{prefix}/") if o["Key"].endswith(f"/{SUMS}")]
    if not any(item["LastModified"] > limit for item in sealed):
        raise OffnodeError(f"no sealed copy under {prefix}/ is newer than {limit}: nothing deleted")
    old = [item["Key"] for item in objects(s3, f"{prefix}/") if item["LastModified"] < limit]
    for key in old:
        s3.delete_object(Bucket=os.environ["OFFNODE_BUCKET"], Key=key)
    print(f"pruned {len(old)} objects under {prefix}/")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, *options in (
        ("put", "folder", "prefix"),
        ("get", "prefix", "folder"),
        ("fetch", "prefix", "path"),
        ("age", "prefix", "hours"),
        ("prune", "prefix", "days"),
    ):
        command = commands.add_parser(name)
        for option in options:
            command.add_argument(option)
    return parser.parse_args()


def main() -> int:
    """Run one command; 1 when the target does not hold what it should."""
    chosen, s3 = arguments(), client()
    try:
        match chosen.command:
            case "put":
                put(s3, Path(chosen.folder), chosen.prefix)
            case "get":
                get(s3, chosen.prefix, Path(chosen.folder))
            case "fetch":
                fetch(s3, chosen.prefix, Path(chosen.path))
            case "age":
                age(s3, chosen.prefix, timedelta(hours=float(chosen.hours)))
            case "prune":
                prune(s3, chosen.prefix, timedelta(days=float(chosen.days)))
    except OffnodeError as error:
        print(f"offnode: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
