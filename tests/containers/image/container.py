"""Containers of our image, as little trusted as in production, by Docker's own command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

USER = "10001:10001"
SHELLS = ("/usr/bin/dash", "/usr/bin/bash")


def docker(*arguments: str, check: bool = True, timeout_s: float = 60.0) -> str:
    """What `docker ...` prints; fails with all it said."""
    done = subprocess.run(
        ["docker", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0 or not check, f"docker {arguments}: {done.stdout}"
    return done.stdout


def daemon_answers() -> bool:
    """Whether a Docker daemon can be asked."""
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(["docker", "version"], capture_output=True, check=False, timeout=20)
    return asked.returncode == 0


@dataclass
class Box:
    """How containers of one test run: read-only, no rights, this machine's network, no shell.

    An empty file lies over each shell, so that whatever starts one fails.
    """

    image: str
    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[str, ...] = ()
    started: list[Container] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "no-shell").touch()
        return self

    def __exit__(self, *_: object) -> None:
        for container in self.started:
            container.remove()

    def options(self, memory: str, *more: str) -> list[str]:
        """The options of `docker run`."""
        nothing = self.folder / "no-shell"
        hidden = [f"--volume={nothing}:{shell}:ro" for shell in SHELLS]
        return [
            "--read-only",
            "--tmpfs=/tmp",
            f"--user={USER}",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges:true",
            "--network=host",
            "--pids-limit=512",
            f"--memory={memory}",
            f"--memory-swap={memory}",
            *hidden,
            *(f"--volume={mount}" for mount in self.mounts),
            *(f"--env={name}={value}" for name, value in self.env.items()),
            *more,
        ]

    def call(self, *command: str, memory: str = "384m", options: tuple[str, ...] = ()) -> str:
        """What a program says that ends by itself, with exit code 0."""
        return docker("run", "--rm", *self.options(memory, *options), self.image, *command)

    def start(
        self, *command: str, memory: str = "512m", options: tuple[str, ...] = ()
    ) -> Container:
        """A program that stays."""
        told = docker("run", "--detach", *self.options(memory, *options), self.image, *command)
        container = Container(told.strip().splitlines()[-1])
        self.started.append(container)
        return container


@dataclass(frozen=True)
class Container:
    """One container, by its id."""

    name: str

    def state(self) -> dict[str, Any]:
        """Docker's record of how it is."""
        found: dict[str, Any] = json.loads(docker("inspect", "--format={{json .State}}", self.name))
        return found

    def health(self) -> str:
        """`starting`, `healthy` or `unhealthy`; fails with the log when it has ended."""
        state = self.state()
        assert state["Running"], self.log()
        return str(state["Health"]["Status"])

    def log(self) -> str:
        """All it has said."""
        return docker("logs", self.name)

    def said(self, text: str) -> bool:
        """Whether a line has `text`; fails with the log when it has ended without."""
        found = text in self.log()
        assert found or self.state()["Running"], self.log()
        return found

    def run(self, *command: str) -> str:
        """What a program says that is started inside it."""
        return docker("exec", self.name, *command)

    def signal(self, number: int) -> None:
        """Sends a signal to its first process from outside, where also SIGSTOP counts."""
        os.kill(int(self.state()["Pid"]), number)

    def stop(self, grace_s: int) -> tuple[int, float]:
        """Exit code after SIGTERM, and how long it took; 137 when it had to be killed."""
        began = time.monotonic()
        docker("stop", f"--time={grace_s}", self.name, timeout_s=grace_s + 30)
        return int(self.state()["ExitCode"]), time.monotonic() - began

    def remove(self) -> None:
        """Ends it, and takes it and its volumes away."""
        docker("rm", "--force", "--volumes", self.name, check=False)
