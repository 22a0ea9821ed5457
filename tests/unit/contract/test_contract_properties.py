"""Properties of every contract, not of chosen ones."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.contract import (
    METADATA_FIELDS,
    STORED_AT,
    ColumnType,
    Contract,
    LakePartition,
    TimeFormat,
)
from ingest.errors import ContractError
from ingest.evolution import changes
from ingest.sinks.clickhouse_schema import add_column_statements, table_columns
from ingest.sinks.iceberg_schema import iceberg_schema

DEFAULTS: dict[ColumnType, st.SearchStrategy[Any]] = {
    ColumnType.STRING: st.text(max_size=5),
    ColumnType.LOW_CARDINALITY_STRING: st.text(max_size=5),
    ColumnType.BOOL: st.booleans(),
    ColumnType.INT32: st.integers(-(2**31), 2**31 - 1),
    ColumnType.INT64: st.integers(-(2**63), 2**63 - 1),
    ColumnType.FLOAT32: st.floats(allow_nan=False, allow_infinity=False, width=32),
    ColumnType.FLOAT64: st.floats(allow_nan=False, allow_infinity=False),
    ColumnType.TIMESTAMP: st.sampled_from(["2020-01-01T00:00:00Z", STORED_AT]),
    ColumnType.DATE: st.dates(date(1900, 1, 1), date(2299, 12, 31)).map(str),
    ColumnType.JSON: st.sampled_from(["{}", "[1, 2]", "null"]),
}


@st.composite
def column_documents(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """One column as the canonical JSON spells it."""
    kind = draw(st.sampled_from(list(ColumnType)))
    column: dict[str, Any] = {"name": name, "type": str(kind), "description": draw(st.text())}
    source = draw(st.sampled_from(["path", "nested", "token", "constant"]))
    if source == "nested":
        column["path"] = ["deep", draw(st.sampled_from(["a.b", "é", "c"])), name]
    if source == "token" and kind.is_text:
        column["subject_token"] = draw(st.integers(0, 63))
    elif source == "constant" and kind is not ColumnType.MAP:
        value = draw(DEFAULTS[kind])
        column["constant"] = "2020-01-01T00:00:00Z" if value == STORED_AT else value
    else:
        if kind is ColumnType.TIMESTAMP:
            column["format"] = str(draw(st.sampled_from(list(TimeFormat))))
        rule = draw(st.sampled_from(["optional", "required", "default"]))
        if rule == "required":
            column["required"] = True
        elif rule == "default" and kind is not ColumnType.MAP:
            column["default"] = draw(DEFAULTS[kind])
    return column


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Any contract with a device and a time of its own and a few more columns."""
    columns = [
        {"name": "device", "type": "string", "required": True},
        {"name": "at", "type": "timestamp", "required": True},
    ]
    columns += [draw(column_documents(f"c{index}")) for index in range(draw(st.integers(0, 6)))]
    document = {
        "format": 1,
        "name": "any",
        "stream": "ANY",
        "subjects": ["any.>"],
        "key": ["device", "at"],
        "time_column": "at",
        "columns": columns,
        "lake_partition": str(draw(st.sampled_from(list(LakePartition)))),
        "max_age_s": draw(st.integers(0, 10**9)),
        "description": draw(st.text()),
    }
    return Contract.from_json(json.dumps(document))


@settings(deadline=None, max_examples=60)
@given(contracts())
def test_every_contract_survives_its_canonical_json(contract: Contract) -> None:
    """What is read back is equal, spelled the same, and changes nothing."""
    again = Contract.from_json(contract.to_json())

    assert again == contract
    assert (again.to_json(), again.fingerprint) == (contract.to_json(), contract.fingerprint)
    assert changes(contract, again) == []
    assert again.arrow_schema == contract.arrow_schema


@settings(deadline=None, max_examples=60)
@given(contracts())
def test_every_schema_has_the_same_columns(contract: Contract) -> None:
    """Arrow, ClickHouse and Iceberg name the same columns in the same order."""
    names = contract.arrow_schema.names

    assert names[-5:] == [field.name for field in METADATA_FIELDS]
    assert names == list(table_columns(contract))
    assert names == [field.name for field in iceberg_schema(contract).fields]
    for field in contract.arrow_schema:
        assert field.nullable == ("Nullable(" in table_columns(contract)[field.name])


@settings(deadline=None, max_examples=60)
@given(contracts(), st.integers(0, 8))
def test_a_table_of_fewer_columns_is_brought_along_or_refused(
    contract: Contract, keep: int
) -> None:
    """Leaving out trailing optional columns gives one ALTER for each; others are refused."""
    optional = [
        column.name
        for column in contract.columns
        if column.nullable or column.type is ColumnType.MAP
    ]
    gone = optional[keep:]
    existing = {name: kind for name, kind in table_columns(contract).items() if name not in gone}

    statements = add_column_statements(contract, existing)

    assert [one for one in statements if "ADD COLUMN" not in one and "VIEW" not in one] == []
    assert len([one for one in statements if "ADD COLUMN" in one]) == len(gone)


@settings(deadline=None, max_examples=100)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
        ),
    ),
    st.sampled_from(["name", "columns", "key", "subjects", "rollup", "max_age_s", "stream", "x"]),
)
def test_any_value_of_an_option_is_a_contract_or_a_contract_error(value: Any, option: str) -> None:
    """No value, however odd, raises anything else or more than one line."""
    document: dict[str, Any] = {
        "format": 1,
        "name": "any",
        "stream": "ANY",
        "subjects": ["any.>"],
        "key": ["at"],
        "time_column": "at",
        "columns": [{"name": "at", "type": "timestamp", "required": True}],
    }
    document[option] = value

    said = ""
    try:
        Contract.from_json(json.dumps(document))
    except ContractError as error:
        said = str(error)

    assert "\n" not in said
