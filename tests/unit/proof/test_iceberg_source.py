"""Where ClickHouse looks for the lake's files."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Literal, cast

import pytest
from pyiceberg.table import Table

from ingest.proof.iceberg_side import iceberg_source
from ingest.settings import S3Settings, Settings

TABLE = cast(
    "Table",
    SimpleNamespace(
        location=lambda: "s3://lake/iot/readings",
        metadata_location="s3://lake/iot/readings/metadata/1.json",
    ),
)


@pytest.mark.parametrize(
    ("addressing", "url"),
    [
        ("path", "https://s3.example.com:9000/lake/iot/readings/"),
        ("virtual", "https://lake.s3.example.com:9000/iot/readings/"),
    ],
)
def test_the_bucket_stands_where_the_store_wants_it(
    addressing: Literal["path", "virtual"], url: str
) -> None:
    """In the path, or before the host."""
    store = S3Settings(endpoint="https://s3.example.com:9000/", addressing=addressing)

    assert f"icebergS3('{url}'" in iceberg_source(Settings(s3=store), TABLE)
