"""Where an image is from: here already, a registry, or a stand-in."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images.build import LABEL, ensure, labels
from tests.images.stand_ins import StandIn


@pytest.fixture
def image() -> Iterator[str]:
    """A name that no registry knows; the image is removed afterwards."""
    name = f"registry.invalid/iot-test:{secrets.token_hex(4)}"
    yield name
    subprocess.run(["docker", "image", "rm", "--force", name], check=True, capture_output=True)


def stand_in(what: str) -> StandIn:
    """One that holds a file."""

    def fill(root: Path) -> None:
        (root / "what").write_text(what, encoding="utf-8")

    return StandIn(what, fill, ('ENTRYPOINT ["/what"]',), ())


def test_a_stand_in_is_made_once_and_again_when_it_changes(image: str) -> None:
    """It says what is in it; made from other things it is another image."""
    unreachable: set[str] = set()

    assert ensure(image, stand_in("server 1"), unreachable) == "stand-in, server 1"
    first = labels(image)
    ensure(image, stand_in("server 1"), unreachable)
    assert labels(image) == first
    assert unreachable == {"registry.invalid"}

    ensure(image, stand_in("server 2"), unreachable)
    changed = labels(image)
    assert changed is not None
    assert changed[LABEL] == "server 2"


def test_an_image_that_is_here_wins(image: str) -> None:
    """Somebody's own image of that name is neither pulled anew nor replaced."""
    empty_archive = bytes(10240)
    subprocess.run(["docker", "import", "-", image], input=empty_archive, check=True)

    assert ensure(image, stand_in("server"), set()) == "is here"
    assert labels(image) == {}
