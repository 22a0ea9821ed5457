"""The live view of one lane: what was sent, what each sink holds, how fast and how far behind."""

from __future__ import annotations

import time

from rich.console import RenderableType

from demo.processes import Command
from demo.screen import Phase, plain_table
from demo.watch import Moment, Watch

LOOK_EVERY_S = 0.2
COLUMNS = ("", "messages", "per second", "behind", "freshness")


def follow(phase: Phase, watch: Watch, publisher: Command) -> Moment:
    """Shows the lane until the publisher is done and both sinks hold everything.

    Raises StepFailedError when the publisher fails or a writer ends.
    """
    while True:
        ended = publisher.exit_code is not None
        moment = watch.look()
        phase.show(_table(watch, moment), _line(watch, moment))
        if ended:
            publisher.wait()
            if all(position >= moment.sent for position in moment.stored.values()):
                return moment
        time.sleep(LOOK_EVERY_S)


def _table(watch: Watch, moment: Moment) -> RenderableType:
    rows = [("stream", f"{moment.sent:,}", f"{watch.rate(None):,.0f}", "", "")]
    for title, position in moment.stored.items():
        rows.append(
            (
                title,
                f"{position:,}",
                f"{watch.rate(title):,.0f}",
                f"{moment.sent - position:,}",
                f"{watch.freshness_s(title):.1f} s",
            )
        )
    rows.append(("dead letters", f"{moment.refused:,}", "", "", ""))
    return plain_table(COLUMNS, rows)


def _line(watch: Watch, moment: Moment) -> str:
    sinks = "; ".join(
        f"{title} {position:,} at {watch.rate(title):,.0f}/s, {moment.sent - position:,} behind,"
        f" {watch.freshness_s(title):.1f} s old"
        for title, position in moment.stored.items()
    )
    return f"sent {moment.sent:,} at {watch.rate(None):,.0f}/s; {sinks}; refused {moment.refused:,}"
