"""`ingest doctor`: is everything there and set as it must be, and how to mend what is not."""

from __future__ import annotations

import asyncio

import click

from ingest.commands.options import (
    contract_option,
    lane_option,
    output_option,
    print_json,
    settings_for,
)
from ingest.errors import EXIT_FAILED
from ingest.logs import configure


@click.command("doctor")
@contract_option
@lane_option
@output_option
def command(*, contract: str | None, lane: int | None, output: str) -> int:
    """Check every connection, version, permission and setting, and tell how to mend each.

    Writes probes (a record, a consumer, an object, an insert of no row, a commit that must be
    refused) and takes them back. Exit code 1 when there is a problem; a note is none.
    """
    from ingest.doctor import examine_lanes
    from ingest.lanes import each_lane

    settings = settings_for(contract, lane)
    configure(settings.log)
    findings = asyncio.run(examine_lanes(each_lane(settings)))
    problems = sum(finding.verdict == "problem" for finding in findings)
    if output == "json":
        print_json([finding.as_dict() for finding in findings])
    else:
        for finding in findings:
            click.echo(str(finding))
        click.echo(f"{problems} problems in {len(findings)} checks" if problems else "all is well")
    return EXIT_FAILED if problems else 0
