# ruff: noqa: INP001, T201 - a script of a pod: in no package, and what it prints is its log
"""Compares the lake's live bucket with its replica: every key and size, a sample by SHA-256.

Objects younger than an hour are left out: replication follows, it does not hold up a write.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

SAMPLE = 200


def client(side: str, ca: str | None = None) -> Any:
    """A client of one side, LIVE or OFFNODE, that trusts a CA file or else what the system does."""
    return boto3.client(
        "s3",
        endpoint_url=os.environ[f"{side}_ENDPOINT"],
        region_name=os.environ[f"{side}_REGION"],
        aws_access_key_id=os.environ[f"{side}_ACCESS_KEY"],
        aws_secret_access_key=os.environ[f"{side}_SECRET_KEY"],
        verify=ca,
    )


def sizes(s3: Any, bucket: str, before: datetime | None = None) -> dict[str, int]:
    """Key and size of every object, or of those written before a moment."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {
        item["Key"]: item["Size"]
        for page in pages
        for item in page.get("Contents", [])
        if before is None or item["LastModified"] < before
    }


def sha256(s3: Any, bucket: str, key: str) -> str:
    """The SHA-256 of an object's content."""
    body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    return hashlib.file_digest(body, "sha256").hexdigest()


def main() -> int:
    """1 when the replica lacks an object, or holds another content."""
    live, replica = client("LIVE", os.environ["LIVE_CA"]), client("OFFNODE")
    bucket, copy = os.environ["LIVE_BUCKET"], os.environ["OFFNODE_REPLICA_BUCKET"]
    wanted = sizes(live, bucket, datetime.now(UTC) - timedelta(hours=1))
    found = sizes(replica, copy)
    if not wanted:
        print(f"{bucket} holds nothing older than an hour, expected the lake", file=sys.stderr)
        return 1
    bad = [key for key, size in wanted.items() if found.get(key) != size]
    # Expired by the maintenance since they were listed: the live side decides.
    still = sizes(live, bucket) if bad else {}
    bad = [f"{key}: {found.get(key)} bytes, expected {wanted[key]}" for key in bad if key in still]
    for key in random.SystemRandom().sample(sorted(wanted), min(SAMPLE, len(wanted))):
        try:
            sums = sha256(live, bucket, key), sha256(replica, copy, key)
        except live.exceptions.NoSuchKey:
            continue
        except replica.exceptions.NoSuchKey:
            bad.append(f"{key}: not in the replica")
            continue
        if sums[0] != sums[1]:
            bad.append(f"{key}: sha256 {sums[1]}, expected {sums[0]}")
    for line in bad[:20]:
        print(line, file=sys.stderr)
    print(f"{len(wanted)} objects compared, {len(bad)} differ; bucket {bucket}, replica {copy}")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
