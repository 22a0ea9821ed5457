"""The source: messages are handed out when due, and an error comes after what precedes it."""

from __future__ import annotations

from collections.abc import Iterator

from simulator.errors import CsvError
from simulator.readings import Message
from simulator.source import Source


def messages(count: int) -> Iterator[Message]:
    """One message a second."""
    for number in range(count):
        yield Message("s", b"", "d", 1, 0, due_s=float(number))


def test_only_due_messages_are_taken() -> None:
    """Time lets messages out, ``most`` cuts, and waiting lasts until the next one."""
    source = Source(messages(10))

    assert [m.due_s for m in source.take(99, 2.5)] == [0.0, 1.0, 2.0]
    assert source.take(99, 2.5) == []
    assert source.wait_s(2.5) == 0.5
    assert [m.due_s for m in source.take(2, 99.0)] == [3.0, 4.0]
    assert len(source.take(99, 99.0)) == 5
    assert source.exhausted


def test_an_error_ends_the_messages_and_is_kept() -> None:
    """What was yielded before an error is taken first; the source is then not exhausted."""

    def failing() -> Iterator[Message]:
        yield from messages(2)
        raise CsvError("f.csv, line 3: oops")

    source = Source(failing())

    assert len(source.take(99, 99.0)) == 2
    assert source.subject == ""
    assert isinstance(source.error, CsvError)
    assert not source.exhausted
