"""The reference page of all metrics, from the registry that exports them."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.metrics import MetricWrapperBase

from ingest.metrics import Metrics
from ingest.reading_ages import LABELS, ReadingAges


@dataclass(frozen=True)
class MetricRow:
    """One metric under the name it is exported with."""

    name: str
    kind: str
    labels: tuple[str, ...]
    description: str


def metric_rows() -> list[MetricRow]:
    """Every metric of a writer process, in the order of declaration."""
    registry = Metrics("LANE", "hot").registry
    rows = []
    for collector in list(registry._collector_to_names):  # noqa: SLF001 - there is no public way
        assert isinstance(collector, MetricWrapperBase | ReadingAges)
        labels = (
            LABELS if isinstance(collector, ReadingAges) else tuple(collector._labelnames)  # noqa: SLF001 - likewise
        )
        for family in collector.describe():
            name = f"{family.name}_total" if family.type == "counter" else family.name
            rows.append(MetricRow(name, family.type, labels, family.documentation))
    return rows


def metrics_markdown() -> str:
    """The page as markdown."""
    lines = [
        "# Metrics",
        "",
        "Written by `python -m ingest.reference`; do not edit.",
        "",
        "Served at `/metrics` by `ingest run hot` (setting `http.hot_port`) and `ingest run lake`",
        "(`http.lake_port`). `lane` is the stream's name, `path` is hot or lake, `sink` is",
        "clickhouse or iceberg. A histogram also has `_bucket`, `_sum` and `_count`.",
        "",
        "| Metric | Kind | Labels | Meaning |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{row.name}` | {row.kind} | {', '.join(row.labels)} | {row.description} |"
        for row in metric_rows()
    ]
    return "\n".join(lines) + "\n"
