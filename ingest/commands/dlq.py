"""`ingest dlq`: refused messages, listed, shown, replayed and purged."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import click

from ingest.commands.dlq_selection import Selection, selection_options
from ingest.commands.dlq_text import entry_json, entry_lines, entry_row, outcome_lines
from ingest.commands.options import (
    contract_option,
    lane_option,
    output_option,
    print_json,
    settings_for,
)
from ingest.commands.plain import print_columns
from ingest.errors import EXIT_FAILED
from ingest.logs import configure
from ingest.settings import Settings

LIST_HEADER = ("seq", "stored at (UTC)", "state", "bytes", "reason", "subject", "detail")


@click.group("dlq")
def command() -> None:
    """List, show, replay and purge messages that could not be stored.

    A message is named by its sequence in the lane (--contract and --lane choose it). Replayed and
    purged ones stay listed with --state all: their count is part of the proof.
    """


@command.command("list")
@contract_option
@lane_option
@click.option("--reason", default=None, help="Only this reason, such as invalid_json")
@click.option(
    "--since",
    default=None,
    metavar="WHEN",
    help="Only messages stored in the stream since then: 30m, 2h, 7d or RFC 3339",
)
@click.option(
    "--state",
    type=click.Choice(["open", "refused", "replaying", "replayed", "purged", "all"]),
    default="open",
    show_default=True,
    help="open: the payload is still kept",
)
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many newest"
)
@output_option
def list_command(
    *,
    contract: str | None,
    lane: int | None,
    reason: str | None,
    since: str | None,
    state: str,
    limit: int,
    output: str,
) -> int:
    """List refused messages, the newest last."""
    from ingest.dlq_work import list_entries

    selection = Selection(reason=reason, since=since, state=state)
    entries = _with_settings(
        settings_for(contract, lane), lambda s: list_entries(s, selection.wanted(), limit)
    )
    if output == "json":
        print_json([entry_json(entry) for entry in entries])
    else:
        print_columns(LIST_HEADER, [entry_row(entry) for entry in entries])
    return 0


@command.command("show")
@click.argument("sequence", type=click.IntRange(1))
@contract_option
@lane_option
@click.option("--hex", "as_hex", is_flag=True, help="Payload as hexadecimal even if it is text")
@output_option
def show(
    sequence: int, *, contract: str | None, lane: int | None, as_hex: bool, output: str
) -> int:
    """Show the message refused under SEQUENCE: headers, payload, and whether it would go now."""
    from ingest.dlq_work import show_entries

    shown = _with_settings(settings_for(contract, lane), lambda s: show_entries(s, sequence))
    if output == "json":
        print_json([entry_json(entry, problem, as_hex=as_hex) for entry, problem in shown])
        return 0
    for entry, problem in shown:
        for line in entry_lines(entry, problem, as_hex=as_hex):
            click.echo(line)
    return 0


@command.command("replay")
@selection_options
@contract_option
@lane_option
@click.option(
    "--even-if-refused", is_flag=True, help="Also messages that would be refused again as they are"
)
@click.option("--dry-run", is_flag=True, help="Only tell what would happen")
@output_option
def replay(
    selection: Selection,
    *,
    contract: str | None,
    lane: int | None,
    even_if_refused: bool,
    dry_run: bool,
    output: str,
) -> int:
    """Publish refused messages again to their subject, after the contract was mended.

    Each at most once, however often this runs. Name sequences, --reason or --all. A message that
    would be refused again is skipped.
    """
    from ingest.dlq_work import replay_entries

    outcomes = _with_settings(
        settings_for(contract, lane),
        lambda s: replay_entries(s, selection, even_if_refused=even_if_refused, dry_run=dry_run),
    )
    return _told(outcomes, output)


@command.command("purge")
@selection_options
@contract_option
@lane_option
@click.option(
    "--unproven",
    is_flag=True,
    help="Also entries whose replay was begun and whose outcome cannot be told",
)
@click.option("--dry-run", is_flag=True, help="Only tell what would happen")
@click.option("--yes", is_flag=True, help="Do not ask on a terminal")
@output_option
def purge(
    selection: Selection,
    *,
    contract: str | None,
    lane: int | None,
    unproven: bool,
    dry_run: bool,
    yes: bool,
    output: str,
) -> int:
    """Drop the payloads of refused messages for good; what is left says that they were there.

    Name sequences, --reason or --all.
    """
    from ingest.dlq_work import purge_entries

    if not (yes or dry_run) and sys.stdin.isatty():
        click.confirm("The payloads cannot be brought back. Purge?", abort=True, err=True)
    outcomes = _with_settings(
        settings_for(contract, lane),
        lambda s: purge_entries(s, selection, unproven=unproven, dry_run=dry_run),
    )
    return _told(outcomes, output)


def _with_settings(
    settings: Settings, work: Callable[[Settings], Coroutine[Any, Any, list[Any]]]
) -> list[Any]:
    configure(settings.log)
    return asyncio.run(work(settings))


def _told(outcomes: list[Any], output: str) -> int:
    if output == "json":
        print_json([outcome.as_dict() for outcome in outcomes])
    else:
        for line in outcome_lines(outcomes):
            click.echo(line)
    return EXIT_FAILED if any(outcome.failed for outcome in outcomes) else 0
