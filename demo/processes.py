"""The demonstration's own processes: the same commands that a user runs, none outliving us."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from devstack.process import Child
from devstack.service import Launch
from ingest.errors import IngestError

POLL_S = 0.05
GRACE_S = 3.0


class StepFailedError(IngestError):
    """A command of the demonstration ended with an error."""


@dataclass
class Command:
    """A running command and the file that holds its output."""

    name: str
    child: Child
    log: Path

    @property
    def exit_code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self.child.exit_code

    @property
    def output(self) -> str:
        """What it has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def events(self) -> Iterator[dict[str, Any]]:
        """Its log lines so far."""
        for line in self.output.splitlines():
            if line.startswith("{") and line.endswith("}"):
                yield json.loads(line)

    def require_running(self) -> None:
        """Raises StepFailedError when it has ended."""
        if self.exit_code is not None:
            raise StepFailedError(self.why())

    def why(self) -> str:
        """One sentence on how it ended."""
        lines = self.output.strip().splitlines() or ["it said nothing"]
        return f"{self.name} ended with exit code {self.exit_code}: {lines[-1]} (log: {self.log})"

    def wait(self, *, ok: tuple[int, ...] = (0,)) -> int:
        """Waits for its end; raises StepFailedError for an exit code that is not in ``ok``."""
        while self.exit_code is None:
            time.sleep(POLL_S)
        if self.exit_code not in ok:
            raise StepFailedError(self.why())
        return self.exit_code

    def drain(self) -> None:
        """Asks a writer to store what it has read and to end."""
        if self.exit_code is None:
            self.child.signal(signal.SIGTERM)


@dataclass
class Commands:
    """Commands of this demonstration; on exit those that still run are ended at once."""

    logs: Path
    running: list[Command] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Safe at any moment: the writers' protocol takes a kill as it takes a power cut.
        for command in self.running:
            command.child.kill()

    def start(self, name: str, module: str, *arguments: str) -> Command:
        """Starts ``python -m module arguments``."""
        log = self.logs / f"{name}.log"
        launch = Launch([sys.executable, "-m", module, *arguments])
        command = Command(name, Child(launch, log), log)
        self.running.append(command)
        return command
