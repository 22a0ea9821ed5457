"""`ingest settings`: the values in force and where each came from."""

from __future__ import annotations

from dataclasses import asdict

import click

from ingest.commands.options import output_option, print_json
from ingest.commands.plain import print_columns
from ingest.settings import load_with_origins
from ingest.settings_table import setting_rows, settings_markdown


@click.command("settings")
@click.option("--markdown", is_flag=True, help="Print the reference page of all settings instead")
@output_option
def command(*, markdown: bool, output: str) -> None:
    """Show every setting, its value without secrets, its unit, and where it came from.

    Sources, the earlier wins: environment, .env, .devstack/env, iot.toml, default.
    """
    if markdown:
        click.echo(settings_markdown(), nl=False)
        return
    rows = setting_rows(*load_with_origins())
    if output == "json":
        print_json([asdict(row) for row in rows])
        return
    print_columns(
        ["setting", "value", "unit", "from"],
        [(row.name, row.value, row.unit, row.origin) for row in rows],
    )
