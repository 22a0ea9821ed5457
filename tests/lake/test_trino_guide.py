"""Every statement of docs/trino.md does on a lake table what the page says."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from devstack.supervisor import Devstack
from tests.lake.quality.support import trino_of
from tests.support.lane import TestLane, reading

GUIDE = Path(__file__).parents[2] / "docs" / "trino.md"
SNAPSHOT, MOMENT = "1111111111111111111", "2026-01-01 12:00:00.000 UTC"
FIRST, SECOND, THIRD = 30, 20, 10
"""Readings stored by each of the three runs of the lake writer."""
ALL = FIRST + SECOND + THIRD
BATTERY = '\n[[columns]]\nname = "battery"\ntype = "float64"\nunit = "V"\n'


@dataclass(frozen=True)
class Story:
    """The lane after three runs of the writer, the last one with a new column."""

    lane: TestLane
    snapshot: int
    moment: str

    def sql(self, statement: str) -> str:
        """A statement of the guide with the lane's names and its first snapshot."""
        named = re.sub(r"\biceberg\.iot\b", f"iceberg.{self.lane.contract.namespace}", statement)
        return named.replace(SNAPSHOT, str(self.snapshot)).replace(MOMENT, self.moment)


def statements() -> list[str]:
    """The fenced SQL of the guide, in order."""
    return re.findall(r"```sql\n(.*?)\n```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


def store(lane: TestLane, numbers: range, **fields: Any) -> None:
    """Publish readings and have the lake writer commit them."""
    lane.publish(reading(number, **fields) for number in numbers)
    writer = lane.start("lake")
    lane.wait_lake(numbers.stop, 90)
    assert writer.drain() == 0


@pytest.fixture(scope="module")
def story(trino_stack: Devstack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """What the guide tells: readings, more of them, a new column."""
    folder = tmp_path_factory.mktemp("guide")
    with TestLane(trino_stack, folder, secrets.token_hex(4)) as lane:
        lane.init()
        store(lane, range(FIRST))
        snapshot = lane.lake_table().current_snapshot()
        store(lane, range(FIRST, FIRST + SECOND))
        text = lane.contract_file.read_text(encoding="utf-8")
        lane.contract_file.write_text(text + BATTERY, encoding="utf-8")
        lane.ingest("schema", "apply")
        store(lane, range(FIRST + SECOND, ALL), battery=3.3)
        committed = datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC)
        moment = committed.isoformat(" ", "milliseconds").replace("+00:00", " UTC")
        yield Story(lane, snapshot.snapshot_id, moment)


EXPECTED = {
    "SHOW CATALOGS": [("iceberg",), ("memory",), ("system",), ("tpcds",), ("tpch",)],
    "AS distinct_readings": [(ALL, ALL)],
    f"SELECT count(*) FROM iceberg.iot.readings FOR VERSION AS OF {SNAPSHOT}": [(FIRST,)],
    "FOR TIMESTAMP AS OF": [(FIRST,)],
    "EXCEPT": [(SECOND + THIRD,)],
    "AS with_battery": [(ALL, THIRD)],
    "CREATE TABLE memory": [(2,)],
    "DROP TABLE memory": [],
}
"""Rows of the statements that hold these words."""


def test_every_statement_of_the_guide_does_what_it_says(story: Story) -> None:
    """Run in order; what the page promises is found, nothing comes back empty by accident."""
    trino, answers = trino_of(story.lane), dict[str, list[tuple[Any, ...]]]()
    for statement in statements():
        answers[statement] = trino.query(story.sql(statement))
    for words, expected in EXPECTED.items():
        [rows] = [rows for statement, rows in answers.items() if words in statement]
        assert rows == expected, words
    assert [statement for statement, rows in answers.items() if not rows] == [
        "DROP TABLE memory.default.rooms"
    ]


def answer(story: Story, words: str) -> list[tuple[Any, ...]]:
    """The rows of the statement that holds these words."""
    [statement] = [one for one in statements() if words in one]
    return trino_of(story.lane).query(story.sql(statement))


def test_what_the_metadata_tables_tell_is_true(story: Story) -> None:
    """Ranges chain, the watermark is the last sequence, files and partitions hold all rows."""
    ranges = [(int(first), int(last)) for *_, first, last in answer(story, "readings$snapshots")]
    assert ranges[0][0] == 1
    assert ranges[-1][1] == ALL
    assert all(after[0] == before[1] + 1 for before, after in pairwise(ranges))
    [(name, watermark)] = answer(story, "watermark.%")
    assert name == f"watermark.{story.lane.stream}"
    assert watermark.split(":")[1] == str(ALL)
    assert sum(rows for _, _, rows, _ in answer(story, "readings$partitions")) == ALL
    [(sequence, path, _)] = answer(story, '"$path"')
    assert sequence == 1
    assert path in {one for one, *_ in trino_of(story.lane).query(story.sql(PATHS))}


PATHS = 'SELECT file_path FROM iceberg.iot."readings$files"'


def test_an_old_snapshot_has_the_columns_of_its_time(story: Story) -> None:
    """The column that was added since is in the table and not in the snapshot."""
    columns = [name for name, *_ in answer(story, "DESCRIBE")]
    [row] = answer(story, "SELECT * FROM iceberg.iot.readings FOR VERSION")
    assert "battery" in columns
    assert len(row) == len(columns) - 1


def test_the_python_of_the_guide_connects(
    trino_stack: Devstack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it stands on the page, also where the shell names other certificates to trust."""
    text = GUIDE.read_text(encoding="utf-8")
    [block] = re.findall(r"\n((?:    .*\n|\n)*    import os\n(?:    .*\n|\n)*)", text)
    done = subprocess.run(
        [sys.executable, "-c", dedent(block)],
        env={**trino_stack.env, "REQUESTS_CA_BUNDLE": "/nowhere.pem"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == "[['iceberg'], ['memory'], ['system'], ['tpcds'], ['tpch']]\n", (
        done.stderr
    )
