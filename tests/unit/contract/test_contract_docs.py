"""The documentation of contracts says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ingest.contract import ColumnType, Contract, LakePartition, TimeFormat, load_contract
from ingest.contract_docs import columns_table
from ingest.refusal import Reason

TEXT = (Path(__file__).parents[3] / "docs" / "contract.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["readings", "weather"])
def test_tables_of_packaged_contracts_are_the_generated_ones(name: str) -> None:
    """The table below its mark is what `columns_table` gives now."""
    below = TEXT.split(f"<!-- {name} -->\n\n")[1]

    assert below.startswith(columns_table(load_contract(name)) + "\n")


def test_every_reason_is_explained_and_no_other() -> None:
    """The table of reasons is the closed set."""
    section = TEXT.split("## Why a message is refused")[1].split("\n## ")[0]

    assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == [str(reason) for reason in Reason]


def test_every_type_and_option_is_explained() -> None:
    """Types, formats, partitions and the options of table and column stand in the text."""
    names = [*map(str, [*ColumnType, *TimeFormat, *LakePartition])]
    options = set(Contract.__dataclass_fields__) - {"columns", "rollup"}
    names += [option.removesuffix("_s") for option in options]

    missing = [name for name in names if f"`{name}`" not in TEXT]

    assert missing == []


def test_the_example_of_the_text_is_a_contract(tmp_path: Path) -> None:
    """The file shown first loads as it stands."""
    block = TEXT.split("path.\n\n")[1].split("\nAn error")[0]
    path = tmp_path / "ticks.toml"
    path.write_text("\n".join(line[4:] for line in block.splitlines()), encoding="utf-8")

    assert load_contract(path).column("level").path == ("tank", "level")
