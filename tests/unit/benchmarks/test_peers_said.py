"""What peers say of how much they have read."""

from __future__ import annotations

import pytest

from benchmarks.peers.said import count_of_nats_bench, count_of_program

STARTED = """\
03:55:26 Starting JetStream durable consumer fetch benchmark [batch=500, clients=1]
03:55:26 [1] Starting JetStream durable consumer fetch, expecting 1,000,000 messages
"""
ENDED = "\nNATS JetStream durable consumer fetch stats: 229,700 msgs/sec ~ 28 MiB/sec\n"


@pytest.mark.parametrize(("text", "count"), [("", None), (STARTED, None), (ENDED, None)])
def test_nats_bench_without_begin_and_end_has_said_nothing(text: str, count: int | None) -> None:
    """It gives figures after the last message alone; before that the count is not known."""
    assert count_of_nats_bench(text) == count


def test_nats_bench_with_figures_has_read_what_it_expected() -> None:
    """The count stands in the line that it starts with."""
    assert count_of_nats_bench(STARTED + ENDED) == 1_000_000


def test_a_program_has_read_what_it_said_last() -> None:
    """Earlier counts are passed over, and so is what other lines say."""
    text = '{"read": 500}\nwarning: {"read": 7}\n{"read": 1000}\nbye\n'

    assert count_of_program(text) == 1_000


@pytest.mark.parametrize("text", ["", "starting\n", '{"rea', '{"read": 10'])
def test_a_program_that_has_said_no_whole_line_has_no_count(text: str) -> None:
    """A line that is being written is not a count yet."""
    assert count_of_program(text) is None


def test_a_half_written_line_does_not_hide_the_count_before_it() -> None:
    """The last whole line counts."""
    assert count_of_program('{"read": 500}\n{"read": 10') == 500
