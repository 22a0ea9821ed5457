"""What the platform keeps between runs: passwords, ports, process ids; and who runs it now."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from devstack.errors import DevstackError
from devstack.service import write_private


@dataclass
class State:
    """The contents of `state.json`; `processes` maps a service to its pid and start time."""

    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    ports: dict[str, dict[str, int]] = field(default_factory=dict)
    processes: dict[str, tuple[int, float]] = field(default_factory=dict)

    @classmethod
    def load(cls, directory: Path) -> State:
        """Read the state of an earlier run; empty where there was none.

        Raises `DevstackError` when the file is damaged.
        """
        path = directory / "state.json"
        if not path.exists():
            return cls()
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            processes = {name: (int(p), float(t)) for name, (p, t) in raw["processes"].items()}
            return cls(dict(raw["secrets"]), dict(raw["ports"]), processes)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DevstackError(
                f"{path} is damaged; remove it to start with new passwords, or the whole folder "
                "to start empty."
            ) from None

    def save(self, directory: Path) -> None:
        """Write the state, readable by its owner only, whole or not at all."""
        partial = directory / "state.json.new"
        write_private(partial, json.dumps(asdict(self), indent=2) + "\n")
        partial.replace(directory / "state.json")

    def secret(self, name: str) -> str:
        """The password called `name`, made at random the first time."""
        return self.secrets.setdefault(name, secrets.token_hex(16))


class DirectoryLock:
    """Says that this process runs the platform in a folder; the kernel frees it with us."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock; raises `DevstackError` naming the holder."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            holder = read_lock(self._path.parent)
            pid = holder.pid if holder else "unknown"
            raise DevstackError(
                f"A devstack already runs in {self._path.parent} (pid {pid}); stop it with "
                f"`devstack down --dir {self._path.parent}` or use another --dir."
            ) from None
        self._file = file
        self.mark(ready=False)

    def mark(self, *, ready: bool) -> None:
        """Write who holds the lock and whether all services are up."""
        assert self._file is not None
        os.truncate(self._file, 0)
        os.pwrite(self._file, json.dumps({"pid": os.getpid(), "ready": ready}).encode(), 0)

    def release(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            os.truncate(self._file, 0)
            os.close(self._file)
            self._file = None


@dataclass(frozen=True)
class Holder:
    """The process that runs the platform in a folder."""

    pid: int
    ready: bool


def read_lock(directory: Path) -> Holder | None:
    """Who runs the platform in `directory`; None when nobody does, whatever the file says."""
    path = directory / "lock"
    try:
        file = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        try:
            raw = json.loads(os.pread(file, 4096, 0))
            return Holder(int(raw["pid"]), bool(raw["ready"]))
        except (ValueError, KeyError, TypeError):
            return Holder(0, ready=False)
    finally:
        os.close(file)
    return None
