"""Settings of every process: one frozen model, read from environment and files.

Sources, the earlier wins: environment (``IOT_NATS__URL``), ``.env``, ``.devstack/env`` (written by
the embedded platform), ``iot.toml``, the defaults below. Units are in the names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints

from ingest.settings_sources import Section, load

# Sections of the maintenance side, which has a model of its own over the same sources.
MAINTENANCE_SECTIONS = ("trino", "maintenance", "budget", "quality", "alerts")

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class NatsSettings(Section):
    """How to reach NATS."""

    url: SecretStr = Field(
        SecretStr("nats://127.0.0.1:4222"),
        description="Server URL, several separated by commas; user and password may stand in it",
    )
    creds_file: Path | None = Field(None, description="Credentials file (JWT and seed)")
    token: SecretStr | None = Field(None, description="Token")
    tls_ca_file: Path | None = Field(None, description="CA that signed the server's certificate")
    connect_timeout_s: Positive = Field(2.0, description="Wait for one connection attempt")
    request_timeout_s: Positive = Field(5.0, description="Wait for one JetStream answer")


class StreamSettings(Section):
    """Sizes of the streams that ``ingest init`` makes."""

    max_age_h: Positive = Field(168.0, description="Messages older than this are dropped")
    max_bytes: Count = Field(4 << 30, description="Size at which the oldest messages are dropped")
    discard: Literal["old", "new"] = Field(
        "old", description="What a full stream drops: its oldest messages or the publisher's new"
    )
    duplicate_window_s: Positive = Field(
        10.0, description="How long message ids are remembered (about 190 bytes each in the server)"
    )
    replicas: Annotated[int, Field(ge=1, le=5)] = Field(1, description="Copies in a NATS cluster")
    dlq_max_bytes: Count = Field(1 << 30, description="Size at which the DLQ refuses messages")


class LaneSettings(Section):
    """Several streams for one contract; see docs/lanes.md."""

    count: Annotated[int, Field(ge=1, le=256)] = Field(
        1, description="Lanes: streams that share the contract's messages, each with own writers"
    )
    by: str = Field(
        "",
        description="Subjects with a * for each token that chooses the lane (readings.*.*.>),"
        " several separated by commas",
    )
    only: Annotated[int, Field(ge=0)] | None = Field(
        None, description="The one lane that this process serves, from 0; empty: all of them"
    )


class ClickHouseSettings(Section):
    """How to reach ClickHouse."""

    url: SecretStr = Field(
        SecretStr("http://default:@127.0.0.1:8123/iot"),
        description="http(s)://user:password@host:port/database",
    )
    connect_timeout_s: Positive = Field(3.0, description="Wait for a connection")
    query_timeout_s: Positive = Field(60.0, description="Longest query (inserts have their own)")
    query_threads: Annotated[int, Field(ge=0)] = Field(
        0, description="Threads of one query; 0: what the server gives"
    )
    cluster: str = Field("", description="Cluster name for Replicated and Distributed tables")


class S3Settings(Section):
    """How to reach the object store."""

    endpoint: str = Field("http://127.0.0.1:8333", description="URL of the S3 API")
    access_key: SecretStr = Field(SecretStr(""), description="Access key id")
    secret_key: SecretStr = Field(SecretStr(""), description="Secret access key")
    region: str = Field("us-east-1", description="Region")
    addressing: Literal["path", "virtual"] = Field(
        "path", description="Where the bucket stands in a URL: in the path, or before the host"
    )
    bucket: str = Field("raw", description="Bucket that `ingest init` makes, versioned")


class CatalogSettings(Section):
    """How to reach the Iceberg REST catalog."""

    uri: str = Field("http://127.0.0.1:8181", description="URL of the REST catalog")
    warehouse: str = Field("s3://lake", description="Warehouse name or location")
    auth: Literal["none", "sigv4", "oauth2"] = Field("none", description="How requests are signed")
    signing_name: str = Field("s3tables", description="Service name in a SigV4 signature")
    credential: SecretStr | None = Field(None, description="OAuth2 client id:secret")
    oauth2_server_uri: str = Field(
        "", description="URL that gives OAuth2 tokens; empty: the catalog's own"
    )
    oauth2_scope: str = Field(
        "catalog", description="OAuth2 scope; Polaris wants PRINCIPAL_ROLE:ALL"
    )
    timeout_s: Positive = Field(30.0, description="Longest catalog request")


class HotSettings(Section):
    """The path to ClickHouse."""

    batch_max_rows: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        50_000, description="Rows of one insert (one part)"
    )
    batch_max_bytes: Count = Field(64 << 20, description="Bytes of one insert")
    batch_max_age_s: Positive = Field(0.5, description="Longest wait of a read message for others")
    batch_many_messages: Annotated[int, Field(ge=1)] = Field(
        1_000, description="With so many messages waiting, hot.batch_many_age_s is the longest wait"
    )
    batch_many_age_s: Positive = Field(
        0.1, description="Longest wait of a read message when many wait: latency against parts"
    )
    insert_deadline_s: Positive = Field(
        10.0, description="After this an insert can no longer land; also the wait of a take-over"
    )
    retention_days: Annotated[int, Field(ge=0)] = Field(
        0, description="Days that the hot table keeps by the time of storage; 0 keeps all"
    )


class LakeSettings(Section):
    """The path to Iceberg."""

    commit_max_rows: Count = Field(1_000_000, description="Rows of one commit")
    commit_max_bytes: Count = Field(256 << 20, description="Arrow bytes of one commit")
    commit_max_age_s: Positive = Field(60.0, description="Longest wait of a spooled message")
    file_max_rows: Count = Field(250_000, description="Rows sorted and written as one run")
    spool_dir: Path = Field(Path(".spool"), description="Local folder for the Arrow spool")
    decode_max_rows: Count = Field(50_000, description="Messages decoded at once")
    decode_max_bytes: Count = Field(32 << 20, description="Payload bytes decoded at once")


class WriterSettings(Section):
    """What both paths share."""

    lease_ttl_s: Annotated[float, Field(ge=1.0)] = Field(
        5.0, description="A standby takes over after this silence"
    )
    heartbeat_s: Annotated[float, Field(ge=0.2)] = Field(
        1.0, description="Heartbeat asked of the server; two silent ones re-open the reader"
    )
    reader: Literal["wire", "client"] = Field(
        "wire",
        description="wire: frames parsed in bulk on a connection of its own; client: nats-py",
    )
    buffer_max_bytes: Count = Field(128 << 20, description="Bytes read ahead of the decoder")
    backoff_max_s: Positive = Field(15.0, description="Longest pause between tries")
    drain_grace_s: Positive = Field(
        20.0, description="After SIGTERM a server that is away is waited for this long"
    )


class HttpSettings(Section):
    """The /metrics, /healthz and /readyz endpoint of each process."""

    host: str = Field("127.0.0.1", description="Address to listen on")
    hot_port: Annotated[int, Field(ge=0, le=65535)] = Field(9464, description="Port of `run hot`")
    lake_port: Annotated[int, Field(ge=0, le=65535)] = Field(9465, description="Port of `run lake`")


class LogSettings(Section):
    """Logging."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level")
    format: Literal["auto", "json", "text"] = Field(
        "auto", description="auto: text on a terminal, JSON elsewhere"
    )


