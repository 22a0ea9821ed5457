"""Variables and macros become what Grafana and its plugins make of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.unit.dashboards.grafana import UnknownNameError, Window, put_in
from tests.unit.dashboards.macros import CLICKHOUSE, TRINO, MacroError, expand, sql

HOUR = Window(
    datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 13, tzinfo=UTC), interval_s=30
)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("${m:sqlstring}", "'a','it''s'"),
        ("${m:singlequote}", r"'a','it\'s'"),
        ("${m:csv}", "a,it's"),
        ("${m:pipe}", "a|it's"),
        ("${m:regex}", "(a|it's)"),
        ("${one:regex}", r"a\.b"),
        ("rate(x[$__rate_interval])", "rate(x[60s])"),
        ("${__from} to ${__to}", "1767268800000 to 1767272400000"),
        ("$__timeFilter(ts)", "$__timeFilter(ts)"),
    ],
)
def test_variables(written: str, expected: str) -> None:
    """Each format quotes and joins in its own way; macros are left."""
    variables = {"m": ["a", "it's"], "one": "a.b"}
    assert put_in(written, variables, HOUR, left=frozenset({"__timeFilter"})) == expected


def test_a_plain_variable_is_a_pattern_for_prometheus() -> None:
    """Several values become alternatives."""
    assert put_in('x{lane=~"$lane"}', {"lane": ["A", "B"]}, HOUR, plain="regex") == (
        'x{lane=~"(A|B)"}'
    )


@pytest.mark.parametrize(
    "written", ["$metrics", "${metric:sqlstrin}", "$metric", "$__timefilter(x)"]
)
def test_what_grafana_would_pass_on_as_it_is(written: str) -> None:
    """A mistyped name, format or macro is refused, and so is a bare value in SQL."""
    with pytest.raises(UnknownNameError):
        sql(f"SELECT {written}", CLICKHOUSE, {"metric": ["a"]}, HOUR)


@pytest.mark.parametrize(
    ("macro", "expected"),
    [
        ("$__timeFilter(ts)", "ts >= toDateTime(1767268800) AND ts <= toDateTime(1767272400)"),
        ("$__timeInterval(f(ts))", "toStartOfInterval(toDateTime(f(ts)), INTERVAL 30 second)"),
        ("$__fromTime()", "toDateTime(1767268800)"),
    ],
)
def test_macros_of_clickhouse(macro: str, expected: str) -> None:
    """As pkg/macros of the plugin says."""
    assert expand(macro, CLICKHOUSE, HOUR) == expected


@pytest.mark.parametrize(
    ("macro", "expected"),
    [
        (
            "$__timeFilter(ts)",
            "ts BETWEEN TIMESTAMP '2026-01-01 12:00:00' AND TIMESTAMP '2026-01-01 13:00:00'",
        ),
        ("$__dateFilter(a.day)", "a.day BETWEEN date '2026-01-01' AND date '2026-01-01'"),
        ("$__timeGroup(ts, '1d')", "FROM_UNIXTIME(FLOOR(TO_UNIXTIME(ts)/86400)*86400)"),
        ('FROM "readings$files"', 'FROM "readings$files"'),
        ("$__timeTo() - 1", "TIMESTAMP '2026-01-01 13:00:00' - 1"),
    ],
)
def test_macros_of_trino(macro: str, expected: str) -> None:
    """As pkg/trino/macros.go of the plugin says."""
    assert sql(macro, TRINO, {}, HOUR) == expected


@pytest.mark.parametrize(
    "macro",
    ["$__timeTo AND (a OR b)", "$__timeGroup(ts)", "$__timeGroup(ts, 'x')", "$__timeFilter(a, b)"],
)
def test_macros_that_a_plugin_refuses(macro: str) -> None:
    """Brackets are needed, and the right number of arguments."""
    with pytest.raises(MacroError):
        expand(macro, TRINO, HOUR)
