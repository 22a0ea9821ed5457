"""Logging of the command line: JSON lines, or text on a terminal; one line a batch."""

from __future__ import annotations

import logging
import sys

import structlog

from ingest.settings import LogSettings


def configure(settings: LogSettings) -> None:
    """Sends structured lines to stderr from the settings' level up.

    Libraries' own chatter is cut to warnings; theirs is not our record.
    """
    level = getattr(logging, settings.level.upper())
    as_text = settings.format == "text" or (settings.format == "auto" and sys.stderr.isatty())
    renderer = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if as_text
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
