"""What Grafana's page puts into a query before a data source's back end sees it.

Variables stand as ``$name`` or ``${name:format}``; which formats there are and what they do is
described at https://grafana.com/docs/grafana/latest/dashboards/variables/variable-syntax/.
Macros of the data sources (``$__timeFilter(ts)``) are left to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

_VARIABLE = re.compile(r"\$\{(?P<braced>\w+)(?::(?P<format>[\w:]+))?\}|\$(?P<plain>\w+)")
Value = str | Sequence[str]


class UnknownNameError(ValueError):
    """A variable that no dashboard and no Grafana has: the text would reach the server as it is."""


@dataclass(frozen=True)
class Window:
    """The chosen time, and the width of one point of a panel."""

    begin: datetime
    end: datetime
    interval_s: int = 60

    @property
    def builtin(self) -> dict[str, str]:
        """Grafana's own variables."""
        length = int((self.end - self.begin).total_seconds())
        return {
            "__from": str(int(self.begin.timestamp() * 1000)),
            "__to": str(int(self.end.timestamp() * 1000)),
            "__interval": f"{self.interval_s}s",
            "__interval_ms": str(self.interval_s * 1000),
            # Grafana's rule: four scrapes at least, so that a rate has something to look at.
            "__rate_interval": f"{max(self.interval_s + 15, 4 * 15)}s",
            "__range": f"{length}s",
            "__range_s": str(length),
        }


def _quoted(quote: str, escape: str) -> Callable[[Sequence[str]], str]:
    def join(values: Sequence[str]) -> str:
        return ",".join(f"{quote}{value.replace(quote, escape)}{quote}" for value in values)

    return join


def _regex(values: Sequence[str]) -> str:
    escaped = [re.sub(r"([\\^$.|?*+()\[\]{}])", r"\\\1", value) for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


FORMATS: dict[str, Callable[[Sequence[str]], str]] = {
    "csv": ",".join,
    "pipe": "|".join,
    "raw": ",".join,
    "regex": _regex,
    "singlequote": _quoted("'", r"\'"),
    "doublequote": _quoted('"', r"\""),
    "sqlstring": _quoted("'", "''"),
}


def put_in(
    text: str,
    variables: Mapping[str, Value],
    window: Window,
    *,
    left: frozenset[str] = frozenset(),
    plain: str | None = None,
) -> str:
    """The text with every variable replaced.

    ``plain`` is the format of a variable that names none; without it such a one is refused, for a
    value put bare into SQL is no string. Names in ``left`` are for others and stay.
    """
    builtin = window.builtin

    def replace(found: re.Match[str]) -> str:
        name = found["braced"] or found["plain"]
        if name in variables:
            value = variables[name]
            kind = found["format"] or plain
            if kind not in FORMATS:
                raise UnknownNameError(
                    f"${name} has the format {kind}, expected one of {[*FORMATS]}"
                )
            return FORMATS[kind]([value] if isinstance(value, str) else value)
        if name in builtin:
            return builtin[name]
        if name in left:
            return found[0]
        raise UnknownNameError(f"{found[0]} is neither a variable nor a macro")

    return _VARIABLE.sub(replace, text)
