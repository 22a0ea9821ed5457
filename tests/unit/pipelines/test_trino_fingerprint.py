"""The SQL of the canonical bytes; that it means the same in Trino is shown in tests/lake."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.contract import load_contract
from ingest.fingerprint import MASK
from pipelines.reconcile import units
from pipelines.trino_fingerprint import MOST_ARGUMENTS, _joined, combined, literal, row_hash

HALF = 0xFFFFFFFF


@given(st.lists(st.integers(0, MASK), max_size=50))
def test_halves_add_up_to_the_sum_modulo_two_to_the_64(hashes: list[int]) -> None:
    """Sums of the halves, as Trino makes them, lose nothing."""
    low = sum(one & HALF for one in hashes)
    high = sum(one >> 32 for one in hashes)

    assert combined(low, high) == sum(hashes) & MASK


@given(st.integers(-(2**63), 2**63 - 1))
def test_the_bits_of_a_bigint_are_the_hash(bits: int) -> None:
    """Trino's signed numbers come back as the unsigned ones."""
    assert combined(bits, 0) == bits & MASK


def test_many_columns_make_concats_of_concats() -> None:
    """Trino refuses long lists of arguments."""
    joined = _joined([f"c{number}" for number in range(5 * MOST_ARGUMENTS)])

    assert joined.startswith("concat(concat(c0, c1")
    assert max(part.count(",") for part in joined.split("concat(")) <= MOST_ARGUMENTS


def test_a_column_that_is_absent_is_null() -> None:
    """A snapshot from before a column has no such name to ask for."""
    contract = load_contract("readings")

    assert '"quality"' in row_hash(contract)
    assert '"quality"' not in row_hash(contract, absent={"quality"})
    assert "CAST(NULL AS varchar)" in row_hash(contract, absent={"quality"})


def test_a_quote_in_a_literal_is_doubled() -> None:
    """As SQL has it."""
    assert literal("it's") == "'it''s'"


@given(st.integers(1, 10_000), st.integers(0, 10_000), st.integers(1, 3_000))
def test_units_cover_everything_once(first: int, count: int, size: int) -> None:
    """Ends ascend to the last sequence; the others come just before a multiple of the size."""
    last = first + count - 1
    ends = list(units(first, last, size))

    assert ends == sorted(set(ends))
    assert (ends[-1:] == [last]) is (count > 0)
    assert all((end + 1) % size == 0 for end in ends[:-1])
    starts = [first, *(end + 1 for end in ends[:-1])]
    assert all(1 <= end - start + 1 <= size for start, end in zip(starts, ends, strict=False))
