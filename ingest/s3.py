"""Connection to the object store's S3 API."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ingest.errors import SettingsError, SinkUnavailableError
from ingest.settings import S3Settings

FAILURES = (BotoCoreError, ClientError)
REFUSED = frozenset(
    {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403", "Forbidden"}
)


def connect(settings: S3Settings) -> Any:
    """A boto3 S3 client with short time limits."""
    return boto3.client(
        "s3",
        endpoint_url=settings.endpoint,
        aws_access_key_id=settings.access_key.get_secret_value(),
        aws_secret_access_key=settings.secret_key.get_secret_value(),
        region_name=settings.region,
        config=Config(
            connect_timeout=3,
            read_timeout=20,
            retries={"max_attempts": 2, "mode": "standard"},
            s3={"addressing_style": settings.addressing},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def error_code(error: Exception) -> str:
    """S3's code of an error ("NoSuchBucket"), "" when there was no answer."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return ""


def unavailable(error: Exception) -> SettingsError | SinkUnavailableError:
    """An object store error as a decision: mend the settings, or wait."""
    code = error_code(error)
    if code in REFUSED:
        return SettingsError(
            "the object store refuses the credentials (s3.access_key, s3.secret_key,"
            f" IOT_S3__ACCESS_KEY, IOT_S3__SECRET_KEY): {error}"
        )
    return SinkUnavailableError(f"the object store does not answer: {error}")
