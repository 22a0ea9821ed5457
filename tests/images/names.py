"""Which images the tests run: those of docker-compose, or what a variable names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
VERSIONS = ROOT / "platform" / "versions.yaml"

# Service -> (variable that names another image, its entry in platform/versions.yaml).
_OF_THE_PLATFORM = {
    "nats": ("TEST_IMAGE_NATS", "nats"),
    "clickhouse": ("TEST_IMAGE_CLICKHOUSE", "clickhouse-server"),
    "s3": ("TEST_IMAGE_S3", "silo"),
}
# Not the catalog of the platform, which needs Postgres beside it: the reference implementation.
_CATALOG = ("TEST_IMAGE_CATALOG", "docker.io/apache/iceberg-rest-fixture:1.10.1")


def images(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The image of each service, as ``repository:tag``."""
    environment = os.environ if environment is None else environment
    inventory = yaml.safe_load(VERSIONS.read_text(encoding="utf-8"))["images"]
    chosen = {}
    for service, (variable, entry) in _OF_THE_PLATFORM.items():
        known = inventory[entry]
        chosen[service] = environment.get(variable) or f"{known['image']}:{known['tag']}"
    variable, default = _CATALOG
    return chosen | {"catalog": environment.get(variable) or default}
