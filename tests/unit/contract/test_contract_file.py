"""Contract files: what is accepted, and what an error says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest.contract import (
    METADATA_FIELDS,
    ColumnType,
    Contract,
    TimeFormat,
    load_contract,
    packaged_contracts,
)
from ingest.errors import EXIT_USAGE, ContractError

HERE = Path(__file__).parent
VALID = sorted((HERE / "valid").glob("*.toml"))
INVALID = sorted((HERE / "invalid").glob("*.toml"))


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_one_mistake_is_one_sentence_with_file_line_and_key(path: Path) -> None:
    """A file with one mistake says what the comment in its first line expects."""
    expected = path.read_bytes().splitlines()[0].decode().removeprefix("# ")
    separator = "" if expected.startswith(",") else ": " if "TOML" in expected else " "

    with pytest.raises(ContractError) as caught:
        load_contract(path)

    assert str(caught.value).startswith(f"{path}{separator}{expected}")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == EXIT_USAGE


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_file_survives_its_canonical_json(path: Path) -> None:
    """A contract read back from its canonical JSON is the same, and so is its JSON."""
    contract = load_contract(path)

    again = Contract.from_json(contract.to_json())

    assert contract == again
    assert contract.to_json() == again.to_json()
    assert contract.fingerprint == again.fingerprint


@pytest.mark.parametrize("name", packaged_contracts())
def test_a_packaged_contract_survives_its_canonical_json(name: str) -> None:
    """Every packaged contract loads by name and comes back from its JSON."""
    contract = load_contract(name)

    assert contract.name == name
    assert contract == Contract.from_json(contract.to_json())


def test_every_type_has_a_valid_example() -> None:
    """The file of all types holds each column type and a timestamp that falls back."""
    contract = load_contract(HERE / "valid" / "every_type.toml")

    assert set(ColumnType) == {column.type for column in contract.columns}
    assert contract.event_time_fallback
    assert contract.column("at").format is TimeFormat.EPOCH_NS
    assert contract.column("text").path == ("a.b", "c")
    assert contract.column("labels").path == ("deep", "er", "labels")
    assert (contract.max_age_s, contract.max_ahead_s) == (400 * 365 * 86400, 0)


def test_defaults_of_the_smallest_file() -> None:
    """What a file leaves out takes the documented values."""
    contract = load_contract(HERE / "valid" / "smallest.toml")

    assert (contract.namespace, contract.table) == ("iot", "ticks")
    assert (contract.max_age_s, contract.max_ahead_s) == (30 * 86400, 3600)
    assert (contract.max_rows_per_message, contract.max_message_bytes) == (10_000, 8 << 20)
    assert str(contract.unknown_fields) == "ignore"
    assert contract.rollup is None
    assert contract.columns[0].format is TimeFormat.RFC3339


def test_readings_has_the_names_that_others_rely_on() -> None:
    """Stream, subjects, table, key and columns of the default contract are fixed."""
    contract = load_contract("readings")

    assert (contract.stream, contract.subjects) == ("READINGS", ("readings.>",))
    assert (contract.namespace, contract.table) == ("iot", "readings")
    assert contract.key == ("metric", "device_id", "ts")
    names = ["device_id", "site", "metric", "ts", "value", "unit", "quality", "attributes"]
    assert names == [column.name for column in contract.columns]
    assert [*names, *(one.name for one in METADATA_FIELDS)] == contract.arrow_schema.names


def test_history_differs_from_readings_only_in_what_the_past_needs() -> None:
    """Old series are stored in the same columns."""
    history, readings = load_contract("history"), load_contract("readings")

    assert history.columns == readings.columns
    assert history.max_age_s == 200 * 365 * 86400
    assert history.stream == "HISTORY"


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    """A misspelt packaged name says which one was meant."""
    with pytest.raises(ContractError, match="did you mean 'readings'"):
        load_contract("reading")


def test_a_missing_file_is_one_sentence() -> None:
    """A path that cannot be read is a contract error, not a traceback."""
    with pytest.raises(ContractError, match=r"/nowhere\.toml: cannot be read: No such file"):
        load_contract("/nowhere.toml")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format":2}', "[" * 100_000])
def test_a_broken_record_is_a_contract_error(text: str) -> None:
    """JSON that `to_json` did not write is refused with a sentence."""
    with pytest.raises(ContractError, match="contract version"):
        Contract.from_json(text)


def test_an_option_more_in_a_record_is_refused() -> None:
    """A record written by a later version with other options is not half understood."""
    document = json.loads(load_contract("readings").to_json())
    document["compression"] = "zstd"

    with pytest.raises(ContractError, match="compression: unknown key"):
        Contract.from_json(json.dumps(document))


def test_a_deeply_nested_file_is_refused(tmp_path: Path) -> None:
    """Nesting beyond the parser's stack is a sentence too."""
    path = tmp_path / "deep.toml"
    path.write_text("name = " + "[" * 50_000, encoding="utf-8")

    with pytest.raises(ContractError, match="found what is not TOML"):
        load_contract(path)
