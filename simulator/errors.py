"""Every error that the simulator raises on purpose.

::

    IngestError
    ├── PublishRefusedError   (exit 1)  the server will never store this message, or nobody does
    ├── PublishStalledError   (exit 1)  no acknowledgement for longer than the caller would wait
    └── CsvError              (exit 1)  a line of a CSV file cannot be a reading
"""

from __future__ import annotations

from typing import Any

from ingest.errors import IngestError, Terminal, Transient

# nats-server's errors.json: no peers, unavailable, no leader, Raft, offline (two), the same id in
# process, too many requests. A full stream (10077) or server (10023) is none of these.
TRANSIENT_CODES = frozenset({10005, 10008, 10009, 10041, 10118, 10194, 10158, 10167})
NO_RESPONDERS = 503
TOO_MANY_REQUESTS = 10167


class PublishRefusedError(IngestError, Terminal):
    """The server refused a message for good: stream full, no stream, message too large."""


class PublishStalledError(IngestError, Transient):
    """Nothing was acknowledged for too long; what is not acknowledged has an unknown fate."""


class CsvError(IngestError, Terminal):
    """A CSV file, or a line of it, cannot be turned into readings; names file and line."""


def passes(error: dict[str, Any]) -> bool:
    """Whether JetStream's refusal of a message passes, so that it is worth sending again."""
    code = error.get("err_code", 0)
    # 503 without a code: nobody answered, as when JetStream starts later than NATS does.
    return code in TRANSIENT_CODES or (not code and error.get("code") == NO_RESPONDERS)


def stores_nothing(error: dict[str, Any]) -> bool:
    """Whether a refusal is proof that this try was not stored.

    The others are not: the id that is in process is that of the message itself, and a stream that
    loses its leader may still store what it had taken.
    """
    code = error.get("err_code", 0)
    return code == TOO_MANY_REQUESTS or (not code and error.get("code") == NO_RESPONDERS)
