"""Which epoch and contract version a sequence has, whatever was registered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import RecordInvalidError
from ingest.registry import FORMAT, Epoch, Registry, RegistryRecord, Version


def registry(epochs: list[Epoch], versions: list[Version]) -> Registry:
    """A registry as it would be read."""
    return Registry("LANE", RegistryRecord(FORMAT, tuple(epochs), tuple(versions)), 1)


FIRST = Epoch("a", "2026-01-01T00:00:00Z", 1)
SECOND = Epoch("b", "2026-01-02T00:00:00Z", 50, 1)
V1, V2 = Version(1, "a", 1, "{}"), Version(2, "a", 100, "{}")


def test_a_version_is_in_force_from_its_first_sequence() -> None:
    """The message before it is still decoded under the version before."""
    known = registry([FIRST], [V1, V2])
    assert known.version_of(99).number == 1
    assert known.version_of(100).number == 2


def test_a_new_history_goes_on_under_the_newest_version() -> None:
    """A version of the old history is in force from the start of the new one."""
    known = registry([FIRST, SECOND], [V1, V2])
    assert (known.epoch_of(49).id, known.version_of(49).number) == ("a", 1)
    assert (known.epoch_of(50).id, known.version_of(50).number) == ("b", 2)


def test_a_history_rewritten_twice_further_back_replaces_the_one_between() -> None:
    """The newest history that starts at or before a sequence names it."""
    third = Epoch("c", "2026-01-03T00:00:00Z", 20, 2)
    known = registry([FIRST, SECOND, third], [V1])
    assert [known.epoch_of(sequence).id for sequence in (19, 20, 50, 80)] == ["a", "c", "c", "c"]


def test_an_announced_version_decodes_nothing() -> None:
    """Without a first sequence it is known but not in force."""
    known = registry([FIRST], [V1, Version(2, "a", 0, "{}")])
    assert known.announced is not None
    assert known.version_of(10**9).number == 1


def test_a_version_that_the_registry_lacks_is_an_error() -> None:
    """A pending range whose version is unknown tells of a restored registry."""
    with pytest.raises(RecordInvalidError, match="no contract version 3"):
        registry([FIRST], [V1]).version(3)


@given(
    st.lists(st.integers(1, 40), max_size=4),
    st.lists(st.integers(1, 40), max_size=4),
    st.integers(1, 45),
)
def test_between_changes_nothing_changes(
    epoch_starts: list[int], version_starts: list[int], sequence: int
) -> None:
    """Up to the next change every sequence has the epoch and version of the first."""
    epochs = [FIRST, *(Epoch(f"e{n}", "", s, n + 1) for n, s in enumerate(epoch_starts))]
    versions = [
        V1,
        *(Version(n + 2, epochs[-1].id, s, "{}") for n, s in enumerate(sorted(version_starts))),
    ]
    known = registry(epochs, versions)
    change = known.next_change(sequence)
    for later in range(sequence, min(change or 60, 60)):
        assert known.epoch_of(later) == known.epoch_of(sequence)
        assert known.version_of(later) == known.version_of(sequence)
