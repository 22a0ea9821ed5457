"""Makes sure that every image of the tests is here: local, pulled, or a stand-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.images import rootfs
from tests.images.names import images
from tests.images.stand_ins import StandIn, stand_ins

LABEL = "iot-lakehouse.stand-in"
"""On every stand-in: what runs in it."""
LABEL_DIGEST = f"{LABEL}.digest"

PULL_WITHIN_S = 60.0
"""A registry that is slower counts as none."""


def main() -> None:
    """One line for each image."""
    known = stand_ins()
    unreachable: set[str] = set()
    for service, image in images().items():
        sys.stdout.write(f"{image}: {ensure(image, known[service], unreachable)}\n")
        sys.stdout.flush()


def ensure(image: str, stand_in: StandIn, unreachable: set[str]) -> str:
    """Where `image` is from. Registries that do not answer are remembered in `unreachable`."""
    local = labels(image)
    if local is not None and LABEL_DIGEST not in local:
        return "is here"
    registry = registry_of(image)
    if registry not in unreachable:
        if _pull(image):
            return "pulled"
        unreachable.add(registry)
    if local is None or local[LABEL_DIGEST] != stand_in.digest:
        _build(image, stand_in)
    return f"stand-in, {stand_in.what}"


def registry_of(image: str) -> str:
    """The host of an image's registry."""
    host, slash, _ = image.partition("/")
    return host if slash and ("." in host or ":" in host or host == "localhost") else "docker.io"


def labels(image: str) -> dict[str, str] | None:
    """The labels of a local image, None when it is not here."""
    inspect = ["docker", "image", "inspect", "--format", "{{range $k, $v := .Config.Labels}}"]
    inspect[-1] += "{{$k}}={{$v}}\n{{end}}"
    told = subprocess.run([*inspect, image], capture_output=True, text=True, check=False)
    if told.returncode != 0:
        return None
    return dict(line.split("=", 1) for line in told.stdout.splitlines() if "=" in line)


def _pull(image: str) -> bool:
    limit = float(os.environ.get("TEST_IMAGE_PULL_S", PULL_WITHIN_S))
    try:
        pull = ["docker", "pull", "--quiet", image]
        return subprocess.run(pull, capture_output=True, check=False, timeout=limit).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _build(image: str, stand_in: StandIn) -> None:
    with tempfile.TemporaryDirectory(prefix="stand-in-") as folder:
        root = Path(folder) / "root"
        rootfs.empty(root)
        stand_in.fill(root)
        changes = (
            *stand_in.changes,
            f"LABEL {LABEL}={json.dumps(stand_in.what)} {LABEL_DIGEST}={stand_in.digest}",
        )
        options = [option for change in changes for option in ("--change", change)]
        # No Dockerfile: nothing is run to make it, and there is no base image to be had.
        tar = ["tar", "--create", "--owner=0", "--group=0", f"--directory={root}", "."]
        with subprocess.Popen(tar, stdout=subprocess.PIPE) as archive:
            subprocess.run(
                ["docker", "import", *options, "-", image],
                stdin=archive.stdout,
                stdout=subprocess.DEVNULL,
                check=True,
            )
        if archive.returncode != 0:
            raise SystemExit(f"build: {image} could not be packed; tar ended with an error.")


if __name__ == "__main__":
    main()
