"""The `ingest` command: reads settings, runs one command, turns errors into one sentence."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import click

from ingest.errors import EXIT_OK, EXIT_USAGE, IngestError, SettingsError

COMMANDS = {
    "init": "Make streams, buckets, tables and key-value stores; change nothing that is there.",
    "run": "Run the hot path, the lake path, or both.",
    "status": "Show watermarks, lag, and the time until unread data would be dropped.",
    "verify": "Prove that stream, ClickHouse, Iceberg and DLQ hold the same readings.",
    "explain": "Tell the whole story of one sequence.",
    "dlq": "List, show, replay and purge refused messages.",
    "schema": "Show a contract's tables, what would change, and apply it.",
    "repair": "Compare a restored sink with the stream and insert exactly what is missing.",
    "doctor": "Check every connection, version, permission and setting.",
    "lanes": "Print the subject mapping that several lanes need in the NATS server.",
    "settings": "Show the settings in force and where each came from.",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, so that --help is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names in the order of a first day with the product."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"ingest.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Lists the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="iot-lakehouse", prog_name="ingest")
def cli() -> None:
    """Store the readings of a JetStream stream in ClickHouse and Iceberg, exactly once.

    Settings come from IOT_* variables, .env, .devstack/env and iot.toml; see `ingest settings`.
    Exit codes: 0 ok, 1 failed, 2 usage or settings, 3 stopped for good (the message says what to
    do), 4 fenced by another writer.
    """


def main() -> None:
    """Entry point: errors go to stderr in one sentence."""
    _end_on_sigterm()
    exit_with(lambda: cli.main(standalone_mode=False))


def _end_on_sigterm() -> None:
    """The first process of a container never gets a signal that it does not handle.

    Until a writer drains on it, and in all other commands, it then ends as it does elsewhere.
    """
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def exit_with(command: Callable[[], Any]) -> None:
    """Ends the process with the exit code that the command's outcome asks for."""
    try:
        outcome = command()
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except IngestError as error:
        what = "settings" if isinstance(error, SettingsError) else "error"
        click.echo(f"{what}: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(EXIT_OK)
    sys.exit(outcome if isinstance(outcome, int) else EXIT_OK)


if __name__ == "__main__":
    main()
