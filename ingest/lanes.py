"""One contract over several streams: what each lane is called, and which messages go there.

Lane 0 is the contract's own stream, lane k the stream ``<stream>_<k>``; all fill the same tables.
The NATS server chooses the lane by a subject mapping over tokens that name the device, so that a
device's readings stay in order. A mapped message goes to ``lanes.<stream>.<k>.<subject>``; the
stream gives it its own subject back. What the server does not map goes to lane 0, so a missing
mapping costs speed, never a reading.

https://docs.nats.io/nats-concepts/subject_mapping#deterministic-subject-token-partitioning
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ingest.contract import Contract, load_contract
from ingest.errors import SettingsError
from ingest.settings import Settings

PREFIX = "lanes"
PORTS_APART = 2
"""Lane k's writers listen this many ports times k above lane 0's, which are neighbours."""

_TOKEN = re.compile(r"[^\s.*>{}]+")
_FNV_OFFSET, _FNV_PRIME, _FNV_MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF


def lane_contract(settings: Settings) -> Contract:
    """The contract as the lane of these settings has it: a stream of its own, the same tables.

    Raises ContractError, and SettingsError when there are several lanes and none is chosen.
    """
    return in_lane(settings, load_contract(settings.contract))


def in_lane(settings: Settings, contract: Contract) -> Contract:
    """A contract that is read already, as the lane of these settings has it; raises as above."""
    own = _own(settings)
    return contract if own == 0 else replace(contract, stream=f"{contract.stream}_{own}")


def each_lane(settings: Settings) -> list[Settings]:
    """Settings for each lane that these settings name: the chosen one, or all. Raises as above."""
    if settings.lanes.only is not None or settings.lanes.count == 1:
        _own(settings)
        return [settings]
    return [_of_lane(settings, number) for number in range(settings.lanes.count)]


def inlet(settings: Settings) -> str:
    """What a subject has in front when its message goes to this lane; nothing for a single one."""
    if settings.lanes.count == 1:
        return ""
    return f"{PREFIX}.{load_contract(settings.contract).stream}.{_own(settings)}."


def is_inlet(subject: str) -> bool:
    """Whether a subject of a stream is that of a lane."""
    return subject.startswith(f"{PREFIX}.")


def bound_subjects(settings: Settings, contract: Contract) -> dict[str, Any]:
    """``subjects`` and ``subject_transform`` of the stream of this lane's ``contract``."""
    mapped = inlet(settings)
    if not mapped:
        return {"subjects": list(contract.subjects)}
    unmapped = [] if settings.lanes.only else contract.subjects
    return {
        "subjects": [*unmapped, f"{mapped}>"],
        "subject_transform": {"src": f"{mapped}>", "dest": ">"},
    }


@dataclass(frozen=True)
class Mapping:
    """A subject mapping that spreads what matches ``source`` over ``lanes`` lanes of a stream.

    Each ``*`` of the source takes part in the choice.
    """

    stream: str
    source: str
    lanes: int

    @property
    def destination(self) -> str:
        """The subject that the server publishes to instead."""
        first, *rest = self.source.split("*")
        chosen = range(1, len(rest) + 1)
        partition = f"{{{{partition({self.lanes},{','.join(map(str, chosen))})}}}}"
        same = first + "".join(
            f"{{{{wildcard({number})}}}}{text}" for number, text in zip(chosen, rest, strict=True)
        )
        return f"{PREFIX}.{self.stream}.{partition}.{same}"

    @property
    def line(self) -> str:
        """The mapping as an entry of a server's or account's ``mappings`` block."""
        return f'"{self.source}": "{self.destination}"'

    def lane_of(self, subject: str) -> int:
        """The lane of a subject that matches ``source``: FNV-1a of its chosen tokens, in turn."""
        pairs = zip(self.source.split("."), subject.split("."), strict=False)
        hashed = _FNV_OFFSET
        for byte in "".join(token for star, token in pairs if star == "*").encode():
            hashed = (hashed ^ byte) * _FNV_PRIME & _FNV_MASK
        return hashed % self.lanes

    def example(self, number: int) -> str:
        """A subject that matches ``source``; another one for each ``number``."""
        tokens = self.source.replace("*", f"probe-{number}", 1).split(".")
        return ".".join("probe" if one in ("*", ">") else one for one in tokens)


def mappings(settings: Settings) -> list[Mapping]:
    """The mappings that the lanes need; none for a single lane. Raises SettingsError."""
    if settings.lanes.count == 1:
        return []
    stream = load_contract(settings.contract).stream
    return [Mapping(stream, source, settings.lanes.count) for source in _sources(settings)]


def mappings_block(needed: list[Mapping]) -> str:
    """The block for the server's configuration, or for an account in it.

    Without lanes it is an empty one: a server that reloads without the block keeps what it had.
    """
    if not needed:
        return "mappings = {}"
    return "\n".join(["mappings = {", *(f"  {one.line}" for one in needed), "}"])


def _sources(settings: Settings) -> Iterator[str]:
    found = [one.strip() for one in settings.lanes.by.split(",") if one.strip()]
    if not found:
        raise SettingsError(
            f"lanes.count is {settings.lanes.count}, so lanes.by must say which tokens of a subject"
            " choose the lane, as in readings.*.*.>"
        )
    for source in found:
        tokens = source.split(".")
        inner = tokens[:-1] if tokens[-1] == ">" else tokens
        if "*" not in inner or not all(one == "*" or _TOKEN.fullmatch(one) for one in inner):
            raise SettingsError(
                f"lanes.by: found {source!r}, expected a subject with a * for each token that"
                " chooses the lane, as in readings.*.*.>"
            )
        yield source


def _own(settings: Settings) -> int:
    own, count = settings.lanes.only, settings.lanes.count
    if own is None and count > 1:
        raise SettingsError(f"there are {count} lanes; say which with --lane 0 to {count - 1}")
    if own is not None and own >= count:
        raise SettingsError(
            f"lanes.only (--lane): found {own}, expected less than lanes.count, which is {count}"
        )
    return own or 0


def _of_lane(settings: Settings, number: int) -> Settings:
    """Settings of one of the lanes: its number, and ports of its own for its writers."""
    http = settings.http
    moved = {
        name: port + PORTS_APART * number
        for name, port in (("hot_port", http.hot_port), ("lake_port", http.lake_port))
        if port
    }
    return settings.model_copy(
        update={
            "lanes": settings.lanes.model_copy(update={"only": number}),
            "http": http.model_copy(update=moved),
        }
    )
