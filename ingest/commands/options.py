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


def lane_option(command: Command) -> Command:
    """``--lane`` replaces the setting."""
    return click.option(
        "--lane",
        type=click.IntRange(min=0),
        default=None,
        help="One of several lanes, from 0  [default: setting `lanes.only`]",
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


def settings_for(
    contract: str | None, lane: int | None = None, *, lanes: int | None = None
) -> Settings:
    """The settings in force, but for what was given on the command line."""
    told = {"contract": contract, "lanes__only": lane, "lanes__count": lanes}
    given = {name: str(value) for name, value in told.items() if value is not None}
    return load_settings(None, **given)


def of_lanes(documents: Sequence[object]) -> object:
    """The document of a single lane as it is, those of several under ``lanes``."""
    return documents[0] if len(documents) == 1 else {"lanes": documents}


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
