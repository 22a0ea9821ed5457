"""`ingest explain SEQ`: one message's whole story."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from ingest.commands.options import (
    contract_option,
    lane_option,
    output_option,
    print_json,
    settings_for,
)
from ingest.logs import configure

if TYPE_CHECKING:
    from ingest.explain import Path, Story


@click.command("explain")
@click.argument("sequence", type=click.IntRange(min=1))
@contract_option
@lane_option
@output_option
def command(sequence: int, *, contract: str | None, lane: int | None, output: str) -> None:
    """Tell what became of one message, by its stream SEQUENCE (in its lane).

    Stream time and subject, epoch and contract version, its rows or why it was refused, the
    ClickHouse part, the Iceberg snapshot and data file, its dead letter, and when it was proven.
    """
    from ingest.explain import explain

    settings = settings_for(contract, lane)
    configure(settings.log)
    story = asyncio.run(explain(settings, sequence))
    if output == "json":
        print_json(story.as_dict())
        return
    click.echo(f"{story.summary}.")
    for name, value in _lines(story):
        click.echo(f"  {name:<14} {value}")


def _lines(story: Story) -> list[tuple[str, Any]]:
    lines: list[tuple[str, Any]] = []
    if story.stored_at is not None:
        lines.append(("stored at", story.stored_at))
        lines.append(("subject", f"{story.subject} ({story.payload_bytes:,} bytes)"))
    lines.append(("epoch", f"{story.epoch}, contract version {story.contract_version}"))
    for row in story.rows:
        values = {k: v for k, v in row.items() if not k.startswith("_")}
        lines.append((f"row {row['_idx']}", ", ".join(f"{k}={v}" for k, v in values.items())))
    if story.refusal:
        lines.append(("refused", f"{story.refusal['reason']}: {story.refusal['detail']}"))
    lines += [("hot", one) for one in _path(story.hot, "part")]
    lines += [("lake", one) for one in _path(story.lake, "file")]
    for letter in story.dead_letters:
        lines.append(("dead letter", f"{letter['state']} ({letter['reason']}) {letter['subject']}"))
    if story.ledger:
        first, last = story.ledger["first"], story.ledger["last"]
        told = "; ".join((*story.ledger["unproven"], *story.ledger["losses"]))
        when = f"with {first}-{last} at {story.ledger['proven_at']}"
        lines.append(("on record", f"{when}, but: {told}" if told else f"proven {when}"))
    return lines


def _path(path: Path, noun: str) -> list[str]:
    if path.problem:
        return [f"{path.state}; {path.problem}"]
    if not path.rows:
        return [f"{path.state}, no row"]
    return [
        f"{path.state}, row {row.index} of epoch {row.epoch} in {noun} {row.place}"
        + (f", snapshot {row.snapshot}" if row.snapshot is not None else "")
        for row in path.rows
    ]
