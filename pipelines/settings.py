"""Settings of the maintenance side, from the same sources as those of ``ingest``."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from ingest.settings import Settings
from ingest.settings_sources import Section, load

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class TrinoSettings(Section):
    """How to reach Trino."""

    url: SecretStr = Field(
        SecretStr("http://iot@127.0.0.1:8080"),
        description="http(s)://user:password@host:port; a password needs https",
    )
    ca_file: Path | None = Field(None, description="CA that signed Trino's certificate")
    catalog: str = Field("iceberg", description="Trino's name of the Iceberg catalog")
    connect_timeout_s: Positive = Field(
        5.0, description="Wait for a connection; sensors and doctors wait no longer for an answer"
    )
    answer_timeout_s: Positive = Field(
        30.0, description="Wait for one answer about a running statement"
    )
    query_timeout_s: Positive = Field(3600.0, description="Longest statement")


class MaintenanceSettings(Section):
    """Upkeep of the tables."""

    contracts: str = Field(
        "", description="Contracts to maintain, separated by commas; empty: the setting contract"
    )
    target_file_bytes: Annotated[int, Field(ge=1 << 20)] = Field(
        128 << 20, description="Size that compaction aims at; files above 3/4 of it are left alone"
    )
    min_files: Annotated[int, Field(ge=2)] = Field(
        5, description="Small files of a partition from which on they are merged"
    )
    debt_files: Count = Field(
        50, description="Files that merging would remove, from which on compaction starts by itself"
    )
    unit_max_bytes: Annotated[int, Field(ge=1 << 20)] = Field(
        128 << 20, description="Bytes that one compaction statement reads"
    )
    unit_max_files: Annotated[int, Field(ge=2, le=2000)] = Field(
        200, description="Files that one compaction statement merges"
    )
    open_partition: Literal["last", "skip"] = Field(
        "last", description="The partition that is still written: compacted last, or not at all"
    )
    threads: Annotated[int, Field(ge=1)] = Field(
        1,
        description="Threads of one maintenance statement in ClickHouse and on each node of Trino",
    )
    sort_max_rows: Annotated[int, Field(ge=0)] = Field(
        0,
        description="Rows that one compaction statement sorts; 0: any number. Above 64 MB Trino"
        " puts temporary files beside the table's, which some stores refuse",
    )
    give_up_after_s: Positive = Field(
        600.0, description="A run ends when the budget gives it no room for this long"
    )
    debt_check_every_s: Annotated[int, Field(ge=10)] = Field(
        60, description="How often the small files are looked at"
    )
    snapshot_retention_h: Annotated[float, Field(ge=1)] = Field(
        168.0,
        description="Snapshots older than this are expired; below an hour a reader could lose"
        " the one it reads",
    )
    orphan_retention_h: Annotated[float, Field(ge=24)] = Field(
        168.0,
        description="Files in no snapshot are removed when older; below the longest time from"
        " upload to commit the table becomes unreadable, so never below a day",
    )
    manifests_at: str = Field("25 * * * *", description="When manifests are merged (cron, UTC)")
    snapshots_at: str = Field("10 2 * * *", description="When snapshots are expired (cron, UTC)")
    statistics_at: str = Field("40 2 * * *", description="When statistics are made (cron, UTC)")
    orphans_at: str = Field("10 3 * * 0", description="When orphans are removed (cron, UTC)")
    min_manifests: Annotated[int, Field(ge=2)] = Field(
        20, description="Manifests from which on they are merged"
    )
    watermarks_every_s: Annotated[int, Field(ge=10)] = Field(
        30, description="How often the watermarks of stream and tables are looked at"
    )
    late_after_s: Positive = Field(
        3600.0, description="A reading stored this long after its own time counts as late"
    )
    daily_from: date = Field(
        date(2025, 1, 1), description="First UTC day of the daily summary (event time)"
    )
    daily_every_s: Annotated[int, Field(ge=30)] = Field(
        300, description="How often days are looked for whose summary is out of date"
    )
    retention_at: str = Field(
        "20 4 * * *", description="When days are dropped from the hot table (cron, UTC)"
    )
    rehydrated_keep_days: Count = Field(
        7, description="Days that a rehydrated day stays in the hot table"
    )
    rehydrate_block_rows: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        50_000, description="Rows of one insert of a rehydration"
    )
    last_seen_at: str = Field(
        "*/10 * * * *", description="When silent devices are looked for (cron, UTC)"
    )
    seen_within_days: Count = Field(
        3, description="Devices not seen for longer are forgotten, not silent"
    )
    silent_intervals: Positive = Field(
        5.0, description="A device is silent after this many of its own median intervals"
    )
    silent_least_s: Positive = Field(300.0, description="Nobody is silent sooner than this")
    dlq_report_at: str = Field(
        "5 * * * *", description="When the dead-letter queue is reported (cron, UTC)"
    )


class BudgetSettings(Section):
    """What maintenance may cost the hot path."""

    hot_metrics_urls: str = Field(
        "",
        description="/metrics of the hot writers of all lanes, separated by commas;"
        " empty: http.hot_port of each lane",
    )
    lake_metrics_urls: str = Field(
        "",
        description="/metrics of the lake writers of all lanes, separated by commas;"
        " empty: http.lake_port of each lane",
    )
    sample_every_s: Positive = Field(0.5, description="Time between two looks at the hot path")
    sample_timeout_s: Positive = Field(1.0, description="Longest wait for one answer of a look")
    stale_after_s: Positive = Field(5.0, description="An older look counts as none")
    learn_s: Positive = Field(15.0, description="Stretches by which latency at rest is measured")
    relearn_s: Positive = Field(
        180.0, description="Latency at rest is the median of its stretches over this time"
    )
    quiet_s: Positive = Field(5.0, description="Calm before work starts")
    rest_s: Annotated[float, Field(ge=0)] = Field(2.0, description="Pause after each unit of work")
    window_s: Positive = Field(
        60.0, description="Before work starts, p99 over this time must be allowed too"
    )
    p99_share: Positive = Field(0.10, description="Share by which work may raise the hot p99")
    p99_least_slack_s: Positive = Field(
        0.05, description="Work may always raise the hot p99 by this much"
    )
    p99_max_s: Positive = Field(10.0, description="No work while the hot p99 is above this")
    hot_lag_max_s: Positive = Field(
        5.0, description="Age of the oldest message that the hot path has not stored"
    )
    lake_lag_max_s: Positive = Field(
        300.0, description="Age of the oldest message that the lake does not hold"
    )
    headroom_min_s: Positive = Field(
        60.0, description="Least time until retention would drop an unread message"
    )
    behind_share: Share = Field(
        0.2, gt=0, description="Share of what arrives that the hot path may leave unstored"
    )
    cpu_busy_max: Positive = Field(
        0.95,
        description="Share of the CPU in use (niced processes aside) above which no work starts;"
        " above 1 it is not looked at",
    )
    stop_after: Count = Field(
        4, description="Looks over the budget, of twice as many, that stop the work"
    )
    awful: Positive = Field(
        5.0, description="Multiple of the budget that stops the work at the first look"
    )
    go_below: Share = Field(
        0.8, gt=0, description="Share of the budget that may be in use when work starts"
    )


class QualitySettings(Section):
    """The proof, and bounds of the checks."""

    unit_sequences: Annotated[int, Field(ge=1_000, le=1 << 20)] = Field(
        1 << 16, description="Sequences that the reconciliation compares between two looks"
    )
    prove_every_s: Annotated[int, Field(ge=10)] = Field(
        300, description="How often what is new is reconciled"
    )
    prove_again_at: str = Field(
        "0 4 * * 0", description="When everything that was proven is compared again (cron, UTC)"
    )
    proof_max_age_s: Positive = Field(
        3600.0, description="Age of the oldest message that both sinks hold and nobody has proven"
    )
    checks_every_s: Annotated[int, Field(ge=5)] = Field(
        30, description="How often the cheap checks look"
    )
    told_every_s: Positive = Field(
        600.0, description="A verdict that stays as it is is told again after this time"
    )
    costly_checks_at: str = Field(
        "*/15 * * * *", description="When the checks that read tables look (cron, UTC)"
    )
    fresh_hot_s: Positive = Field(
        30.0, description="Age of the oldest message that ClickHouse does not hold"
    )
    fresh_lake_s: Positive = Field(
        300.0, description="Age of the oldest message that Iceberg does not hold"
    )
    refused_share_max: Share = Field(
        0.01, description="Share of the messages of the last hour that may be refused"
    )
    late_after_s: Positive = Field(
        3600.0, description="A reading stored this long after its event time is late"
    )
    late_share_max: Share = Field(
        0.05, description="Share of the last day's readings that may be late"
    )
    debt_files_max: Count = Field(
        1000, description="Files that merging would remove; more and compaction does not keep up"
    )
    disk_days_min: Positive = Field(
        7.0, description="Days until the disks of ClickHouse are full at the present growth"
    )


class AlertSettings(Section):
    """Where failed runs, red checks and silent devices are told."""

    webhook_url: SecretStr = Field(
        SecretStr(""), description="URL that gets each alert as JSON by POST; empty: none"
    )
    webhook_token: SecretStr | None = Field(
        None, description="Sent to the webhook as `Authorization: Bearer`"
    )
    timeout_s: Annotated[float, Field(gt=0, le=10)] = Field(
        5.0, description="Longest wait for one answer of webhook or NATS"
    )
    nats_subject: str = Field(
        "", description="Subject prefix: alerts go to <prefix>.<lane>; empty: none"
    )
    every_s: Annotated[int, Field(ge=10)] = Field(
        30, description="How often failed runs and red checks are looked for"
    )


class PipelineSettings(Section):
    """All settings of the maintenance side."""

    trino: TrinoSettings = TrinoSettings()
    maintenance: MaintenanceSettings = MaintenanceSettings()
    budget: BudgetSettings = BudgetSettings()
    quality: QualitySettings = QualitySettings()
    alerts: AlertSettings = AlertSettings()


def gently(settings: Settings, maintenance: MaintenanceSettings) -> Settings:
    """Settings of ``ingest`` for maintenance: its queries in ClickHouse use ``threads`` threads."""
    clickhouse = settings.clickhouse.model_copy(update={"query_threads": maintenance.threads})
    return settings.model_copy(update={"clickhouse": clickhouse})


def load_pipeline_settings(folder: Path | None = None, **overrides: str) -> PipelineSettings:
    """Settings in force for ``folder`` (default: the current one).

    ``overrides`` are dotted names with ``__`` for the dot and win over everything.
    Raises SettingsError naming the key, where it was found and what was expected.
    """
    return load_pipeline_settings_with_origins(folder, **overrides)[0]


def load_pipeline_settings_with_origins(
    folder: Path | None = None, **overrides: str
) -> tuple[PipelineSettings, dict[str, str]]:
    """Settings, and for each dotted name that is not a default the source that gave it."""
    foreign = tuple(Settings.model_fields)
    return load(PipelineSettings, folder or Path.cwd(), overrides, foreign=foreign)
