"""`ingest repair hot|lake`: make a restored sink whole again from the stream."""

from __future__ import annotations

import asyncio
from typing import Literal

import click

from ingest.commands.options import (
    contract_option,
    lane_option,
    output_option,
    print_json,
    settings_for,
)
from ingest.logs import configure
from ingest.settings import Settings


@click.group("repair")
def command() -> None:
    """Compare a sink with the stream and store exactly what is missing.

    For a sink that was restored, emptied or rolled back. Stop all writers of the path first; the
    repair holds their lease and fence. Doubled and changed rows are reported, not removed.
    """


dry_run_option = click.option("--dry-run", is_flag=True, help="Compare and tell, change nothing")


@command.command("hot")
@dry_run_option
@contract_option
@lane_option
@output_option
def hot(*, dry_run: bool, contract: str | None, lane: int | None, output: str) -> None:
    """Repair the ClickHouse table and the hot path's entry."""
    _run("hot", settings_for(contract, lane), output, dry_run=dry_run)


@command.command("lake")
@dry_run_option
@contract_option
@lane_option
@output_option
def lake(*, dry_run: bool, contract: str | None, lane: int | None, output: str) -> None:
    """Repair the Iceberg table and its watermark."""
    _run("lake", settings_for(contract, lane), output, dry_run=dry_run)


def _run(path: Literal["hot", "lake"], settings: Settings, output: str, *, dry_run: bool) -> None:
    from ingest.repair import repair

    configure(settings.log)
    report = asyncio.run(repair(settings, path, dry_run=dry_run))
    if output == "json":
        print_json(report.as_dict())
        return
    for line in report.lines():
        click.echo(line)
