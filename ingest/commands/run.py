"""`ingest run`: the hot path, the lake path, or both under one supervisor."""

from __future__ import annotations

from typing import Literal

import click

from ingest.commands.options import contract_option, lane_option, settings_for
from ingest.logs import configure

Paths = tuple[Literal["hot", "lake"], ...]


@click.group("run")
def command() -> None:
    """Run a path until SIGTERM or Ctrl-C; both drain: what was read is durable, exit 0.

    With several lanes (setting `lanes.count`) each lane has a process of its own; --lane runs one.
    """


accept_loss_option = click.option(
    "--accept-loss",
    is_flag=True,
    help="Go on when retention removed unread messages; the range is put on record",
)


@command.command("hot")
@contract_option
@lane_option
@accept_loss_option
def hot(contract: str | None, lane: int | None, accept_loss: bool) -> int:
    """Stream to ClickHouse, seconds behind."""
    return _run(("hot",), contract, lane, accept_loss=accept_loss)


@command.command("lake")
@contract_option
@lane_option
@accept_loss_option
def lake(contract: str | None, lane: int | None, accept_loss: bool) -> int:
    """Stream to Iceberg, in large sorted commits."""
    return _run(("lake",), contract, lane, accept_loss=accept_loss)


@command.command("all")
@contract_option
@lane_option
@accept_loss_option
def both(contract: str | None, lane: int | None, accept_loss: bool) -> int:
    """Both paths as two processes: one that fails is started again, the other goes on."""
    return _run(("hot", "lake"), contract, lane, accept_loss=accept_loss)


def _run(paths: Paths, contract: str | None, lane: int | None, *, accept_loss: bool) -> int:
    """A single writer in this process, several in one each under a supervisor."""
    from ingest.lanes import each_lane

    settings = settings_for(contract, lane)
    configure(settings.log)
    lanes = each_lane(settings)
    if len(paths) * len(lanes) > 1:
        from ingest.supervisor import supervise

        return supervise(paths, lanes, contract, accept_loss=accept_loss)
    from ingest.service import run_in_process

    return run_in_process(lanes[0], paths[0], accept_loss=accept_loss)
