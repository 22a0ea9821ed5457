"""Which changes of a contract are allowed, and what a refused one says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ingest.contract import (
    Column,
    ColumnType,
    Contract,
    LakePartition,
    Rollup,
    UnknownFields,
    load_contract,
)
from ingest.errors import ContractError
from ingest.evolution import ChangeKind, changes

READINGS = load_contract("readings")
NOTE = Column(name="note", type=ColumnType.STRING, path=("note",))


def with_column(contract: Contract, name: str, /, **values: Any) -> Contract:
    """The contract with one column changed."""
    columns = tuple(
        replace(column, **values) if column.name == name else column for column in contract.columns
    )
    return replace(contract, columns=columns)


def with_added(contract: Contract, column: Column) -> Contract:
    """The contract with one column more."""
    return replace(contract, columns=(*contract.columns, column))


def kinds(old: Contract, new: Contract) -> list[tuple[ChangeKind, str]]:
    """What changes, without the values."""
    return [(change.kind, change.subject) for change in changes(old, new)]


def test_the_same_contract_has_no_changes() -> None:
    """Nothing changed is an empty list."""
    assert changes(READINGS, Contract.from_json(READINGS.to_json())) == []


def test_an_optional_column_may_be_added_anywhere() -> None:
    """A column that may be missing is added, at the end or between others."""
    between = replace(READINGS, columns=(READINGS.columns[0], NOTE, *READINGS.columns[1:]))

    assert kinds(READINGS, with_added(READINGS, NOTE)) == [(ChangeKind.ADD_COLUMN, "note")]
    assert kinds(READINGS, between) == [(ChangeKind.ADD_COLUMN, "note")]


def test_a_map_may_be_added() -> None:
    """A map has no null of its own and is added all the same; older rows hold none."""
    column = Column(name="tags", type=ColumnType.MAP, path=("tags",))

    assert kinds(READINGS, with_added(READINGS, column)) == [(ChangeKind.ADD_COLUMN, "tags")]


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [(ColumnType.INT32, ColumnType.INT64), (ColumnType.FLOAT32, ColumnType.FLOAT64)],
)
def test_a_number_may_widen_and_never_narrow(narrow: ColumnType, wide: ColumnType) -> None:
    """Widening is a change; the way back is refused."""
    old = with_added(READINGS, replace(NOTE, type=narrow))
    new = with_added(READINGS, replace(NOTE, type=wide))

    assert kinds(old, new) == [(ChangeKind.WIDEN_COLUMN, "note")]
    with pytest.raises(ContractError, match=f"note: changed from {wide} to {narrow}"):
        changes(new, old)


def test_words_and_limits_may_change() -> None:
    """Descriptions, limits and the way a payload is read touch no stored column."""
    new = replace(READINGS, description="Other words.", max_age_s=60)
    new = with_column(new, "unit", description="Other words.", path=("u",))

    assert kinds(READINGS, new) == [
        (ChangeKind.DECODING, "unit.path"),
        (ChangeKind.DESCRIPTION, "unit.description"),
        (ChangeKind.DECODING, "max_age_s"),
        (ChangeKind.DESCRIPTION, "description"),
    ]


def test_a_required_column_may_get_a_default() -> None:
    """A missing value that was refused may be filled from now on: rows still always have one."""
    new = with_column(READINGS, "metric", required=False, default="unknown")

    assert kinds(READINGS, new) == [
        (ChangeKind.DECODING, "metric.default"),
        (ChangeKind.DECODING, "metric.required"),
    ]


REFUSED: list[tuple[str, Contract, str]] = [
    ("drop", replace(READINGS, columns=READINGS.columns[:-1]), "column attributes: dropped"),
    ("rename", with_column(READINGS, "unit", name="units"), "column unit: dropped"),
    (
        "order",
        replace(READINGS, columns=READINGS.columns[::-1]),
        "columns: put in another order",
    ),
    (
        "add required",
        with_added(READINGS, replace(NOTE, required=True)),
        "column note: added as one that always has a value",
    ),
    (
        "add with default",
        with_added(READINGS, replace(NOTE, default="")),
        "column note: added as one that always has a value",
    ),
    ("type", with_column(READINGS, "value", type=ColumnType.STRING), "from float64 to string"),
    (
        "cardinality",
        with_column(READINGS, "site", type=ColumnType.STRING),
        "column site: changed from low_cardinality_string to string",
    ),
    (
        "make optional",
        with_column(READINGS, "value", required=False),
        "column value: changed so that it may now be missing",
    ),
    ("unit", with_column(READINGS, "value", unit="K"), "column value.unit: changed from '' to 'K'"),
    ("key", replace(READINGS, key=("device_id", "ts")), "key: changed from metric, device_id, ts"),
    ("business key", replace(READINGS, business_key=()), "business_key: changed"),
    (
        "partition",
        replace(READINGS, lake_partition=LakePartition.HOUR),
        "lake_partition: changed from day to hour",
    ),
    ("stream", replace(READINGS, stream="OTHER"), "stream: changed from READINGS to OTHER"),
    ("subjects", replace(READINGS, subjects=("a.>",)), "subjects: changed"),
    ("table", replace(READINGS, table="other"), "table: changed from readings to other"),
    ("name", replace(READINGS, name="other"), "name: changed from readings to other"),
    ("rollup", replace(READINGS, rollup=None), "rollup: changed"),
    (
        "keep",
        replace(
            with_added(READINGS, Column(name="rest", type=ColumnType.JSON)),
            unknown_fields=UnknownFields.KEEP,
            unknown_column="rest",
        ),
        "unknown_column: changed from nothing to rest",
    ),
]


@pytest.mark.parametrize(
    ("new", "says"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_any_other_change_is_refused_with_its_name_and_reason(new: Contract, says: str) -> None:
    """What no sink can follow is named, with the reason after it."""
    with pytest.raises(ContractError) as caught:
        changes(READINGS, new)

    assert says in str(caught.value)
    assert ", which is refused: " in str(caught.value)


def test_making_an_optional_column_required_is_refused() -> None:
    """Stored rows without a value would break the new rule."""
    old = with_added(READINGS, NOTE)

    with pytest.raises(ContractError, match="note: changed so that it must now have a value"):
        changes(old, with_column(old, "note", required=True))


def test_a_rolled_up_number_may_not_widen() -> None:
    """The rollup is part of every stored part."""
    narrow = replace(NOTE, name="count_", type=ColumnType.INT32, required=True)
    old = replace(with_added(READINGS, narrow), rollup=Rollup(group_by=("metric",), value="count_"))

    with pytest.raises(ContractError, match="widened, which is refused: it is part of a key"):
        changes(old, with_column(old, "count_", type=ColumnType.INT64))
