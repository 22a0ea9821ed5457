"""How busy the machine is, without what runs at lowered priority."""

from __future__ import annotations

from pathlib import Path

STAT = Path("/proc/stat")
_NICE, _IDLE, _IOWAIT = 1, 3, 4


class BusyCpu:
    """Share of CPU time in use between two looks."""

    def __init__(self) -> None:
        self._last: list[int] | None = None

    def look(self) -> float | None:
        """Share (0 to 1) since the look before; None at the first one and where /proc is not."""
        if not STAT.is_file():
            return None
        fields = STAT.read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
        ticks = [int(field) for field in fields]
        before, self._last = self._last, ticks
        if before is None:
            return None
        spent = [now - then for now, then in zip(ticks, before, strict=True)]
        total = sum(spent)
        free = spent[_NICE] + spent[_IDLE] + spent[_IOWAIT]
        return (total - free) / total if total > 0 else None
