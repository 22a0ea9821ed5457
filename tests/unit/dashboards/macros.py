"""Macros of Grafana's plugins for ClickHouse and Trino, as they expand them.

Stricter than they are, so that every version agrees: brackets are always written, because a newer
Trino plugin takes the next ``(`` for the macro's, however far away; no argument holds a comma.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from tests.unit.dashboards.grafana import Value, Window, put_in

VERSIONS = {"grafana-clickhouse-datasource": "4.20.0", "trino-datasource": "1.0.11"}
"""Another version may expand otherwise: its macros are to be looked at before these change."""

Arguments = Sequence[str]
Macro = Callable[[Window, Arguments], str]
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
METADATA = frozenset({"files", "snapshots", "partitions", "properties"})
"""Tables that Iceberg keeps beside a table (``"readings$files"``): no variable has such a name."""


class MacroError(ValueError):
    """A macro that its plugin would refuse."""


def expand(text: str, macros: Mapping[str, Macro], window: Window) -> str:
    """The text with every macro replaced."""
    for name, macro in macros.items():
        pattern = re.compile(rf"\$__{name}\b")
        while found := pattern.search(text):
            end, arguments = _arguments(text, found.end())
            text = text[: found.start()] + macro(window, arguments) + text[end:]
    return text


def _arguments(text: str, start: int) -> tuple[int, list[str]]:
    """Where the macro ends, and what it is given."""
    if text[start : start + 1] != "(":
        raise MacroError(f"no brackets behind {text[:start].rsplit(maxsplit=1)[-1]}: write ()")
    depth = 0
    for end in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        if depth == 0:
            inside = text[start + 1 : end]
            return end + 1, [one.strip() for one in inside.split(",")] if inside.strip() else []
    raise MacroError(f"a bracket is not closed behind {text[:start].rsplit(maxsplit=1)[-1]}")


def _one(arguments: Arguments) -> str:
    if len(arguments) != 1:
        raise MacroError(f"expected one argument, found {len(arguments)}: {list(arguments)}")
    return arguments[0]


def _seconds(written: str) -> int:
    found = re.fullmatch(r"(\d+)([smhdw])", written.strip("'"))
    if found is None:
        raise MacroError(f"expected an interval such as '1h', found {written}")
    return int(found[1]) * _UNITS[found[2]]


def _clickhouse_time(moment: datetime) -> str:
    return f"toDateTime({int(moment.timestamp())})"


def _clickhouse_filter(window: Window, arguments: Arguments) -> str:
    column = _one(arguments)
    begin, end = _clickhouse_time(window.begin), _clickhouse_time(window.end)
    return f"{column} >= {begin} AND {column} <= {end}"


def _clickhouse_interval(window: Window, arguments: Arguments) -> str:
    width = max(window.interval_s, 1)
    return f"toStartOfInterval(toDateTime({_one(arguments)}), INTERVAL {width} second)"


CLICKHOUSE: dict[str, Macro] = {
    "timeFilter": _clickhouse_filter,
    "timeInterval": _clickhouse_interval,
    "fromTime": lambda window, _: _clickhouse_time(window.begin),
    "toTime": lambda window, _: _clickhouse_time(window.end),
}


def _trino_time(moment: datetime) -> str:
    return f"TIMESTAMP '{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}'"


def _trino_filter(window: Window, arguments: Arguments) -> str:
    begin, end = _trino_time(window.begin), _trino_time(window.end)
    return f"{_one(arguments)} BETWEEN {begin} AND {end}"


def _trino_days(window: Window, arguments: Arguments) -> str:
    begin, end = (f"date '{one.astimezone(UTC):%Y-%m-%d}'" for one in (window.begin, window.end))
    return f"{_one(arguments)} BETWEEN {begin} AND {end}"


def _trino_group(_: Window, arguments: Arguments) -> str:
    if len(arguments) != 2:
        raise MacroError(f"expected a column and an interval, found {list(arguments)}")
    column, width = arguments[0], _seconds(arguments[1])
    return f"FROM_UNIXTIME(FLOOR(TO_UNIXTIME({column})/{width})*{width})"


TRINO: dict[str, Macro] = {
    "timeFilter": _trino_filter,
    "dateFilter": _trino_days,
    "timeGroup": _trino_group,
    "timeFrom": lambda window, _: _trino_time(window.begin),
    "timeTo": lambda window, _: _trino_time(window.end),
}


def sql(
    text: str, macros: Mapping[str, Macro], variables: Mapping[str, Value], window: Window
) -> str:
    """The statement that reaches the server."""
    left = METADATA | {f"__{name}" for name in macros}
    return expand(put_in(text, variables, window, left=left), macros, window)
