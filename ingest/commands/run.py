"""`ingest run`: the hot path, the lake path, or both under one supervisor."""

from __future__ import annotations

from typing import Literal

import click

from ingest.commands.options import contract_option, settings_for
from ingest.logs import configure


@click.group("run")
def command() -> None:
    """Run a path until SIGTERM or Ctrl-C; both drain: what was read is durable, exit 0."""


accept_loss_option = click.option(
    "--accept-loss",
    is_flag=True,
    help="Go on when retention removed unread messages; the range is put on record",
)


@command.command("hot")
@contract_option
@accept_loss_option
def hot(contract: str | None, accept_loss: bool) -> int:
    """Stream to ClickHouse, seconds behind."""
    return _run("hot", contract, accept_loss=accept_loss)


@command.command("lake")
@contract_option
@accept_loss_option
def lake(contract: str | None, accept_loss: bool) -> int:
    """Stream to Iceberg, in large sorted commits."""
    return _run("lake", contract, accept_loss=accept_loss)


@command.command("all")
@contract_option
@accept_loss_option
def both(contract: str | None, accept_loss: bool) -> int:
    """Both paths as two processes: one that fails is started again, the other goes on."""
    from ingest.supervisor import supervise

    settings = settings_for(contract)
    configure(settings.log)
    return supervise(contract, accept_loss=accept_loss)


def _run(path: Literal["hot", "lake"], contract: str | None, *, accept_loss: bool) -> int:
    from ingest.service import run_in_process

    settings = settings_for(contract)
    configure(settings.log)
    return run_in_process(settings, path, accept_loss=accept_loss)
