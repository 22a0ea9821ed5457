"""`ingest init`: make what is missing, tell what was there."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import click

from ingest.commands.options import contract_option, output_option, print_json, settings_for
from ingest.logs import configure


@click.command("init")
@contract_option
@click.option(
    "--update",
    is_flag=True,
    help="Let existing streams grow to the sizes (bytes, hours) in the settings",
)
@click.option(
    "--lanes",
    type=click.IntRange(1, 256),
    default=None,
    help="Make so many lanes and check the server's mapping  [default: setting `lanes.count`]",
)
@output_option
def command(contract: str | None, *, update: bool, lanes: int | None, output: str) -> int:
    """Make streams, key-value stores, bucket, tables and registry of a contract.

    Safe to repeat: what is there is compared and left as it is. Run it once for each contract
    that is to be served; they share dead-letter queue, ledger and key-value stores. Lanes need a
    subject mapping that only the server's configuration can have: what is missing is printed.
    """
    from ingest.lanes import mappings, mappings_block
    from ingest.provision import provision

    settings = settings_for(contract, lanes=lanes)
    configure(settings.log)
    steps = asyncio.run(provision(settings, update=update))
    if output == "json":
        print_json([asdict(step) for step in steps])
        return 0
    for step in steps:
        click.echo(str(step))
    if any(step.outcome == "missing" for step in steps):
        click.echo(
            "\nput this into the server's configuration, or the account's, and reload it; until"
            " then all\nmessages go to the first lane:\n"
        )
        click.echo(mappings_block(mappings(settings)))
    return 0
