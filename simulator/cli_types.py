"""Forms of options and results on the command line."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import click

from ingest.errors import IngestError
from simulator.manifest import Manifest
from simulator.readings import EPOCH


class ShareType(click.ParamType[float]):
    """A share as ``1%`` or ``0.01``."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Fraction from 0 to 1."""
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
        except ValueError:
            share = -1.0
        if not 0.0 <= share <= 1.0:
            self.fail(f"{text!r} is not a share, expected 0% to 100% or 0 to 1", param, ctx)
        return share


class TimeType(click.ParamType[int]):
    """A moment in RFC 3339, with its zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Microseconds since the Unix epoch."""
        if isinstance(value, int):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self.fail(f"{value!r} is not a time like 2026-01-31T12:00:00Z", param, ctx)
        return (moment - EPOCH) // timedelta(microseconds=1)


class PairType(click.ParamType[tuple[str, str]]):
    """Two texts as ``left=right``."""

    name = "name=text"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Both sides of the first equals sign."""
        if isinstance(value, tuple):
            return value
        left, equals, right = str(value).partition("=")
        if not left or not equals:
            self.fail(f"{value!r}: expected NAME=TEXT", param, ctx)
        return left, right


SHARE = ShareType()
TIME_US = TimeType()
PAIR = PairType()


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Ends the process with one sentence on stderr and the error's exit code."""
    try:
        yield
    except IngestError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(error.exit_code) from error


def echo_result(manifest: Manifest, output: str) -> None:
    """Prints the result of a run on stdout."""
    if output == "json":
        sys.stdout.write(manifest.to_json())
        return
    click.echo(
        f"{manifest.messages} messages acknowledged by {_where(manifest)}: "
        f"{manifest.readings} readings of {len(manifest.devices)} devices, "
        f"{manifest.malformed_messages} malformed messages, {manifest.resent} sent again"
    )


def _where(manifest: Manifest) -> str:
    """The stream with its sequences, or each lane with its messages."""
    if not manifest.lanes:
        return f"stream {manifest.stream} (nothing)"
    if len(manifest.lanes) == 1:
        ((stream, lane),) = manifest.lanes.items()
        return f"stream {stream} (sequences {lane.first_sequence} to {lane.last_sequence})"
    counts = ", ".join(f"{stream} {lane.messages}" for stream, lane in manifest.lanes.items())
    return f"{len(manifest.lanes)} lanes ({counts})"
