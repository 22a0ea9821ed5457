"""docs/compatibility.md says what was run, and no more than that."""

from __future__ import annotations

import re

from ingest import doctor_clickhouse, doctor_nats
from tests.compatibility.combinations import ALL
from tests.compatibility.record import entries
from tests.compatibility.table import PAGE, ROOT, page


def test_the_table_is_that_of_the_record() -> None:
    """Mended by `make compatibility`, or `python -m tests.compatibility.table` alone."""
    text = PAGE.read_text(encoding="utf-8")

    assert page(text, entries()) == text


def test_each_result_is_of_a_combination_as_it_is_now() -> None:
    """A combination whose server changed has to be run again; one that is gone has no result."""
    servers = {one.name: one.server for one in ALL}

    assert {name: servers.get(name) for name in entries()} == {
        name: entry.server for name, entry in entries().items()
    }


README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_oldest_versions_are_the_oldest_that_were_run() -> None:
    """README, doctor and table name the same."""
    nats = re.search(r"NATS ([\d.]+) or newer", README)
    clickhouse = re.search(r"ClickHouse ([\d.]+) or newer \(run with ([\d.]+)", README)

    assert nats is not None
    assert clickhouse is not None
    assert _oldest("nats-") == doctor_nats.OLDEST_VERSION == _numbers(nats[1])
    assert _numbers(clickhouse[1]) == doctor_clickhouse.OLDEST_VERSION
    assert _oldest("clickhouse-") == doctor_clickhouse.OLDEST_RUN == _numbers(clickhouse[2])


def _oldest(prefix: str) -> tuple[int, ...]:
    refused = {one.name for one in ALL if one.refused}
    return min(
        _numbers(name.removeprefix(prefix))
        for name, entry in entries().items()
        if name.startswith(prefix) and entry.result == "passed" and name not in refused
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
