"""Makes the streams, and holds existing ones against the settings.

An existing stream may only grow, and only on request: a smaller size would drop messages that may
be unread, and every other difference is a person's decision.
"""

from __future__ import annotations

from typing import Any

from nats.js.errors import APIError, NotFoundError

from ingest.contract import Contract
from ingest.dlq import STREAM
from ingest.errors import StreamConfigError, StreamUnavailableError
from ingest.lanes import is_inlet
from ingest.ledger import ledger_stream_config
from ingest.nats_link import NatsLink
from ingest.provision_step import Step
from ingest.settings import Settings
from ingest.stream_check import problems
from ingest.stream_configs import dead_letter_config, lane_config

SIZES = ("max_bytes", "max_age", "duplicate_window")
COMPARED = (
    *SIZES,
    "subjects",
    "subject_transform",
    "discard",
    "num_replicas",
    "max_msg_size",
    "allow_rollup_hdrs",
)
SETTING_OF = {
    "max_bytes": "stream.max_bytes",
    "max_age": "stream.max_age_h",
    "duplicate_window": "stream.duplicate_window_s",
    "discard": "stream.discard",
    "num_replicas": "stream.replicas",
}
JS_SUBJECT_OVERLAP = 10065
JS_NO_STORAGE = 10047


async def make(
    link: NatsLink, settings: Settings, contract: Contract, *, update: bool
) -> list[Step]:
    """Makes the lane's, the dead-letter and the ledger stream where they are missing.

    ``update`` lets existing ones grow. Raises StreamConfigError when an existing stream cannot
    carry the promise or the server refuses a new one.
    """
    max_payload = link.client.max_payload
    wanted = wanted_streams(settings, contract, max_payload)
    return [await _make_one(link, config, update=update) for config in wanted]


def wanted_streams(
    settings: Settings, contract: Contract, max_payload: int
) -> list[dict[str, Any]]:
    """Configurations of all streams that the contract's lane needs, the lane first."""
    return [
        lane_config(settings, contract, max_payload),
        dead_letter_config(settings),
        ledger_stream_config(settings),
    ]


def differences(wanted: dict[str, Any], found: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Compared options whose value differs: {option: (found, wanted)}."""
    told: dict[str, tuple[Any, Any]] = {}
    for option in COMPARED:
        if option in wanted and not _same(option, wanted[option], found.get(option)):
            told[option] = (found.get(option), wanted[option])
    return told


def setting_of(option: str) -> str:
    """Name of the setting behind a stream's option, "ingest" where there is none."""
    return SETTING_OF.get(option, "ingest")


async def _make_one(link: NatsLink, wanted: dict[str, Any], *, update: bool) -> Step:
    name = wanted["name"]
    try:
        found = (await link.api(f"STREAM.INFO.{name}", {}))["config"]
    except NotFoundError:
        await _create(link, wanted)
        return Step("stream", name, "made")
    unsuitable = problems(found)
    if unsuitable:
        raise StreamConfigError(
            f"the existing stream {name} cannot be used: {unsuitable[0]}; change it with"
            " `nats stream edit`, or name another stream in the contract"
        )
    differing = differences(wanted, found)
    growing = {option: new for option, (old, new) in differing.items() if _grows(option, old, new)}
    changes = {
        option: new
        for option, (old, new) in differing.items()
        if _becomes_lane(option, old, new) or (update and option in growing)
    }
    told = _differing(name, differing, set(changes), growing=growing)
    if changes:
        await link.api(f"STREAM.UPDATE.{name}", {**found, **changes})
        changed = tuple(f"{option} {_told(differing[option])}" for option in changes)
        return Step("stream", name, "changed", (*changed, *told))
    return Step("stream", name, "differs" if told else "there", told)


async def _create(link: NatsLink, config: dict[str, Any]) -> None:
    name = config["name"]
    try:
        await link.api(f"STREAM.CREATE.{name}", config)
    except StreamUnavailableError as error:
        if getattr(error.__cause__, "err_code", None) != JS_NO_STORAGE:
            raise
        setting = "stream.dlq_max_bytes" if name == STREAM else "stream.max_bytes"
        raise StreamConfigError(
            f"stream {name} cannot be made: the server has less storage left than its"
            f" {config['max_bytes']} bytes, which JetStream reserves; lower {setting}, or give"
            " JetStream more room (max_file_store)"
        ) from error
    except APIError as error:
        if error.err_code == JS_SUBJECT_OVERLAP:
            raise StreamConfigError(
                f"stream {name} cannot be made: another stream already takes its subjects"
                f" {', '.join(config['subjects'])}; `nats stream ls --subjects` shows which"
            ) from error
        raise StreamConfigError(
            f"stream {name} cannot be made: {error.description}; check JetStream's limits and"
            f" stream.max_bytes ({config['max_bytes']} bytes asked for)"
        ) from error


def _differing(
    name: str, differing: dict[str, tuple[Any, Any]], changed: set[str], *, growing: dict[str, Any]
) -> tuple[str, ...]:
    told = []
    for option, pair in differing.items():
        if option in changed:
            continue
        mend = (
            "`ingest init --update` changes it"
            if option in growing
            else f"left as it is, `nats stream edit {name}` changes it"
        )
        setting = f" ({SETTING_OF[option]})" if option in SETTING_OF else ""
        told.append(f"{option}{setting} {_told(pair)}, {mend}")
    return tuple(told)


def _told(pair: tuple[Any, Any]) -> str:
    return f"is {pair[0]}, settings say {pair[1]}"


def _grows(option: str, old: Any, new: Any) -> bool:
    if option not in SIZES:
        return False
    limits = [value if value and value > 0 else float("inf") for value in (old, new)]
    return option == "duplicate_window" or limits[1] > limits[0]


def _becomes_lane(option: str, old: Any, new: Any) -> bool:
    """Whether the stream becomes one of several lanes: it takes what is mapped to it besides."""
    if option == "subjects":
        return set(old or ()) < set(new) and all(map(is_inlet, set(new) - set(old or ())))
    return option == "subject_transform" and not old


def _same(option: str, wanted: Any, found: Any) -> bool:
    if option == "subjects":
        # A stream that was one of several lanes takes their subjects for as long as it exists.
        return set(wanted) == {one for one in found or [] if one in wanted or not is_inlet(one)}
    if option == "max_msg_size" and found in (None, -1):
        return False
    return bool(wanted == (found if found is not None else type(wanted)()))
