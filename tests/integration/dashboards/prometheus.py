"""A real Prometheus that reads what compose/prometheus tells it to, where that runs here."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from devstack.ports import PortWish, choose
from tests.support.waiting import until
from tests.unit.dashboards.boards import ROOT

NO_PROMETHEUS = "no prometheus here; Debian's package of that name has it"
Series = dict[str, str]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has."""
    return choose({"it": PortWish(0)}, remembered={}, taken=set(), ephemeral=True)["it"]


def configuration(addresses: Mapping[str, list[str]]) -> str:
    """Compose's file with the jobs that run here, at their addresses, read every second."""
    text = (ROOT / "compose/prometheus/prometheus.yml").read_text(encoding="utf-8")
    whole: dict[str, Any] = yaml.safe_load(text)
    jobs = []
    for job in whole["scrape_configs"]:
        if job["job_name"] in addresses:
            job["static_configs"][0]["targets"] = addresses[job["job_name"]]
            jobs.append(job)
    assert len(jobs) == len(addresses), f"expected {sorted(addresses)} among compose's jobs"
    return yaml.safe_dump({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs})


class Prometheus:
    """Runs inside of ``with``."""

    def __init__(self, folder: Path, addresses: Mapping[str, list[str]]) -> None:
        program = shutil.which("prometheus")
        if program is None:
            pytest.skip(NO_PROMETHEUS)
        self._url = f"http://127.0.0.1:{free_port()}"
        self._log = folder / "prometheus.log"
        file = folder / "prometheus.yml"
        file.write_text(configuration(addresses), encoding="utf-8")
        self._command = [
            program,
            f"--config.file={file}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={self._url.removeprefix('http://')}",
        ]

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        try:
            until(self._ready, f"a Prometheus that answers; its log is {self._log}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    def query(self, expression: str) -> list[Series]:
        """Labels of every series that has a number now; fails when the expression is refused."""
        url = f"{self._url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                found = json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["error"]) from error
        assert found["resultType"] == "vector", f"found a {found['resultType']}, expected series"
        return [one["metric"] for one in found["result"] if one["value"][1] != "NaN"]

    def _ready(self) -> bool:
        assert self._process.poll() is None, self._log.read_text(encoding="utf-8")[-2000:]
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=2):
                return True
        except OSError:
            return False
