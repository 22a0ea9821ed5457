"""What every publishing command shares: its options, its target, and the run itself."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from ingest.contract import load_contract
from ingest.errors import SettingsError
from ingest.settings import NatsSettings, load_settings
from simulator.cli_types import echo_result
from simulator.manifest import Origin
from simulator.publisher import PublishOptions, new_run_id
from simulator.readings import Message, Reading
from simulator.runner import RunOptions, run

Command = TypeVar("Command", bound=Callable[..., None])


def publish_options(command: Command) -> Command:
    """Adds the options that every publishing command has."""
    options = [
        click.option("--url", help="NATS URL.  [default: the setting nats.url]"),
        click.option(
            "--contract",
            default="readings",
            help="Contract whose subjects the messages go to: a packaged name or a TOML file.",
        ),
        click.option(
            "--subject-prefix",
            help="First tokens of every subject.  [default: from the contract]",
        ),
        click.option(
            "--max-in-flight",
            type=click.IntRange(1, 100_000),
            default=4_096,
            help="Messages that may wait for their acknowledgement. A stream that has too many of "
            "them queued (10,000) refuses more for the moment, and they are sent again.",
        ),
        click.option(
            "--msg-id/--no-msg-id",
            "message_ids",
            default=True,
            help="Send a Nats-Msg-Id, so that a message sent again is stored once.",
        ),
        click.option(
            "--ack-timeout",
            "ack_timeout_s",
            type=click.FloatRange(0, min_open=True),
            default=5.0,
            help="Seconds after which a message without acknowledgement is sent again.",
        ),
        click.option(
            "--patience",
            "patience_s",
            type=click.FloatRange(0, min_open=True),
            default=60.0,
            help="Seconds without any acknowledgement after which the run fails.",
        ),
        click.option(
            "--manifest",
            "manifest_file",
            type=click.Path(dir_okay=False, path_type=Path),
            help="File for the JSON manifest of what was acknowledged.",
        ),
        click.option("--quiet", is_flag=True, help="Show no progress."),
        click.option(
            "--output",
            type=click.Choice(["text", "json"]),
            default="text",
            help="Form of the result on stdout; json is the manifest.",
        ),
    ]
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a run's messages go: contract name, first subject tokens, rows allowed in a message."""

    contract: str
    subject_prefix: str
    max_rows: int

    @classmethod
    def of(cls, options: dict[str, Any]) -> Target:
        """The target, taken out of the command's options.

        Raises SettingsError for a contract that cannot hold readings.
        """
        contract = load_contract(options.pop("contract"))
        names = {column.name for column in contract.columns}
        sent = {*Reading._fields, "ts", "quality"} - {"ts_us"}
        if missing := sent - names:
            raise SettingsError(
                f"contract {contract.name} has no column {', '.join(sorted(missing))}: "
                "the simulator sends long-form readings"
            )
        prefix = options.pop("subject_prefix") or contract.subjects[0].removesuffix(".>")
        return cls(contract.name, prefix, contract.max_rows_per_message)


def publish_all(
    messages: Iterable[Message],
    target: Target,
    options: dict[str, Any],
    *,
    source: str,
    seed: int | None,
    expected: int | None = None,
    duration_s: float | None = None,
) -> None:
    """Publishes ``messages`` by the command's options and prints the result.

    Raises IngestError for whatever stops the run.
    """
    url = options.pop("url")
    nats: NatsSettings = (load_settings(nats__url=url) if url else load_settings()).nats
    output = options.pop("output")
    manifest = run(
        messages,
        PublishOptions(
            nats=nats,
            max_in_flight=options["max_in_flight"],
            message_ids=options["message_ids"],
            ack_timeout_s=options["ack_timeout_s"],
            patience_s=options["patience_s"],
        ),
        Origin(new_run_id(), target.contract, target.subject_prefix, source, seed),
        RunOptions(
            manifest_file=options["manifest_file"],
            expected=expected,
            duration_s=duration_s,
            quiet=options["quiet"],
        ),
    )
    echo_result(manifest, output)
