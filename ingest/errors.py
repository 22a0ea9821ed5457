"""Every error that ingest raises on purpose, and what a writer does about it.

::

    IngestError
    ├── SettingsError            (terminal, exit 2)  a setting is missing or wrong
    ├── ContractError            (terminal, exit 2)  a contract file or its evolution is wrong
    ├── ConnectionEndedError     (terminal, exit 1)  NATS ended the connection; start again
    ├── SinkUnavailableError     (transient)         a sink does not answer or is overloaded
    ├── StreamUnavailableError   (transient)         NATS or JetStream does not answer
    ├── OutcomeUnknownError      (transient)         a write was sent, its fate must be looked up
    ├── DeadLetterFullError      (terminal, exit 3)  the DLQ stream takes no more
    ├── SchemaMismatchError      (terminal, exit 3)  a sink's table differs from the contract
    ├── StreamConfigError        (terminal, exit 3)  a stream's configuration breaks a promise
    ├── DataLostError            (terminal, exit 3)  retention removed unread messages
    ├── SinkBehindRecordError    (terminal, exit 3)  a sink was restored or rolled back
    ├── RecordInvalidError       (terminal, exit 3)  a kept record cannot be read by this version
    └── FencedError              (terminal, exit 4)  another writer owns the lane

A writer decides by class and never by text: transient means wait and keep the range, terminal
means stop the process with the exit code and the advice in the message. A message that can never
be stored is neither; it is data and goes to the dead-letter queue.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_TERMINAL = 3
EXIT_FENCED = 4


class Transient:
    """Marks an error that passes: wait, keep the range, try again without counting."""


class Terminal:
    """Marks an error that stays until a person acts: stop with the exit code and the advice."""


class IngestError(Exception):
    """Root of the tree; the message says what was found, what was expected and what to do."""

    exit_code = EXIT_FAILED


class SettingsError(IngestError, Terminal):
    """A setting is missing, unknown or has a value that cannot work."""

    exit_code = EXIT_USAGE


class ContractError(IngestError, Terminal):
    """A contract file is wrong, or a change of it cannot be applied."""

    exit_code = EXIT_USAGE


class ConnectionEndedError(IngestError, Terminal):
    """The client has given its connection to NATS up; the next start says whether that is right."""


class SinkUnavailableError(IngestError, Transient):
    """A sink does not answer, refuses for now, or asks for back-off."""


class StreamUnavailableError(IngestError, Transient):
    """NATS or JetStream does not answer or refuses for now."""


class OutcomeUnknownError(IngestError, Transient):
    """A write was sent and its answer is missing: look in the sink before writing again."""


class DeadLetterFullError(IngestError, Terminal):
    """The dead-letter stream refuses messages; going on would lose the refused ones."""

    exit_code = EXIT_TERMINAL


class SchemaMismatchError(IngestError, Terminal):
    """A sink's table does not have the columns that the contract declares."""

    exit_code = EXIT_TERMINAL


class StreamConfigError(IngestError, Terminal):
    """A stream's configuration cannot carry the promise (TTLs, per-subject limits, ...)."""

    exit_code = EXIT_TERMINAL


class DataLostError(IngestError, Terminal):
    """Retention removed messages that were never read."""

    exit_code = EXIT_TERMINAL


class SinkBehindRecordError(IngestError, Terminal):
    """A sink holds less or more than its record says: it was restored, rolled back or dropped."""

    exit_code = EXIT_TERMINAL


class RecordInvalidError(IngestError, Terminal):
    """A kept record (registry, entry, ledger) is not readable by this version."""

    exit_code = EXIT_TERMINAL


class FencedError(IngestError, Terminal):
    """Another writer has taken over the lane; this one must write nothing more."""

    exit_code = EXIT_FENCED
