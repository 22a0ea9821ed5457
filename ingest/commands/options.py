"""Options and output that several commands share."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from ingest.settings import Settings, load_settings

Command = TypeVar("Command", bound=Callable[..., Any])


def contract_option(command: Command) -> Command:
    """``--contract`` replaces the setting."""
    return click.option(
        "--contract",
        default=None,
        help="Packaged contract name or path of a TOML file  [default: setting `contract`]",
    )(command)


def output_option(command: Command) -> Command:
    """``--output text|json``."""
    return click.option(
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="text for people, json for programs",
    )(command)


def settings_for(contract: str | None) -> Settings:
    """The settings in force, with the contract of the command line if one was given."""
    return load_settings(contract=contract) if contract else load_settings()


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, indent=2, default=str))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on stdout, as wide as the terminal."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console(highlight=False).print(table)
