"""MinIO's server, of one drive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from devstack.ports import PortWish
from devstack.service import Launch, Place
from tests.compatibility.made import made
from tests.compatibility.servers.answers import answers

ACCESS_KEY = "iot"


@dataclass
class Minio:
    """S3 in a region of choice; with a ``domain`` buckets are also names below it."""

    region: str = "us-east-1"
    domain: str = ""
    name: str = "minio"
    ports: Mapping[str, PortWish] = field(default_factory=lambda: {"s3": PortWish(9000)})
    secrets: tuple[str, ...] = ("s3_secret_key",)
    connects_to: tuple[str, ...] = ()
    healthy_within_s: float = 60.0
    grace_s: float = 5.0

    def prepare(self, place: Place) -> Launch:
        """One folder holds everything."""
        data = place.directory / "data"
        data.mkdir(exist_ok=True)
        environment = {
            "MINIO_ROOT_USER": ACCESS_KEY,
            "MINIO_ROOT_PASSWORD": place.secrets["s3_secret_key"],
            "MINIO_SITE_REGION": self.region,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "MINIO_DOMAIN": self.domain,
        }
        address = f"127.0.0.1:{place.ports['s3']}"
        return Launch([made("minio"), "server", "--address", address, str(data)], environment)

    def is_healthy(self, place: Place) -> bool:
        """Whether it can read and write."""
        return answers(place.ports["s3"], "/minio/health/cluster")

    def environment(self, place: Place) -> dict[str, str]:
        """IOT_S3__*."""
        host = self.domain or "127.0.0.1"
        return {
            "IOT_S3__ENDPOINT": f"http://{host}:{place.ports['s3']}",
            "IOT_S3__ACCESS_KEY": ACCESS_KEY,
            "IOT_S3__SECRET_KEY": place.secrets["s3_secret_key"],
            "IOT_S3__REGION": self.region,
            "IOT_S3__BUCKET": "raw",
        }

    def endpoints(self, place: Place) -> dict[str, str]:
        """The S3 address."""
        return {"s3": f"http://127.0.0.1:{place.ports['s3']}"}
