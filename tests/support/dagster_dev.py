"""`dagster dev` as a user starts it: web server, daemon and code location in processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import URLError

from tests.support.waiting import until

ROOT = Path(__file__).parents[2]


class DagsterDev:
    """Dagster over the project's definitions, with a home of its own in ``folder``.

    ``env`` is the whole environment. It runs outside the project's folder, whose `.env` would
    replace the home.
    """

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.home = folder / "dagster_home"
        self.home.mkdir(parents=True)
        shutil.copy(ROOT / "dagster_home" / "dagster.yaml", self.home)
        self.log = folder / "dagster.log"
        self._folder = folder
        self._env = {**env, "DAGSTER_HOME": str(self.home), "PYTHONWARNINGS": "ignore"}
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{_free_port()}"

    def __enter__(self) -> Self:
        arguments = ["-m", "pipelines.definitions", "--working-directory", str(ROOT)]
        port = self.url.rpartition(":")[2]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dagster", "dev", *arguments, "--port", port],
                cwd=self._folder,
                env=self._env,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until(self._serves, f"Dagster's web server; its log is {self.log}", 120)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(30)
        finally:
            if self._process.poll() is None or kind is not None:
                _kill_group(self._process.pid)

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of a GraphQL answer; an error in it fails."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"{self.url}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            answer: dict[str, Any] = json.load(reply)
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    def _serves(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text(encoding="utf-8")[-2000:]
        try:
            return "workspaceOrError" in self.graphql("{workspaceOrError{__typename}}")
        except (URLError, OSError):
            return False


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
