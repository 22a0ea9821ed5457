"""Which images the tests on containers run, and what is said where there is no Docker."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.images import iceberg_rest
from tests.images.build import registry_of
from tests.images.names import images
from tests.images.stand_ins import stand_ins

ROOT = Path(__file__).parents[3]
COMPOSE = (ROOT / "compose" / "core.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("service", ["nats", "clickhouse", "s3"])
def test_the_tests_run_the_images_of_docker_compose(service: str) -> None:
    """What is tested is what `make up` starts."""
    name = images({})[service].removeprefix("docker.io/")

    assert re.search(rf"image: docker\.io/(library/)?{re.escape(name)}\n", COMPOSE)


def test_a_variable_names_another_image() -> None:
    """Each image is a setting; the others stay."""
    chosen = images({"TEST_IMAGE_NATS": "nats:2.10"})

    assert chosen == images({}) | {"nats": "nats:2.10"}


def test_every_image_has_a_stand_in() -> None:
    """Where no registry is reached, none is missing."""
    assert stand_ins().keys() == images({}).keys()


def test_the_catalog_is_of_the_version_that_its_image_names() -> None:
    """The parts from Maven Central and the image's tag are one release, each part checked."""
    parts = list(iceberg_rest.parts())
    versions = {part.split(":")[2] for _, part in parts if part.startswith("org.apache.iceberg:")}

    assert versions == {images({})["catalog"].rpartition(":")[2]}
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest, _ in parts)


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        ("nats:2.14", "docker.io"),
        ("minio/minio:1", "docker.io"),
        ("docker.io/pgsty/silo:1", "docker.io"),
        ("quay.io/minio/minio:1", "quay.io"),
        ("localhost/own:1", "localhost"),
        ("127.0.0.1:5000/own:1", "127.0.0.1:5000"),
    ],
)
def test_the_registry_of_an_image(image: str, registry: str) -> None:
    """As Docker reads it: a name without a host is on Docker Hub."""
    assert registry_of(image) == registry


def test_without_docker_one_sentence_says_why() -> None:
    """A daemon that was named and is not there is not replaced by one of ours."""
    done = subprocess.run(
        [ROOT / "scripts" / "docker_daemon.sh", "start"],
        env=os.environ | {"DOCKER_HOST": "tcp://127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "docker_daemon: no Docker daemon: DOCKER_HOST is set to tcp://127.0.0.1:1, and nothing"
        " answers there; unset it or start that one.\n"
    )
