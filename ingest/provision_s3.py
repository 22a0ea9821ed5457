"""Makes the S3 bucket, with versioning on."""

from __future__ import annotations

from typing import Any

from ingest import s3
from ingest.provision_step import Step
from ingest.settings import S3Settings

MISSING = frozenset({"404", "NoSuchBucket", "NotFound"})
NAMELESS_REGION = "us-east-1"
VERSIONING_ON = {"Status": "Enabled"}


def make(settings: S3Settings) -> Step:
    """Makes the bucket when it is missing and turns versioning on; blocks.

    Raises SinkUnavailableError, or SettingsError when the credentials are refused.
    """
    try:
        client = s3.connect(settings)
        made = _make_bucket(client, settings)
        versioned = client.get_bucket_versioning(Bucket=settings.bucket).get("Status") == "Enabled"
        if not versioned:
            client.put_bucket_versioning(
                Bucket=settings.bucket, VersioningConfiguration=VERSIONING_ON
            )
    except (*s3.FAILURES, ValueError) as error:
        raise s3.unavailable(error) from error
    if made:
        return Step("bucket", settings.bucket, "made", ("versioning on",))
    if versioned:
        return Step("bucket", settings.bucket, "there")
    return Step("bucket", settings.bucket, "changed", ("versioning turned on",))


def _make_bucket(client: Any, settings: S3Settings) -> bool:
    try:
        client.head_bucket(Bucket=settings.bucket)
    except s3.FAILURES as error:
        if s3.error_code(error) not in MISSING:
            raise
        client.create_bucket(Bucket=settings.bucket, **_region(settings.region))
        return True
    return False


def _region(name: str) -> dict[str, dict[str, str]]:
    """AWS refuses a bucket whose region is not said, and us-east-1 when it is."""
    if name == NAMELESS_REGION:
        return {}
    return {"CreateBucketConfiguration": {"LocationConstraint": name}}
