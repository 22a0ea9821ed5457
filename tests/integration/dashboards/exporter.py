"""NATS' exporter as compose runs it, built from its source where Go is."""

from __future__ import annotations

import os
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Self

import pytest
import yaml

from tests.integration.dashboards.prometheus import free_port
from tests.support.waiting import until
from tests.unit.dashboards.boards import ROOT

NO_GO = "no go here, which NATS' exporter is built with"
SOURCE = Path(__file__).parent / "nats_exporter"
MODULE = "github.com/nats-io/prometheus-nats-exporter"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "iot-lakehouse"
BUILD_S = 500.0


def in_compose() -> tuple[str, list[str]]:
    """Its version and its flags."""
    text = (ROOT / "compose/observability.yml").read_text(encoding="utf-8")
    service = yaml.safe_load(text)["services"]["nats-exporter"]
    return service["image"].rpartition(":")[2], service["command"]


def built() -> Path:
    """The program, from the cache if it has been built before."""
    version, _ = in_compose()
    pinned = f"{MODULE} v{version}"
    assert pinned in (SOURCE / "go.mod").read_text(encoding="utf-8"), (
        f"go.mod of {SOURCE} has another version than compose: expected {pinned}"
    )
    program = CACHE / f"nats-exporter-{version}"
    if not program.exists():
        go = shutil.which("go")
        if go is None:
            pytest.skip(NO_GO)
        CACHE.mkdir(parents=True, exist_ok=True)
        made = program.with_suffix(f".{os.getpid()}")
        subprocess.run(
            [go, "build", "-trimpath", "-ldflags", "-s -w", "-o", str(made), MODULE],
            cwd=SOURCE,
            env={**os.environ, "CGO_ENABLED": "0"},
            check=True,
            timeout=BUILD_S,
        )
        made.replace(program)
    return program


class Exporter:
    """Runs inside of ``with``, asking the NATS at ``monitor``."""

    def __init__(self, folder: Path, monitor: str) -> None:
        _, flags = in_compose()
        self.address = f"127.0.0.1:{free_port()}"
        port = self.address.rpartition(":")[2]
        kept = [one for one in flags if not one.startswith(("-port", "http://"))]
        self._log = folder / "exporter.log"
        self._command = [str(built()), "-addr=127.0.0.1", f"-port={port}", *kept, monitor]

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        try:
            until(self._answers, f"an exporter that answers; its log is {self._log}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text(encoding="utf-8")[-2000:]
        try:
            with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=2):
                return True
        except OSError:
            return False
