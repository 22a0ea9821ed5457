"""The command line of the demonstration, and its end: nothing is left running, however it ends."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType

import click

from demo.screen import Screen

EXIT_INTERRUPTED = 130
ROOT = Path(__file__).parents[1]


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--readings",
    type=click.IntRange(1_000),
    default=500_000,
    help="Readings that the fleet takes; messages sent twice come on top.",
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".demo"),
    help="Folder for data, settings and logs; a run starts with an empty one.",
)
def main(readings: int, folder: Path) -> None:
    """Run the whole pipeline on this machine: sensors, NATS, ClickHouse, Iceberg, and the proof.

    Exit codes: 0 the proof held, 1 it did not or a part failed, 130 interrupted.
    """
    _forget_surroundings()
    _on_signals()
    screen = Screen()
    try:
        # Imported late: from here on Ctrl-C ends in order.
        from demo.story import tell

        proven = tell(screen, folder, readings)
    except KeyboardInterrupt:
        screen.restore()
        screen.note("Interrupted; nothing is left running.")
        sys.stdout.flush()
        sys.stderr.flush()
        # Not sys.exit: where the interrupt fell into an extension module's import, CPython would
        # end with SIGINT's own status instead of ours.
        os._exit(EXIT_INTERRUPTED)
    sys.exit(0 if proven else 1)


def _forget_surroundings() -> None:
    """Settings of the shell must not lead the demonstration to somebody's real servers."""
    for name in list(os.environ):
        if name.startswith(("IOT_", "INGEST_")):
            del os.environ[name]
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPATH"] = str(ROOT)


def _on_signals() -> None:
    """The first signal ends the run; later ones must not disturb the end that it began."""
    interrupted = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handle)
