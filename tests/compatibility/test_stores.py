"""What the object stores of the table do with checksums, parts and conditions."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from pyarrow.fs import S3FileSystem
from pydantic import SecretStr

from devstack.seaweedfs import SeaweedFS
from devstack.service import Service
from devstack.supervisor import SERVICES, Devstack
from ingest import provision_s3
from ingest.errors import SinkUnavailableError
from ingest.settings import S3Settings
from tests.compatibility.made import made
from tests.compatibility.servers.minio import Minio
from tests.compatibility.servers.versitygw import VersityGateway

BUCKET = "probe"
PARTS = 12_000_000
"""Bytes that PyArrow sends in several parts."""
STORES: dict[str, Service] = {
    "seaweedfs": SeaweedFS(),
    "seaweedfs-4.30": SeaweedFS(),
    "minio": Minio(),
    "versitygw": VersityGateway(),
}


@pytest.fixture(params=STORES)
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """The settings of a running store with an empty bucket."""
    service = STORES[request.param]
    name, _, version = str(request.param).partition("-")
    if version:
        monkeypatch.setenv("DEVSTACK_WEED", made(name, version))
    monkeypatch.setitem(SERVICES, name, service)
    with Devstack(tmp_path / "platform", (name,), ephemeral_ports=True) as running:
        _client(running.env, "when_required").create_bucket(Bucket=BUCKET)
        yield running.env


@pytest.mark.parametrize("checksums", ["when_required", "when_supported"])
def test_objects_come_back_with_and_without_checksums(
    store: dict[str, str], checksums: str
) -> None:
    """Both ways in which clients of S3 are set."""
    client = _client(store, checksums)
    body = secrets.token_bytes(100_000)

    client.put_object(Bucket=BUCKET, Key="object", Body=body)

    assert client.get_object(Bucket=BUCKET, Key="object")["Body"].read() == body


def test_pyarrow_writes_in_parts(store: dict[str, str]) -> None:
    """As Parquet files of the lake are written."""
    files = S3FileSystem(
        endpoint_override=store["IOT_S3__ENDPOINT"],
        access_key=store["IOT_S3__ACCESS_KEY"],
        secret_key=store["IOT_S3__SECRET_KEY"],
        region=store["IOT_S3__REGION"],
    )
    body = secrets.token_bytes(PARTS)

    with files.open_output_stream(f"{BUCKET}/parts") as output:
        output.write(body)

    assert files.open_input_stream(f"{BUCKET}/parts").read() == body


def test_conditions_are_kept(store: dict[str, str]) -> None:
    """A put of what is there, and one over another version, are refused; `ingest` needs neither."""
    client = _client(store, "when_required")
    first = client.put_object(Bucket=BUCKET, Key="once", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=BUCKET, Key="once", Body=b"2", IfNoneMatch="*")

    client.put_object(Bucket=BUCKET, Key="once", Body=b"2", IfMatch=first)

    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=BUCKET, Key="once", Body=b"3", IfMatch=first)
    assert client.get_object(Bucket=BUCKET, Key="once")["Body"].read() == b"2"


def test_the_bucket_of_init_is_made_in_the_region_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The region stands in the request, and a store of another region refuses it."""
    monkeypatch.setitem(SERVICES, "minio", Minio(region="eu-central-1"))
    with Devstack(tmp_path / "platform", ("minio",), ephemeral_ports=True) as running:
        store = S3Settings(
            endpoint=running.env["IOT_S3__ENDPOINT"],
            access_key=SecretStr(running.env["IOT_S3__ACCESS_KEY"]),
            secret_key=SecretStr(running.env["IOT_S3__SECRET_KEY"]),
            region="eu-central-1",
        )
        made_there = provision_s3.make(store)
        elsewhere = store.model_copy(update={"bucket": "other", "region": "ap-south-1"})
        with pytest.raises(SinkUnavailableError):
            provision_s3.make(elsewhere)

    assert made_there.outcome == "made"


def _client(store: dict[str, str], checksums: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=store["IOT_S3__ENDPOINT"],
        aws_access_key_id=store["IOT_S3__ACCESS_KEY"],
        aws_secret_access_key=store["IOT_S3__SECRET_KEY"],
        region_name=store["IOT_S3__REGION"],
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation=checksums,
            response_checksum_validation=checksums,
        ),
    )
