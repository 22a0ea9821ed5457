"""Versity's S3 gateway over a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from devstack.ports import PortWish
from devstack.service import Launch, Place
from tests.compatibility.made import made
from tests.compatibility.servers.answers import answers
from tests.compatibility.servers.minio import ACCESS_KEY

REGION = "us-east-1"


@dataclass
class VersityGateway:
    """S3 with versions of objects kept in a second folder."""

    name: str = "versitygw"
    ports: Mapping[str, PortWish] = field(default_factory=lambda: {"s3": PortWish(7070)})
    secrets: tuple[str, ...] = ("s3_secret_key",)
    connects_to: tuple[str, ...] = ()
    healthy_within_s: float = 60.0
    grace_s: float = 5.0

    def prepare(self, place: Place) -> Launch:
        """Make both folders."""
        data, versions = place.directory / "data", place.directory / "versions"
        for folder in (data, versions):
            folder.mkdir(exist_ok=True)
        arguments = [
            made("versitygw", "1.8.0"),
            *("--port", f"127.0.0.1:{place.ports['s3']}"),
            *("--region", REGION, "--health", "/health", "--quiet"),
            *("posix", "--versioning-dir", str(versions), str(data)),
        ]
        environment = {
            "ROOT_ACCESS_KEY": ACCESS_KEY,
            "ROOT_SECRET_KEY": place.secrets["s3_secret_key"],
        }
        return Launch(arguments, environment)

    def is_healthy(self, place: Place) -> bool:
        """Whether it listens."""
        return answers(place.ports["s3"], "/health")

    def environment(self, place: Place) -> dict[str, str]:
        """IOT_S3__*."""
        return {
            "IOT_S3__ENDPOINT": f"http://127.0.0.1:{place.ports['s3']}",
            "IOT_S3__ACCESS_KEY": ACCESS_KEY,
            "IOT_S3__SECRET_KEY": place.secrets["s3_secret_key"],
            "IOT_S3__REGION": REGION,
            "IOT_S3__BUCKET": "raw",
        }

    def endpoints(self, place: Place) -> dict[str, str]:
        """The S3 address."""
        return {"s3": f"http://127.0.0.1:{place.ports['s3']}"}
