"""Sizes and shares as Kubernetes, the JVM, NATS and Prometheus write them."""

from __future__ import annotations

import re

_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_SIZE = re.compile(r"^\s*([0-9.]+)\s*([kKmMgGtTpP]?)(i?[bB]?)\s*$")


def kubernetes_bytes(text: object) -> float:
    """A Kubernetes quantity of bytes: 4Gi, 512Mi, 1G, 1048576."""
    number, unit, rest = _parts(text)
    return number * (1024.0 if rest.startswith("i") else 1000.0) ** _POWERS[unit.lower()]


def binary_bytes(text: object) -> float:
    """A size of a program that counts in 1024 whatever it writes: JVM 3G, Trino 1GB, Go 1700MiB."""
    number, unit, _ = _parts(text)
    return float(number * 1024.0 ** _POWERS[unit.lower()])


def cpu_cores(text: object) -> float:
    """A Kubernetes quantity of CPU in cores: 250m, 1, 0.5."""
    written = str(text).strip()
    if written.endswith("m"):
        return float(written[:-1]) / 1000.0
    return float(written)


def _parts(text: object) -> tuple[float, str, str]:
    found = _SIZE.match(str(text))
    if found is None:
        raise ValueError(f"{text!r} is no size; write it like 4Gi")
    return float(found.group(1)), found.group(2), found.group(3)


def shown(count: float) -> str:
    """Bytes for a reader."""
    if count >= 1024**3:
        return f"{count / 1024**3:.2f} GiB"
    return f"{count / 1024**2:.0f} MiB"
