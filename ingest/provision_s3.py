"""Makes the S3 bucket, with versioning on."""

from __future__ import annotations

from typing import Any

from ingest import s3
from ingest.provision_step import Step
from ingest.settings import S3Settings

MISSING = frozenset({"404", "NoSuchBucket", "NotFound"})
VERSIONING_ON = {"Status": "Enabled"}


def make(settings: S3Settings) -> Step:
    """Makes the bucket when it is missing and turns versioning on; blocks.

    Raises SinkUnavailableError, or SettingsError when the credentials are refused.
    """
    try:
        client = s3.connect(settings)
        made = _make_bucket(client, settings.bucket)
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


def _make_bucket(client: Any, name: str) -> bool:
    try:
        client.head_bucket(Bucket=name)
    except s3.FAILURES as error:
        if s3.error_code(error) not in MISSING:
            raise
        client.create_bucket(Bucket=name)
        return True
    return False
