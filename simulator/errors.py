"""Every error that the simulator raises on purpose.

::

    IngestError
    ├── PublishRefusedError   (exit 1)  the server will never store this message, or nobody does
    ├── PublishStalledError   (exit 1)  no acknowledgement for longer than the caller would wait
    └── CsvError              (exit 1)  a line of a CSV file cannot be a reading
"""

from __future__ import annotations

from ingest.errors import IngestError, Terminal, Transient


class PublishRefusedError(IngestError, Terminal):
    """The server refused a message for good: stream full, no stream, message too large."""


class PublishStalledError(IngestError, Transient):
    """Nothing was acknowledged for too long; what is not acknowledged has an unknown fate."""


class CsvError(IngestError, Terminal):
    """A CSV file, or a line of it, cannot be turned into readings; names file and line."""
