"""The server's account of what a peer has read: only the whole stream, each message once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from nats.js.api import ConsumerConfig, ConsumerInfo, SequenceInfo

from benchmarks.peers.measure import Account, FigureRefusedError

WHOLE = Account(delivered=1_000, deliveries=1_000, acknowledged=1_000, outstanding=0)


@pytest.mark.parametrize(
    ("account", "complete"),
    [
        (WHOLE, True),
        (Account(999, 999, 999, 1), False),
        (Account(1_000, 1_000, 999, 0), False),
        (Account(1_000, 1_000, 1_000, 1), False),
        (Account(0, 0, 0, 0), False),
    ],
)
def test_it_is_complete_with_the_last_acknowledgement(account: Account, *, complete: bool) -> None:
    """The last message is delivered and acknowledged, and nothing is outstanding."""
    assert account.complete(1_000, acknowledges=True) is complete


def test_a_peer_that_acknowledges_nothing_is_complete_with_the_last_delivery() -> None:
    """Its consumer has no acknowledgements to wait for."""
    account = Account(delivered=1_000, deliveries=1_000, acknowledged=0, outstanding=0)

    assert account.complete(1_000, acknowledges=False)


def test_each_message_once_passes() -> None:
    """Also when the peer says nothing of its own."""
    WHOLE.check(1_000, 1_000)
    WHOLE.check(1_000, None)


@pytest.mark.parametrize(
    ("account", "said", "named"),
    [
        (Account(1_000, 1_003, 1_000, 0), None, "1,003 deliveries"),
        (Account(1_001, 1_001, 1_001, 0), None, "up to message 1,001"),
        (WHOLE, 1_500, "read 1,500 messages"),
    ],
)
def test_anything_else_is_refused(account: Account, said: int | None, named: str) -> None:
    """Redelivered messages, a stream of another length, a peer that counted something else."""
    with pytest.raises(FigureRefusedError, match=named):
        account.check(1_000, said)


def test_the_account_is_read_from_the_consumers_state() -> None:
    """Unread and unacknowledged messages are both outstanding."""
    info = ConsumerInfo(
        name="peer",
        stream_name="READINGS",
        config=ConsumerConfig(),
        created=datetime(2026, 1, 1, tzinfo=UTC),
        delivered=SequenceInfo(consumer_seq=12, stream_seq=10),
        ack_floor=SequenceInfo(consumer_seq=4, stream_seq=3),
        num_ack_pending=7,
        num_pending=90,
    )

    assert Account.of(info) == Account(10, 12, 3, 97)
    assert Account.of(None) == Account(0, 0, 0, 0)
