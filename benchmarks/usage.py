"""What a process and its descendants have used of the machine."""

from __future__ import annotations

from pathlib import Path

import psutil


class Usage:
    """CPU time and largest memory of a process with all that it started.

    A process that has ended is still counted as long as nobody has waited for it.
    """

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._peaks: dict[int, float] = {}

    def cpu_s(self) -> float:
        """CPU seconds so far, those of descendants that have ended included."""
        return sum(_cpu_s(one) for one in self._processes())

    def look(self) -> None:
        """Takes note of the memory; to be called while the process lives."""
        pid = self._root.pid
        self._peaks[pid] = max(self._peaks.get(pid, 0.0), _peak_mb(self._root))

    def peak_rss_mb(self) -> float:
        """Largest resident memory in megabytes, the sum over the processes."""
        for one in self._processes():
            self._peaks[one.pid] = max(self._peaks.get(one.pid, 0.0), _peak_mb(one))
        return sum(self._peaks.values())

    def _processes(self) -> list[psutil.Process]:
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _peak_mb(process: psutil.Process) -> float:
    """The kernel's own high-water mark where it keeps one, else what is resident now."""
    try:
        for line in Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
        return float(process.memory_info().rss) / 1e6
    except (OSError, psutil.Error):
        return 0.0
