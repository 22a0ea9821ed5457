"""A run from the command line: progress, Ctrl-C, manifest file, result."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ingest.errors import SettingsError
from simulator.manifest import Manifest, Origin, write_manifest
from simulator.progress import print_line, show_progress
from simulator.publisher import Publisher, PublishOptions
from simulator.readings import Message

EXIT_INTERRUPTED = 130
SHOW_CURSOR = "\x1b[?25h"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run is shown and kept; ``duration_s`` stops the source after so many seconds."""

    manifest_file: Path | None
    expected: int | None = None
    duration_s: float | None = None
    quiet: bool = False


def run(
    messages: Iterable[Message], publish: PublishOptions, origin: Origin, options: RunOptions
) -> Manifest:
    """Publishes every message, writes the manifest file whatever happens, returns the manifest.

    Ctrl-C or SIGTERM stops the source and waits for the acknowledgements; a second Ctrl-C ends the
    process with exit code 130. Raises what ``Publisher.run`` and the iterable raise, and
    SettingsError when the manifest file cannot be written.
    """
    _check_writable(options.manifest_file)
    return _event_loop_runner(_run(messages, publish, origin, options))


def _event_loop_runner(main: Coroutine[Any, Any, Manifest]) -> Manifest:
    """Runs on uvloop where it is installed, a third faster, else on asyncio's own loop."""
    runner: ModuleType = asyncio
    with contextlib.suppress(ImportError):
        import uvloop

        runner = uvloop
    manifest: Manifest = runner.run(main)
    return manifest


async def _run(
    messages: Iterable[Message], publish: PublishOptions, origin: Origin, options: RunOptions
) -> Manifest:
    publisher = Publisher(publish, origin)
    loop = asyncio.get_running_loop()
    _handle_signals(loop, publisher)
    if options.duration_s is not None:
        loop.call_later(options.duration_s, publisher.stop)
    shown = None
    if not options.quiet:
        shown = asyncio.create_task(show_progress(publisher, options.expected))
    try:
        await publisher.run(messages)
    finally:
        if shown:
            shown.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await shown
        manifest = publisher.manifest()
        if options.manifest_file:
            write_manifest(manifest, options.manifest_file)
    return manifest


def _handle_signals(loop: asyncio.AbstractEventLoop, publisher: Publisher) -> None:
    interrupts = 0

    def stop() -> None:
        in_flight = publisher.stats().in_flight
        print_line(sys.stderr, f"stopping: {in_flight} acknowledgements to wait for")
        publisher.stop()

    def interrupt() -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts > 1:
            if sys.stderr.isatty():
                print_line(sys.stderr, SHOW_CURSOR)
            os._exit(EXIT_INTERRUPTED)
        stop()

    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGTERM, stop)


def _check_writable(path: Path | None) -> None:
    """A manifest that cannot be written is said before the run, not after it."""
    if path and not os.access(path.parent, os.W_OK):
        raise SettingsError(f"--manifest {path}: the folder {path.parent} cannot be written")
