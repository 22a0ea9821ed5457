"""Alerts: what is wrong now against what was told, and what waits to be delivered on each channel.

An alert is raised once and recovers once. What a channel does not take waits in the memory and is
sent again at the next look, in order; one channel never holds up another. A delivery whose outcome
was lost is repeated under the same id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, Protocol

import msgspec

from pipelines.errors import AlertRefused, ChannelUnavailable

FORMAT = 1
KEPT = 60
"""Alerts that wait on one channel; beyond it the oldest give way and are counted."""
AT_ONCE = 20
"""Alerts sent on one channel at one look."""
DEVICES_NAMED = 50
OPEN_KEPT = 500
"""Problems remembered as told; beyond it the oldest are forgotten, and told again if they last."""

Kind = Literal["check", "run", "silence"]


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong; ``since`` is RFC 3339, ``numbers`` are its figures."""

    kind: Kind
    title: str
    detail: str = ""
    severity: Literal["error", "warning"] = "error"
    since: str = ""
    numbers: dict[str, float] = {}


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent, as JSON with these names; docs/dagster.md describes them."""

    version: int = FORMAT
    id: str
    event: Literal["raised", "recovered"]
    kind: Kind
    severity: Literal["error", "warning"]
    lane: str
    contract: str
    key: str
    text: str
    detail: str = ""
    since: str = ""
    at: str
    numbers: dict[str, float] = {}
    devices: list[str] = []


class Open(msgspec.Struct, frozen=True):
    """A problem that was told: enough to tell its end."""

    kind: Kind
    title: str
    since: str


class Memory(msgspec.Struct):
    """What a look leaves for the next one.

    ``runs_after`` is the time (RFC 3339) up to which finished runs were looked at; ``waiting`` and
    ``given_up`` are by channel.
    """

    format: int = FORMAT
    runs_after: str = ""
    open: dict[str, Open] = {}
    waiting: dict[str, list[Alert]] = {}
    given_up: dict[str, int] = {}


class Channel(Protocol):
    """Somewhere alerts go."""

    name: str

    def send(self, alert: Alert) -> None:
        """Delivers one alert. Raises ChannelUnavailable, AlertRefused."""


def remembered(cursor: str | None) -> Memory:
    """The memory of a cursor; an empty one when there is none or it is of another version."""
    try:
        found = msgspec.json.decode(cursor or "{}", type=Memory)
    except msgspec.DecodeError:
        return Memory()
    return found if found.format == FORMAT else Memory()


class Look:
    """One look at a lane: collects changes, then delivers them."""

    def __init__(self, memory: Memory, lane: str, contract: str, now: datetime) -> None:
        self.memory = memory
        self._lane = lane
        self._contract = contract
        self._now = now.astimezone(UTC).isoformat(timespec="seconds")
        self._news: list[Alert] = []
        self.sent = 0
        self.refused: list[str] = []
        self.problems: dict[str, str] = {}

    def compare(self, kind: Kind, problems: Mapping[str, Problem]) -> None:
        """Raises what is new among the problems of that kind and ends what is gone."""
        known = {key for key, one in self.memory.open.items() if one.kind == kind}
        raised = {key: one for key, one in problems.items() if key not in known}
        ended = [key for key in known if key not in problems]
        if kind == "silence":
            self._silence(raised, ended)
        else:
            for key, one in raised.items():
                self.raised(key, one)
            for key in ended:
                self.recovered(key)
        for key, one in raised.items():
            self.memory.open[key] = Open(kind, one.title, one.since or self._now)

    def raised(self, key: str, problem: Problem) -> None:
        """Tells a problem unless it was told and has not ended since."""
        if key in self.memory.open:
            return
        self.memory.open[key] = Open(problem.kind, problem.title, problem.since or self._now)
        self._add("raised", key, problem)

    def recovered(self, key: str) -> None:
        """Tells the end of a problem that was told; nothing when there was none."""
        one = self.memory.open.pop(key, None)
        if one is not None:
            title = f"recovered: {one.title}"
            self._add("recovered", key, Problem(one.kind, title, since=one.since))

    def deliver(self, channels: Sequence[Channel]) -> None:
        """Sends what waits on each channel; what a channel does not take waits on."""
        names = {one.name for one in channels}
        self.memory.waiting = {
            name: [*self.memory.waiting.get(name, []), *self._news] for name in names
        }
        self._news = []
        for channel in channels:
            self.memory.waiting[channel.name] = self._send(channel)
        self._bound()

    def _send(self, channel: Channel) -> list[Alert]:
        waiting = self.memory.waiting[channel.name]
        for number, alert in enumerate(waiting[:AT_ONCE]):
            try:
                channel.send(alert)
            except ChannelUnavailable as error:
                self.problems[channel.name] = str(error)
                return waiting[number:]
            except AlertRefused as error:
                self.refused.append(str(error))
            else:
                self.sent += 1
        return waiting[AT_ONCE:]

    def _bound(self) -> None:
        surplus_open = sorted(self.memory.open, key=lambda key: self.memory.open[key].since)
        for key in surplus_open[: max(len(surplus_open) - OPEN_KEPT, 0)]:
            del self.memory.open[key]
        for name, waiting in self.memory.waiting.items():
            surplus = len(waiting) - KEPT
            if surplus > 0:
                given_up = self.memory.given_up.get(name, 0) + surplus
                self.memory.given_up[name] = given_up
                self.memory.waiting[name] = waiting[surplus:]

    def _silence(self, raised: Mapping[str, Problem], ended: Sequence[str]) -> None:
        """All devices that fell silent, or came back, at one look are one alert."""
        if raised:
            devices = [key.partition(":")[2] for key in raised]
            since = min((one.since for one in raised.values()), default="")
            self._devices("raised", devices, since)
        if ended:
            since = min(self.memory.open[key].since for key in ended)
            for key in ended:
                del self.memory.open[key]
            self._devices("recovered", [key.partition(":")[2] for key in ended], since)

    def _devices(
        self, event: Literal["raised", "recovered"], devices: list[str], since: str
    ) -> None:
        named = ", ".join(devices[:5]) + (", ..." if len(devices) > 5 else "")
        what = "silent" if event == "raised" else "heard again"
        noun = "device is" if len(devices) == 1 else "devices are"
        title = f"{len(devices)} {noun} {what} on {self._lane}: {named}"
        numbers = {"devices": float(len(devices))}
        problem = Problem("silence", title, severity="warning", since=since, numbers=numbers)
        self._add(event, f"silence:{devices[0]}", problem, devices[:DEVICES_NAMED])

    def _add(
        self,
        event: Literal["raised", "recovered"],
        key: str,
        problem: Problem,
        devices: Sequence[str] = (),
    ) -> None:
        since = problem.since or self._now
        told = f"{self._lane} {key} {event} {since} {self._now if event == 'recovered' else ''}"
        self._news.append(
            Alert(
                id=hashlib.sha256(told.encode()).hexdigest()[:24],
                event=event,
                kind=problem.kind,
                severity=problem.severity,
                lane=self._lane,
                contract=self._contract,
                key=key,
                text=problem.title,
                detail=problem.detail,
                since=since,
                at=self._now,
                numbers=problem.numbers,
                devices=list(devices),
            )
        )
