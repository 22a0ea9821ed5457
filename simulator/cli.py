"""The command line ``sensor-sim``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from simulator.cli_publish import Target, publish_all, publish_options
from simulator.cli_types import PAIR, SHARE, TIME_US, reported
from simulator.faults import MALFORMED
from simulator.fleet import Fleet, FleetOptions
from simulator.payloads import PAYLOAD_KINDS
from simulator.replay import COLUMNS, Replay, ReplayOptions


@click.group(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
def main() -> None:
    """Publish sensor readings to NATS JetStream, each one acknowledged.

    Exit codes: 0 all that was sent is acknowledged (also after one Ctrl-C), 1 failed or refused,
    2 wrong usage or settings, 130 ended by a second Ctrl-C.
    """


@main.command("run")
@click.option(
    "--count",
    type=click.IntRange(0),
    help="Readings to take; duplicates come on top.  [default: until --duration or Ctrl-C]",
)
@click.option(
    "--duration",
    "duration_s",
    type=click.FloatRange(0, min_open=True),
    help="Seconds to run.  [default: until --count or Ctrl-C]",
)
@click.option(
    "--rate", type=click.FloatRange(0), default=0.0, help="Messages/s; 0 = as fast as it goes."
)
@click.option("--devices", type=click.IntRange(1, 1_000_000), default=1_000, help="Devices.")
@click.option("--sites", type=click.IntRange(1), default=4, help="Sites the devices stand at.")
@click.option("--seed", type=click.IntRange(0), default=1, help="Same seed and start, same bytes.")
@click.option(
    "--start",
    "start_us",
    type=TIME_US,
    help="Time of the first measurement, RFC 3339.  [default: so that the last one is now]",
)
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(0, min_open=True),
    help="Seconds between two readings of one device and metric.  [default: real time at --rate]",
)
@click.option(
    "--payload", type=click.Choice(PAYLOAD_KINDS), default="json", help="Form of a message."
)
@click.option(
    "--rows-per-message",
    type=click.IntRange(1),
    help="Readings of one message.  [default: 1 for json, 100 for array and arrow]",
)
@click.option("--malformed", type=SHARE, default="0%", help="Share of messages to be refused.")
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(sorted(MALFORMED)),
    multiple=True,
    help="Malformed kind to use; may be given again.  [default: all but oversized]",
)
@click.option(
    "--oversized-bytes",
    type=click.IntRange(0),
    default=0,
    help="Bytes of the malformed kind oversized; the server's max_payload must allow it.",
)
@click.option("--late", type=SHARE, default="0%", help="Share of messages that come late.")
@click.option(
    "--late-max",
    "late_max_s",
    type=click.FloatRange(0),
    default=21_600.0,
    help="Longest delay of a late reading, seconds.",
)
@click.option("--duplicates", type=SHARE, default="0%", help="Share that the device sends twice.")
@click.option(
    "--dropouts", type=SHARE, default="0%", help="Share of time a device is cut off; it catches up."
)
@click.option(
    "--skew",
    "skew_s",
    type=click.FloatRange(0),
    default=0.2,
    help="Error of the devices' clocks, seconds; the largest is three times this.",
)
@click.option(
    "--jitter",
    "jitter_s",
    type=click.FloatRange(0),
    default=0.002,
    help="Standard deviation of a timestamp, seconds.",
)
@publish_options
def run_command(
    count: int | None,
    duration_s: float | None,
    rows_per_message: int | None,
    start_us: int | None,
    kinds: tuple[str, ...],
    **options: Any,
) -> None:
    """Publish the readings of a simulated fleet."""
    with reported():
        target = Target.of(options)
        rows = rows_per_message or (1 if options["payload"] == "json" else 100)
        if duration_s and options["rate"]:
            paced = int(options["rate"] * duration_s) * rows
            count = paced if count is None else min(count, paced)
            duration_s = None
        fleet_options = FleetOptions(
            start_us=0,
            count=count,
            rows_per_message=rows,
            kinds=kinds,
            max_rows=target.max_rows,
            subject_prefix=target.subject_prefix,
            **{name: options.pop(name) for name in _FLEET_OPTIONS},
        )
        fleet_options = fleet_options.starting(start_us, now_us=target.now_us)
        target.check(fleet_options)
        publish_all(
            Fleet(fleet_options),
            target,
            options,
            source="fleet",
            seed=fleet_options.seed,
            expected=None if count is None else -(-count // rows),
            duration_s=duration_s,
        )


_FLEET_OPTIONS = (
    *("seed", "devices", "sites", "rate", "interval_s", "payload", "malformed", "oversized_bytes"),
    *("late", "late_max_s", "duplicates", "dropouts", "skew_s", "jitter_s"),
)


@main.command("replay")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--map",
    "columns",
    type=PAIR,
    multiple=True,
    help=f"COLUMN=CSV_COLUMN, again for each; columns: {', '.join(COLUMNS)}, attributes.NAME.",
)
@click.option(
    "--constant", "constants", type=PAIR, multiple=True, help="COLUMN=TEXT, again for each."
)
@click.option(
    "--value-columns",
    default="",
    help="Wide form: CSV columns, separated by commas, each a metric of its own.",
)
@click.option("--unit", "units", type=PAIR, multiple=True, help="Wide form: CSV_COLUMN=UNIT.")
@click.option(
    "--time-format",
    default="rfc3339",
    help="rfc3339, epoch-s, epoch-ms, epoch-us, epoch-ns, or a pattern like '%Y/%m/%d %H:%M'.",
)
@click.option("--timezone", "zone", default="UTC", help="Of times without one: name or offset.")
@click.option("--since", "since_us", type=TIME_US, help="First time of the file to send.")
@click.option("--until", "until_us", type=TIME_US, help="Time of the file to stop before.")
@click.option(
    "--speed",
    type=click.FloatRange(0),
    default=0.0,
    help="Seconds of the series per second; 0 = as fast as it goes.",
)
@click.option(
    "--shift-to-now",
    is_flag=True,
    help="Move the series in time so that its last row is sent when it is measured.",
)
@publish_options
def replay_command(
    file: Path,
    columns: tuple[tuple[str, str], ...],
    constants: tuple[tuple[str, str], ...],
    units: tuple[tuple[str, str], ...],
    value_columns: str,
    shift_to_now: bool,  # noqa: FBT001 - click passes flags so
    **options: Any,
) -> None:
    """Publish the rows of a CSV file with a header as readings, and end with it.

    A row that is no reading ends the replay with its line number; what was sent before stays.
    """
    with reported():
        target = Target.of(options)
        replay = Replay(
            ReplayOptions(
                path=file,
                columns=dict(columns),
                constants=dict(constants),
                units=dict(units),
                value_columns=tuple(filter(None, value_columns.split(","))),
                shift_to_now_us=target.now_us if shift_to_now else None,
                oldest_us=target.oldest_us,
                newest_us=target.newest_us,
                subject_prefix=target.subject_prefix,
                **{name: options.pop(name) for name in _REPLAY_OPTIONS},
            )
        )
        publish_all(replay, target, options, source=str(file), seed=None)


_REPLAY_OPTIONS = ("time_format", "zone", "since_us", "until_us", "speed")
