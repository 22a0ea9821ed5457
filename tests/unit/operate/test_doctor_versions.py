"""What doctor says of a ClickHouse by its version."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from clickhouse_connect.driver.client import Client

from ingest.doctor_clickhouse import _examine_version
from ingest.doctor_finding import Findings


@pytest.mark.parametrize(
    ("version", "verdict"),
    [("24.7.1", "problem"), ("24.8.4", "note"), ("25.12.1", "note"), ("26.1.2", "ok")],
)
def test_a_version_is_too_old_or_not_run_or_fine(version: str, verdict: str) -> None:
    """A version that nobody has run is a note, and no problem."""
    findings = Findings("ClickHouse")

    _examine_version(cast("Client", SimpleNamespace(server_version=version)), findings)

    assert [finding.verdict for finding in findings.all] == [verdict]
