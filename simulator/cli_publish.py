"""What every publishing command shares: its options, its target, and the run itself."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from ingest.contract import load_contract
from ingest.errors import SettingsError
from ingest.settings import NatsSettings, load_settings
from simulator.cli_types import echo_result
from simulator.fleet import FleetOptions
from simulator.manifest import Origin
from simulator.publisher import PublishOptions, new_run_id
from simulator.readings import Message, Reading
from simulator.runner import RunOptions, run

DAY_US = 86_400e6

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
    """Where a run's messages go, and what the contract there allows.

    ``max_rows`` of one message; event times from ``oldest_us`` to ``newest_us``, microseconds since
    the Unix epoch, when a message is stored at ``now_us``.
    """

    contract: str
    subject_prefix: str
    max_rows: int
    now_us: int
    oldest_us: int
    newest_us: int

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
        now_us = time.time_ns() // 1_000
        return cls(
            contract=contract.name,
            subject_prefix=prefix,
            max_rows=contract.max_rows_per_message,
            now_us=now_us,
            oldest_us=now_us - int(contract.max_age_s * 1e6),
            newest_us=now_us + int(contract.max_ahead_s * 1e6),
        )

    def check(self, fleet: FleetOptions) -> None:
        """Raises SettingsError when readings meant to be good would be refused for their time."""
        if fleet.earliest_us < self.oldest_us:
            days = (self.now_us - fleet.earliest_us) / DAY_US
            raise SettingsError(
                f"the series would begin {days:.1f} days ago, contract {self.contract} takes "
                f"{(self.now_us - self.oldest_us) / DAY_US:g} days: fewer readings, a shorter "
                "--interval or --late-max, or a later --start"
            )
        if fleet.start_us > self.newest_us:
            raise SettingsError(
                f"--start is further ahead than contract {self.contract} takes "
                f"({(self.newest_us - self.now_us) / 1e6:g} s)"
            )


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
