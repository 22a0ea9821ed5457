"""Objects below a table's location in the object store, whether a snapshot has them or not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from ingest import s3
from ingest.errors import SettingsError
from ingest.settings import S3Settings

Objects = Mapping[str, int]
"""Bytes by key."""


def table_objects(settings: S3Settings, location: str, before: datetime | None = None) -> Objects:
    """Every object below ``location``, last written before ``before`` where that is given.

    One request for each thousand. Raises SinkUnavailableError, and SettingsError when the table
    does not lie in S3.
    """
    url = urlsplit(location)
    if url.scheme not in {"s3", "s3a"}:
        raise SettingsError(f"the table lies at {location}; expected s3://bucket/path")
    client: Any = s3.connect(settings)
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=url.netloc, Prefix=f"{url.path.strip('/')}/"
    )
    try:
        return {
            one["Key"]: int(one["Size"])
            for page in pages
            for one in page.get("Contents", [])
            if before is None or one["LastModified"] < before
        }
    except s3.FAILURES as error:
        raise s3.unavailable(error) from error
