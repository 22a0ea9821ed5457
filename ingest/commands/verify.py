"""`ingest verify`: the comparison of all sides, as a table or JSON."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from ingest.commands.options import (
    contract_option,
    lane_option,
    output_option,
    print_json,
    settings_for,
)
from ingest.errors import EXIT_FAILED, EXIT_OK
from ingest.logs import configure

if TYPE_CHECKING:
    from ingest.proof.findings import Finding
    from ingest.proof.manifest import ManifestResult
    from ingest.verify import Report
    from ingest.verify_lanes import Proof

MOST_FINDINGS = 50


@click.command("verify")
@click.option("--full", is_flag=True, help="Compare everything again, not only what is new")
@click.option(
    "--manifest",
    "manifests",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="Hold sensor-sim's manifest against both sinks; several are added up",
)
@click.option(
    "--upto",
    type=click.IntRange(min=1),
    default=None,
    help="End at this stream sequence  [default: what both sinks have reached]",
)
@click.option("--no-ledger", is_flag=True, help="Do not put proven ranges on record")
@click.option(
    "--accept",
    is_flag=True,
    help="Put what does not hold on record as unproven, so that later runs go on after it",
)
@contract_option
@lane_option
@output_option
def command(
    *,
    full: bool,
    manifests: tuple[Path, ...],
    upto: int | None,
    no_ledger: bool,
    accept: bool,
    contract: str | None,
    lane: int | None,
    output: str,
) -> int:
    """Prove that stream, ClickHouse, rollup, Iceberg and DLQ hold the same readings.

    Compares the range since the last proven one up to what both sinks have reached, by contents:
    each side computes fingerprints from its own rows. Exit code 0 only if all sides are equal, 1
    if not; differing sequences are named.
    """
    from ingest.lanes import each_lane
    from ingest.verify import VerifyOptions
    from ingest.verify_lanes import verify_lanes

    settings = settings_for(contract, lane)
    configure(settings.log)
    lanes = each_lane(settings)
    if upto is not None and len(lanes) > 1:
        raise click.UsageError("--upto is a sequence of one lane: name it with --lane")
    options = VerifyOptions(
        full=full, upto=upto, ledger=not no_ledger, accept=accept, manifests=manifests
    )
    with Bar(shown=output == "text" and sys.stderr.isatty()) as progress:
        found = asyncio.run(verify_lanes(lanes, options, progress))
    if output == "json":
        print_json(found.as_dict())
    else:
        for report in found.reports:
            _print(report)
        _print_together(found)
    return EXIT_OK if found.proven else EXIT_FAILED


class Bar:
    """A progress bar on the terminal, or nothing."""

    def __init__(self, *, shown: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

        columns = (BarColumn(), MofNCompleteColumn(), "sequences", TimeElapsedColumn())
        console = Console(stderr=True)
        self._bar = Progress(*columns, console=console, disable=not shown, transient=True)
        self._task = self._bar.add_task("verify", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def start(self, sequences: int) -> None:
        """Sets the number of sequences to compare."""
        self._bar.update(self._task, total=sequences)

    def advance(self, sequences: int) -> None:
        """Moves the bar on."""
        self._bar.advance(self._task, sequences)


def _print(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table

    from ingest.proof.report import COLUMNS

    table = Table(
        title=f"Proof of {report.lane}", title_justify="left", box=None, padding=(0, 2, 0, 0)
    )
    for column in ("claim", *COLUMNS, "verdict"):
        table.add_column(column, no_wrap=True)
    for claim in report.claims():
        cells = [_short(claim.name, claim.values.get(side, "")) for side in COLUMNS]
        table.add_row(claim.name, *cells, "equal" if claim.holds else "DIFFERS")
    Console(highlight=False).print(table)
    if report.manifest is not None:
        _print_manifest(report.manifest)
    _print_findings(report.findings)
    for note in report.notes:
        click.echo(f"note: {note}")
    click.echo(report.verdict())


def _print_together(found: Proof) -> None:
    """What is said of several lanes together."""
    if len(found.reports) + len(found.empty) == 1:
        return
    for name in found.empty:
        click.echo(f"{name} has never had a message")
    if found.manifest is not None:
        _print_manifest(found.manifest)
    _print_findings(found.manifest_findings)
    click.echo(found.verdict())


def _print_manifest(found: ManifestResult) -> None:
    stored = ", ".join(f"{side} {rows:,}" for side, rows in found.stored.items())
    click.echo(
        f"manifest: {found.devices:,} devices sent {found.sent:,} readings, stored: {stored};"
        f" {found.malformed:,} malformed messages, {found.refused:,} in the DLQ"
    )


def _print_findings(findings: list[Finding]) -> None:
    for finding in findings[:MOST_FINDINGS]:
        click.echo(f"- {finding}")
    if len(findings) > MOST_FINDINGS:
        click.echo(f"- {len(findings) - MOST_FINDINGS} more, see --output json")


def _short(claim: str, value: str) -> str:
    """A fingerprint by its first digits: the verdict and the JSON have all of them."""
    return f"{value[:8]}…" if claim == "fingerprint" and value else value
