"""One run of docker-compose.yml under a name of its own."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.containers.image.container import docker

ROOT = Path(__file__).parents[3]
STAND_INS = ROOT / "tests" / "containers" / "compose" / "stand-ins.yml"


@dataclass
class Project:
    """Containers, volumes and network of one run."""

    program: Path
    passwords: Path

    @property
    def name(self) -> str:
        """Another one than that of `make up`."""
        return f"iot-lakehouse-test-{os.getpid()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.call("down", "--volumes", "--timeout=5", check=False)

    def call(self, *arguments: str, check: bool = True, timeout_s: float = 300.0) -> str:
        """What Compose, or the program that it runs, prints to stdout."""
        command = [str(self.program), f"--project-name={self.name}"]
        command += [f"--env-file={self.passwords}", f"--project-directory={ROOT}"]
        command += [f"--file={ROOT / 'docker-compose.yml'}", f"--file={STAND_INS}"]
        command += ["--profile=core", "--profile=lake", "--profile=orchestration", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        said = f"{arguments}: {done.stdout}\n{done.stderr}"
        assert done.returncode == 0 or not check, said
        return done.stdout

    def up(self, *services: str) -> None:
        """Starts services and all that they wait for."""
        self.call("up", "--detach", *services, timeout_s=480)

    def ingest(self, *arguments: str, check: bool = True) -> str:
        """`ingest ...` with all rights, as docs/compose.md tells."""
        command = ("run", "--rm", "--no-deps", "--no-TTY", "ingest-init", "ingest", *arguments)
        return self.call(*command, check=check)

    def states(self) -> dict[str, dict[str, Any]]:
        """Docker's record of each service's container."""
        names = self.call("ps", "--all", "--format={{.Service}} {{.ID}}").split("\n")
        pairs = dict(line.split() for line in names if line)
        told = json.loads(docker("inspect", *pairs.values()))
        found = {one["Id"]: one for one in told}
        return {
            service: next(one for full, one in found.items() if full.startswith(short))
            for service, short in pairs.items()
        }

    def is_healthy(self, service: str) -> bool:
        """What the health check of a service says; fails with its log when it has ended."""
        state = self.states()[service]["State"]
        assert state["Running"], self.call("logs", service)
        return bool(state["Health"]["Status"] == "healthy")
