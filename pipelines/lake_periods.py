"""Partitions of a table by time: which stretch a partition value stands for, and its label."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal, get_args

from pyiceberg.partitioning import PartitionSpec

Step = Literal["hour", "day", "month", "year"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORMATS: dict[Step, str] = {
    "hour": "%Y-%m-%dT%H",
    "day": "%Y-%m-%d",
    "month": "%Y-%m",
    "year": "%Y",
}


@dataclass(frozen=True, order=True)
class Period:
    """From ``start`` to before ``end``, in UTC."""

    start: datetime
    end: datetime
    label: str


def step_of(spec: PartitionSpec) -> Step | None:
    """The step of a table partitioned by time alone, None for any other partition spec."""
    steps = [str(field.transform) for field in spec.fields]
    return next((step for step in get_args(Step) if steps == [step]), None)


def period(step: Step, value: int | date) -> Period:
    """The period of a partition value: a count of steps since 1970, or the day itself."""
    count = (value - _EPOCH.date()).days if isinstance(value, date) else value
    start, end = _start(step, count), _start(step, count + 1)
    return Period(start, end, start.strftime(_FORMATS[step]))


def _start(step: Step, count: int) -> datetime:
    if step == "hour":
        return _EPOCH + timedelta(hours=count)
    if step == "day":
        return _EPOCH + timedelta(days=count)
    years, month = divmod(count, 12) if step == "month" else (count, 0)
    return datetime(1970 + years, month + 1, 1, tzinfo=UTC)
