"""The time until unread messages are dropped."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ingest.headroom import StreamFill, seconds_until_dropped, seconds_until_full

HOUR = 3600.0
FILL = StreamFill(
    first_seq=1,
    last_seq=1000,
    messages=1000,
    bytes=100_000,
    max_age_s=0,
    max_bytes=200_000,
    max_messages=-1,
    discards_old=True,
    rate=10.0,
)

fills = st.builds(
    lambda first, count, size, spare, rate, age: StreamFill(
        first_seq=first,
        last_seq=first + count - 1,
        messages=count,
        bytes=count * size,
        max_age_s=age,
        max_bytes=count * size + spare,
        max_messages=-1,
        discards_old=True,
        rate=rate,
    ),
    st.integers(1, 10**6),
    st.integers(1, 10**6),
    st.integers(50, 5000),
    st.integers(0, 10**9),
    st.floats(0, 10**6),
    st.sampled_from([0.0, HOUR]),
)


def test_room_and_read_messages_both_have_to_be_filled_first() -> None:
    """Half full at 100 bytes and 10/s: 1000 messages fit, and those read can go before."""
    assert seconds_until_dropped(FILL, 1, 0) == 100
    assert seconds_until_dropped(FILL, 1001, 0) == 200
    assert seconds_until_dropped(FILL, 501, 0) == 150


def test_age_counts_from_the_oldest_unread_message() -> None:
    """The nearer of age and size is the answer."""
    aging = replace(FILL, max_age_s=HOUR, rate=0.0)

    assert seconds_until_dropped(aging, 1, 600) == HOUR - 600
    assert seconds_until_dropped(aging, 1, 2 * HOUR) == 0
    assert seconds_until_dropped(replace(aging, rate=10.0), 1, 600) == 100


def test_a_stream_that_refuses_new_messages_drops_by_age_alone() -> None:
    """With discard new the publishers are refused instead, after the same time."""
    refusing = replace(FILL, discards_old=False)

    assert seconds_until_dropped(refusing, 1, 0) == float("inf")
    assert seconds_until_full(refusing) == 100
    assert seconds_until_full(FILL) == float("inf")


def test_a_limit_of_messages_counts_like_one_of_bytes() -> None:
    """The nearer of the two limits decides."""
    assert seconds_until_dropped(replace(FILL, max_messages=1100), 1, 0) == 10


def test_an_empty_or_unlimited_stream_drops_nothing() -> None:
    """Without a limit or without a rate the time is infinite."""
    unlimited = replace(FILL, max_bytes=-1)
    empty = replace(FILL, first_seq=1, last_seq=0, messages=0, bytes=0)

    assert seconds_until_dropped(unlimited, 1, 0) == float("inf")
    assert seconds_until_dropped(replace(FILL, rate=0.0), 1, 0) == float("inf")
    assert seconds_until_dropped(empty, 1, 0) == float("inf")


@given(fills, st.integers(0, 10**6), st.integers(0, 10**6))
def test_reading_on_never_shortens_the_time(fill: StreamFill, step: int, further: int) -> None:
    """A later position is never dropped earlier, and no time is negative."""
    position = fill.first_seq + min(step, fill.messages)
    later = min(position + further, fill.last_seq + 1)

    assert 0 <= seconds_until_dropped(fill, position, 0) <= seconds_until_dropped(fill, later, 0)
