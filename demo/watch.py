"""Rates, lag and freshness of the running pipeline, from its own endpoints."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections import deque
from dataclasses import dataclass, field

from demo.processes import Command

WINDOW_S = 2.0
TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Moment:
    """Last sequences at one time: of the stream, and durable in each sink."""

    at_s: float
    sent: int
    stored: dict[str, int]
    refused: int


@dataclass
class Watch:
    """Follows one stream and its two writers.

    ``monitor`` is the NATS server's monitoring URL, ``writers`` maps a sink's title to its writer.
    """

    stream: str
    monitor: str
    writers: dict[str, Command]
    _moments: deque[Moment] = field(default_factory=lambda: deque(maxlen=1_000))
    _addresses: dict[str, str] = field(default_factory=dict)

    def look(self) -> Moment:
        """The state as of now."""
        streams = self._streams()
        stored = {title: self._watermark(title) for title in self.writers}
        moment = Moment(
            time.monotonic(),
            streams.get(self.stream, {}).get("last_seq", 0),
            stored,
            streams.get("DLQ", {}).get("messages", 0),
        )
        self._moments.append(moment)
        return moment

    def rate(self, title: str | None) -> float:
        """Messages a second over the last two seconds: into the stream, or into a sink."""
        last = self._moments[-1]
        first = next(one for one in self._moments if one.at_s >= last.at_s - WINDOW_S)
        passed_s = last.at_s - first.at_s
        if passed_s <= 0:
            return 0.0
        return (_position(last, title) - _position(first, title)) / passed_s

    def freshness_s(self, title: str) -> float:
        """Age of the newest message in a sink by the stream's time; 0 when it holds all."""
        last = self._moments[-1]
        position = last.stored[title]
        if position >= last.sent:
            return 0.0
        reached = (one.at_s for one in self._moments if one.sent >= position)
        return last.at_s - next(reached, last.at_s)

    def _streams(self) -> dict[str, dict[str, int]]:
        found = json.loads(_get(f"{self.monitor}/jsz?accounts=true&streams=true") or "{}")
        return {
            one["name"]: one["state"]
            for account in found.get("account_details", [])
            for one in account.get("stream_detail", [])
        }

    def _watermark(self, title: str) -> int:
        """The sink's watermark; the last one known where the writer did not answer in time."""
        address = self._address(title)
        text = _get(f"http://{address}/metrics") if address else ""
        known = self._moments[-1].stored[title] if self._moments else 0
        found = (line for line in text.splitlines() if line.startswith("ingest_watermark_seq{"))
        return max(known, *(int(float(line.rpartition(" ")[2])) for line in found), 0)

    def _address(self, title: str) -> str | None:
        """Where the writer listens; it says so in its log."""
        writer = self.writers[title]
        writer.require_running()
        if title not in self._addresses:
            for event in writer.events():
                if event.get("event") == "listening":
                    self._addresses[title] = event["address"]
        return self._addresses.get(title)


def _position(moment: Moment, title: str | None) -> int:
    return moment.sent if title is None else moment.stored[title]


def _get(url: str) -> str:
    """Body of an answer; empty when there is none in time."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - our own URLs
            body: bytes = answer.read()
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return ""
    return body.decode()