class TraceSettings(Section):
    """Traces of batches, for a collector of OpenTelemetry."""

    endpoint: Annotated[
        str, StringConstraints(strip_whitespace=True, pattern=r"^(https?://\S+)?$")
    ] = Field("", description="OTLP/HTTP URL of traces, with its path /v1/traces; empty: no traces")
    timeout_s: Positive = Field(
        5.0, description="Longest wait for the collector, also when a writer ends"
    )
    share: Annotated[float, Field(ge=0, le=1)] = Field(
        1.0, description="Share of the batches that are traced"
    )


class Settings(Section):
    """All settings of a process."""

    contract: str = Field("readings", description="Packaged contract name, or path of a TOML file")
    nats: NatsSettings = NatsSettings()
    stream: StreamSettings = StreamSettings()
    lanes: LaneSettings = LaneSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    s3: S3Settings = S3Settings()
    catalog: CatalogSettings = CatalogSettings()
    hot: HotSettings = HotSettings()
    lake: LakeSettings = LakeSettings()
    writer: WriterSettings = WriterSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    trace: TraceSettings = TraceSettings()


def load_settings(folder: Path | None = None, **overrides: str) -> Settings:
    """Settings in force for ``folder`` (default: the current one).

    ``overrides`` are dotted names with ``__`` for the dot and win over everything.
    Raises SettingsError naming the key, where it was found and what was expected.
    """
    return load_with_origins(folder, **overrides)[0]


def load_with_origins(
    folder: Path | None = None, **overrides: str
) -> tuple[Settings, dict[str, str]]:
    """Settings, and for each dotted name that is not a default the source that gave it."""
    return load(Settings, folder or Path.cwd(), overrides, foreign=MAINTENANCE_SECTIONS)
