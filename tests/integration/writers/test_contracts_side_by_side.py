"""Several contracts on one platform, each with its stream and tables, and no code for any."""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.lane import ROOT, TestLane

WEATHER = ROOT / "ingest" / "contracts" / "weather.toml"


@pytest.fixture
def weather(stack: object, tmp_path: Path) -> TestLane:
    """A weather station's lane beside the readings' one."""
    return TestLane(stack, tmp_path / "weather", secrets.token_hex(4), source=WEATHER)


def observation(number: int, **changes: Any) -> bytes:
    """A station's nested message."""
    value = {
        "time": int(time.time() * 1000),
        "air": {"temp": number * 0.25, "hum": 71.0, "press": 1013.2},
        "wind": {"avg": 2.1, "gust": 4.0, "dir": 220},
        "rain": {"mm": 0.2},
        "battery": {"volts": 3.91, "charging": True},
        "fw": "2.4.1",
        "unheard_of": {"deep": number},
        **changes,
    }
    return json.dumps(value).encode()


def test_two_contracts_flow_side_by_side(lane: TestLane, weather: TestLane) -> None:
    """Wide nested messages and long readings go through both sinks at once, each once."""
    with weather:
        lane.init()
        weather.init()
        writers = [one.start(path) for one in (lane, weather) for path in ("hot", "lake")]
        lane.publish(lane.readings(300))
        weather.publish([observation(n) for n in range(200)], subject="nl.ams-1")
        for one, count in ((lane, 300), (weather, 200)):
            one.wait_hot(count)
            one.wait_lake(count)
        assert [writer.drain() for writer in writers] == [0, 0, 0, 0]

        assert lane.hot_rows() == lane.lake_rows() == [(seq, 0) for seq in range(1, 301)]
        assert weather.hot_rows() == weather.lake_rows() == [(seq, 0) for seq in range(1, 201)]
        lane.ingest("verify")
        weather.ingest("verify")


def test_columns_come_from_subject_constant_and_nested_fields(weather: TestLane) -> None:
    """A stored row holds what the contract says, in both sinks, unknown fields included."""
    with weather:
        weather.init()
        writers = [weather.start(path) for path in ("hot", "lake")]
        weather.publish([observation(8)], subject="nl.ams-1")
        weather.wait_hot(1)
        weather.wait_lake(1)
        assert [writer.drain() for writer in writers] == [0, 0]

        names = ("station", "country", "network", "temperature", "extra")
        client = weather.clickhouse()
        hot = client.query(f"SELECT {', '.join(names)} FROM {weather.table}").result_rows[0]
        client.close()
        lake = weather.lake_table().scan(selected_fields=names).to_arrow().to_pylist()[0]
        assert tuple(hot) == tuple(lake[name] for name in names)
        assert tuple(hot[:4]) == ("ams-1", "nl", "amateur", 2.0)
        assert json.loads(str(hot[4]))["unheard_of"] == {"deep": 8}
