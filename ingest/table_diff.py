"""How an Iceberg table's columns differ from a contract's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pyiceberg.table import Table
from pyiceberg.types import (
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    LongType,
    MapType,
    NestedField,
)

from ingest.contract import Contract
from ingest.sinks.iceberg_schema import iceberg_schema

WIDER: dict[type[IcebergType], type[IcebergType]] = {IntegerType: LongType, FloatType: DoubleType}


@dataclass(frozen=True)
class Difference:
    """One column that is missing, narrower, or not reconcilable; ``field`` is as wanted."""

    kind: Literal["add", "widen", "refused"]
    column: str
    sentence: str
    field: NestedField | None = None


def iceberg_differences(table: Table, contract: Contract) -> list[Difference]:
    """Differences of a live table from the contract, in the contract's order of columns."""
    wanted = {field.name: field for field in iceberg_schema(contract).fields}
    live = {field.name: field for field in table.schema().fields}
    found = [
        difference
        for name, field in wanted.items()
        if (difference := _compare(name, field, live.get(name))) is not None
    ]
    found += [
        Difference("refused", name, f"column {name} is in the table and not in the contract")
        for name in live
        if name not in wanted
    ]
    return found


def _compare(name: str, wanted: NestedField, live: NestedField | None) -> Difference | None:
    if live is None:
        if wanted.required:
            return Difference(
                "refused", name, f"column {name} is missing and rows already stored have no value"
            )
        sentence = f"column {name} is missing, {wanted.field_type} would be added"
        return Difference("add", name, sentence, wanted)
    if _same_type(live.field_type, wanted.field_type):
        if live.required and not wanted.required:
            return Difference("refused", name, f"column {name} is required in the table only")
        return None
    told = f"column {name} is {live.field_type}, the contract says {wanted.field_type}"
    if WIDER.get(type(live.field_type)) is type(wanted.field_type):
        return Difference("widen", name, f"{told}: it would be widened", wanted)
    return Difference("refused", name, f"{told}: only adding and widening is possible")


def _same_type(live: IcebergType, wanted: IcebergType) -> bool:
    """Field ids inside of a map are the catalog's to give."""
    if isinstance(live, MapType) and isinstance(wanted, MapType):
        return live.key_type == wanted.key_type and live.value_type == wanted.value_type
    return live == wanted
