"""Pull credit, reply subjects and the stream's rate."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.lag import StreamRate
from ingest.pull_credit import PullCredit
from ingest.ranges import SequenceRange
from ingest.reply_subject import parse_replies


@given(st.integers(4, 1_000), st.lists(st.integers(0, 400), max_size=30))
def test_credit_never_exceeds_the_buffer(room: int, taken: list[int]) -> None:
    """What is asked for and what is buffered fit together, and there is always a next pull."""
    credit = PullCredit(room, 1 << 20)
    credit.reset("inbox")
    buffered = 0
    for count in taken:
        granted = sum(batch for _, batch, _ in credit.grant(buffered, 0))
        assert credit.outstanding + buffered <= room
        assert granted or credit.outstanding or buffered
        arrived = min(count, credit.outstanding)
        credit.delivered(arrived)
        buffered = (buffered + arrived) // 2


def test_a_full_buffer_gets_no_credit() -> None:
    """Bytes bound the buffer as well as messages."""
    credit = PullCredit(100, 1_000)
    credit.reset("inbox")
    assert list(credit.grant(0, 1_000)) == []


def test_a_pull_too_small_for_the_next_message_grows() -> None:
    """A pull that ended with nothing sent asks for more bytes the next time."""
    credit = PullCredit(100, 4 << 20)
    credit.reset("inbox")
    before = next(size for _, _, size in credit.grant(0, 0))
    credit.ended(25)
    assert next(size for _, _, size in credit.grant(0, 0)) == 2 * before


@pytest.mark.parametrize(
    "form",
    [
        b"$JS.ACK.S.c.1.%d.%d.%d.5",
        b"$JS.ACK.domain.hash.S.c.1.%d.%d.%d.5",
        b"$JS.ACK._.hash.S.c.1.%d.%d.%d.5.random",
    ],
)
def test_reply_subjects_of_every_form_are_read(form: bytes) -> None:
    """Sequences and timestamp stand at the same places counted from the stream's name."""
    texts = [(form % (10 + n, 1 + n, 1_000 + n)).decode() for n in range(3)]
    replies = parse_replies(pa.array(texts))
    assert replies.stream_seq.tolist() == [10, 11, 12]
    assert replies.consumer_seq.tolist() == [1, 2, 3]
    assert replies.stored_at_ns.tolist() == [1_000, 1_001, 1_002]


def test_missing_sequences_are_named() -> None:
    """Holes before, between; a jump of the consumer sequence ends what is in order."""
    places = ((3, 1), (6, 2), (7, 4))
    replies = parse_replies(pa.array([f"$JS.ACK.S.c.1.{s}.{c}.1.0" for s, c in places]))
    assert replies.missing(2) == [SequenceRange(2, 2), SequenceRange(4, 5)]
    assert replies.in_order(0) == 2
    assert replies.head(2).missing(3) == [SequenceRange(4, 5)]


def test_the_rate_follows_the_stream_slowly() -> None:
    """One busy look does not make an alarm, a busy minute does."""
    rate = StreamRate()
    assert rate.look(0.0, 100) == 0.0
    assert rate.look(1.0, 200) == pytest.approx(100.0)
    assert rate.look(2.0, 1_200) < 250
    for second in range(3, 60):
        latest = rate.look(float(second), 1_200 + 1_000 * (second - 2))
    assert latest == pytest.approx(1_000.0, rel=0.02)
