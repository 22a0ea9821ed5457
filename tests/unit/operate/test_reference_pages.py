"""The generated pages are what the code says, and the code says enough."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from ingest.metrics_table import metric_rows
from ingest.reference import PAGES
from ingest.settings import Settings
from ingest.settings_sources import setting_names
from ingest.settings_table import HIDDEN, setting_rows, shown

DOCS = Path(__file__).parents[3] / "docs"
RELIED_ON = [
    "ingest_messages_total",
    "ingest_rows_total",
    "ingest_refused_total",
    "ingest_batch_rows",
    "ingest_batch_bytes",
    "ingest_batch_age_seconds",
    "ingest_reading_age_seconds",
    "ingest_lag_seconds",
    "ingest_lag_measured_timestamp_seconds",
    "ingest_sink_seconds",
    "ingest_commit_conflicts_total",
    "ingest_commit_unknown_total",
    "ingest_commit_found_landed_total",
    "ingest_watermark_seq",
    "ingest_stream_last_seq",
    "ingest_lag_messages",
    "ingest_freshness_seconds",
    "ingest_retention_headroom_messages",
    "ingest_frames_lost_total",
    "ingest_stream_holes_total",
    "ingest_history_rewritten_total",
    "ingest_watchdog_repulls_total",
    "ingest_fenced_total",
    "ingest_buffer_bytes",
    "ingest_pull_paused",
]
"""Names that dashboards and alerts use."""


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    """`python -m ingest.reference` would write exactly the page that is committed."""
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name]()


def test_every_setting_is_described_and_every_number_has_a_unit() -> None:
    """No setting is without a meaning; a number's name ends with its unit."""
    rows = setting_rows(Settings(), {})

    assert [row.name for row in rows] == setting_names(Settings)
    assert [row.name for row in rows if not row.description] == []
    assert [row.name for row in rows if _is_number(row.default) and not row.unit] == []


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def test_every_metric_that_others_rely_on_is_exported_and_described() -> None:
    """The names are there, each with a meaning and with the lane as a label."""
    rows = {row.name: row for row in metric_rows()}

    assert [name for name in RELIED_ON if name not in rows] == []
    assert [row.name for row in rows.values() if not row.description] == []
    assert [row.name for row in rows.values() if "lane" not in row.labels] == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            SecretStr("nats://iot:pw@a:1,nats://iot:pw@b:2"),
            f"nats://iot:{HIDDEN}@a:1,nats://iot:{HIDDEN}@b:2",
        ),
        (SecretStr("nats://token@a:1"), f"nats://{HIDDEN}@a:1"),
        (SecretStr("http://default:@a:8123/iot"), "http://default:@a:8123/iot"),
        (SecretStr("http://u:p%40ss@a:8123/iot"), f"http://u:{HIDDEN}@a:8123/iot"),
        (SecretStr("plain"), HIDDEN),
        (SecretStr(""), ""),
        ("http://u:pw@a/x", f"http://u:{HIDDEN}@a/x"),
        ("s3://lake", "s3://lake"),
        (None, ""),
        (5, "5"),
    ],
)
def test_a_secret_is_hidden_wherever_it_stands(value: object, text: str) -> None:
    """Whole secrets and passwords in addresses are hidden; everything else is shown."""
    assert shown(value) == text
