"""`ingest lanes`: the subject mapping that spreads a contract's messages over its lanes."""

from __future__ import annotations

import click

from ingest.commands.options import contract_option, output_option, print_json, settings_for


@click.command("lanes")
@contract_option
@output_option
def command(contract: str | None, output: str) -> int:
    """Print the block that a NATS server's configuration, or an account in it, needs for the lanes.

    Asks no server: `ingest init` and `ingest doctor` tell whether it is in force. With a single
    lane (setting `lanes.count`) it is empty, which takes the mappings away.
    """
    from ingest.lanes import mappings, mappings_block

    settings = settings_for(contract)
    needed = mappings(settings)
    if output == "json":
        print_json({one.source: one.destination for one in needed})
    else:
        click.echo(mappings_block(needed))
    return 0
