"""Every error that the maintenance side raises on purpose.

::

    PipelineError
    ├── BudgetNotMet       (transient)  the hot path left no room for the work in time
    ├── BudgetBroken       (transient)  the work was stopped because the hot path suffered
    ├── WorkCancelled      (transient)  a unit of work saw that it was asked to end
    ├── DayStillWritten    (transient)  the hot path may still store rows of that day
    ├── RowsDiffer         (terminal)   two places hold different rows where they must be equal
    ├── ChannelUnavailable (transient)  an alert could not be delivered now; it waits
    ├── AlertRefused       (terminal)   a channel refuses this one alert; it is dropped
    ├── UnknownPartition   (terminal)   a partition was asked for that the table does not have
    ├── TrinoUnavailable   (transient)  Trino does not answer or has no resources for now
    │   ├── TrinoConflict                   somebody else committed meanwhile
    │   └── TrinoWriteFailed                a file could not be written
    └── TrinoRefused       (terminal)   Trino refuses the statement; repeating it changes nothing
        └── TrinoLimitReached           the statement needs more memory or time than Trino allows

Transient and terminal mean what they mean in ``ingest.errors``: a run is repeated by class, never
by text. Work that was stopped leaves the tables as they were and is safe to repeat.
"""

from __future__ import annotations

from ingest.errors import Terminal, Transient

Numbers = dict[str, float]
"""Figures by name, with their units in it (``hot_p99_s``)."""


class PipelineError(Exception):
    """Root of the tree; the message says what was found, what was expected and what to do."""


class BudgetNotMet(PipelineError, Transient):  # noqa: N818 - the name says the state
    """The budget did not allow the work to start within the time given.

    ``reason`` is the guard's last one; ``waited_s`` is how long the guard waited; ``numbers`` are
    those of the newest look at the hot path.
    """

    def __init__(
        self, work: str, reason: str, waited_s: float, numbers: Numbers | None = None
    ) -> None:
        super().__init__(f"{work} was not started: {reason} (waited {waited_s:.0f} s)")
        self.work = work
        self.reason = reason
        self.waited_s = waited_s
        self.numbers = numbers or {}

    def __reduce__(self) -> tuple[type[BudgetNotMet], tuple[str, str, float, Numbers]]:
        return type(self), (self.work, self.reason, self.waited_s, self.numbers)


class BudgetBroken(PipelineError, Transient):  # noqa: N818 - the name says the state
    """The work was stopped because the hot path suffered; it resumes when the budget allows it.

    ``reason`` names the measure, its value and its limit; ``after_s`` is how long the work ran;
    ``numbers`` are those of the newest look at the hot path.
    """

    def __init__(
        self, work: str, reason: str, after_s: float, numbers: Numbers | None = None
    ) -> None:
        super().__init__(f"{work} was stopped after {after_s:.1f} s: {reason}")
        self.work = work
        self.reason = reason
        self.after_s = after_s
        self.numbers = numbers or {}

    def __reduce__(self) -> tuple[type[BudgetBroken], tuple[str, str, float, Numbers]]:
        return type(self), (self.work, self.reason, self.after_s, self.numbers)


class WorkCancelled(PipelineError, Transient):  # noqa: N818 - the name says the state
    """A unit of work ended early because it was asked to."""


class DayStillWritten(PipelineError, Transient):  # noqa: N818 - the name says the state
    """The hot path may still store rows of the day, so it cannot be dropped or brought back."""


class RowsDiffer(PipelineError, Terminal):  # noqa: N818 - the name says the state
    """Two places hold different rows where they must be equal; nothing was changed there."""


class ChannelUnavailable(PipelineError, Transient):  # noqa: N818 - the name says the state
    """A webhook or NATS does not take alerts now; they wait and are delivered later."""


class AlertRefused(PipelineError, Terminal):  # noqa: N818 - the name says the state
    """A channel works and refuses this one alert; repeating it changes nothing."""


class UnknownPartition(PipelineError, Terminal):  # noqa: N818 - the name says the state
    """A partition was asked for that the table does not have."""


class TrinoUnavailable(PipelineError, Transient):  # noqa: N818 - the name says the state
    """Trino does not answer, or has no resources for the statement now."""


class TrinoConflict(TrinoUnavailable):
    """A commit lost against another client's; the statement changed nothing."""


class TrinoWriteFailed(TrinoUnavailable):
    """A file, of the table or a temporary one beside it, could not be written."""


class TrinoRefused(PipelineError, Terminal):  # noqa: N818 - the name says the state
    """Trino refuses the statement or the credentials; repeating it changes nothing."""


class TrinoLimitReached(TrinoRefused):
    """The statement needs more memory, time or scanning than Trino allows; a smaller one may do."""
