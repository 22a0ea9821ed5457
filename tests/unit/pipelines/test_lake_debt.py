"""Small-file debt and the units that lessen it, without a table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipelines.lake_debt import Debt, Unit, debt
from pipelines.lake_files import LakeFile, LakeFiles
from pipelines.lake_periods import Period, period
from pipelines.settings import MaintenanceSettings

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
MEGABYTE = 1 << 20
SETTINGS = MaintenanceSettings(
    target_file_bytes=100 * MEGABYTE, unit_max_bytes=100 * MEGABYTE, unit_max_files=10
)


def day(number: int) -> Period:
    """A day of June 2026."""
    return period("day", datetime(2026, 6, number, tzinfo=UTC).date())


def file(seq: int, size: int = MEGABYTE, on: int = 1, snapshot: int = 1) -> LakeFile:
    """A data file."""
    return LakeFile(f"s3://lake/{on}/{seq}", size, 100, day(on), seq, snapshot, deletes=False)


def table(*files: LakeFile, written: dict[int, datetime] | None = None) -> LakeFiles:
    """A table of these files; ``written`` are times of appends by snapshot."""
    return LakeFiles(1, files, 1, 1, 1, None, written or {})


def owed(*files: LakeFile, settings: MaintenanceSettings = SETTINGS) -> Debt:
    """Debt of a table that nobody writes."""
    return debt(table(*files), settings, NOW)


def test_debt_is_the_number_of_files_that_merging_removes() -> None:
    """Eight small files of one day would be one: seven too many, all their bytes to rewrite."""
    found = owed(*(file(n) for n in range(8)))

    assert found.files == 7
    assert found.bytes == 8 * MEGABYTE
    assert str(found) == "7 files too many in 1 of 1 partitions (8.4 MB to rewrite)"


def test_few_or_large_files_owe_nothing() -> None:
    """Below the least number of small files nothing is due; files near the target are not small."""
    assert owed(*(file(n) for n in range(4))).units() == ()
    assert owed(*(file(n, 80 * MEGABYTE) for n in range(9))).units() == ()


def test_delete_files_are_no_small_files() -> None:
    """Files that say which rows are gone are never named in a unit."""
    deletes = [LakeFile(f"s3://lake/d{n}", 10, 1, day(1), 0, 1, deletes=True) for n in range(10)]

    assert owed(*deletes).units() == ()


def test_partitions_are_compacted_coldest_first_and_the_open_one_last() -> None:
    """The order is that of the last append, whatever the partition's own time."""
    written = {
        1: NOW - timedelta(minutes=1),
        2: NOW - timedelta(days=5),
        3: NOW - timedelta(days=9),
    }
    files = [file(n, on=on, snapshot=by) for on, by in ((1, 1), (2, 2), (3, 3)) for n in range(6)]

    found = debt(table(*files, written=written), SETTINGS, NOW)

    assert [one.partition.label for one in found.due] == ["2026-06-03", "2026-06-02", "2026-06-01"]
    assert [one.is_open for one in found.due] == [False, False, True]


def test_an_open_partition_can_be_skipped() -> None:
    """The setting leaves alone what is still written; it owes nothing."""
    written = {1: NOW - timedelta(minutes=1)}
    skip = SETTINGS.model_copy(update={"open_partition": "skip"})

    assert debt(table(*(file(n) for n in range(9)), written=written), SETTINGS, NOW).files == 8
    assert debt(table(*(file(n) for n in range(9)), written=written), skip, NOW).files == 0


def test_what_was_merged_in_an_open_partition_is_not_rewritten_at_once() -> None:
    """There an eighth of the target size is enough to be left alone."""
    written = {1: NOW - timedelta(minutes=1)}
    files = [file(0, 13 * MEGABYTE), *(file(n) for n in range(1, 7))]

    (unit,) = debt(table(*files, written=written), SETTINGS, NOW).units()

    assert [one.first_seq for one in unit.files] == [1, 2, 3, 4, 5, 6]
    assert len(owed(*files).units()[0].files) == 7


def test_a_unit_merges_neighbours_of_the_stream() -> None:
    """Files are taken in the order of their sequences, so that merged ranges do not overlap."""
    units = owed(*(file(n) for n in reversed(range(25)))).units()

    firsts = [[one.first_seq for one in unit.files] for unit in units]
    assert firsts == [list(range(10)), list(range(10, 20)), list(range(20, 25))]


def test_only_the_partitions_named_are_planned() -> None:
    """Labels choose; a label that owes nothing plans nothing."""
    found = owed(*(file(n, on=on) for on in (1, 2) for n in range(6)))

    assert {unit.label for unit in found.units(["2026-06-02"])} == {"2026-06-02"}
    assert found.units(["2026-06-03"]) == ()


def test_a_unit_too_large_for_trino_is_halved_down_to_pairs() -> None:
    """Halves hold all files of the unit; three files cannot be cut into pairs."""
    unit = Unit("all", None, tuple(file(n) for n in range(7)))

    left, right = unit.halves()
    assert (*left.files, *right.files) == unit.files
    assert left.halves() == ()
    assert [len(one.files) for one in right.halves()] == [2, 2]


@given(
    sizes=st.lists(st.integers(1, 150 * MEGABYTE), max_size=60),
    least=st.integers(2, 6),
    most=st.integers(2, 12),
)
def test_units_hold_each_small_file_at_most_once_and_every_unit_removes_some(
    sizes: list[int], least: int, most: int
) -> None:
    """Units respect their bounds, and carrying them out always leaves fewer files."""
    settings = SETTINGS.model_copy(update={"min_files": least, "unit_max_files": most})
    found = owed(*(file(n, size) for n, size in enumerate(sizes)), settings=settings)

    paths = [path for unit in found.units() for path in unit.paths]
    assert len(paths) == len(set(paths))
    assert found.files == sum(unit.removes(settings.target_file_bytes) for unit in found.units())
    for unit in found.units():
        assert 2 <= len(unit.files) <= most
        assert unit.bytes <= settings.unit_max_bytes
        assert unit.removes(settings.target_file_bytes) > 0
        assert all(one.bytes < 75 * MEGABYTE for one in unit.files)
