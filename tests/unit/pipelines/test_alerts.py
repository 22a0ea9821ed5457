"""Alerts against a real HTTP server: once each, none lost, no channel in another's way."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr

from ingest.settings import NatsSettings
from pipelines.alert_channels import Webhook, channels
from pipelines.alerts import KEPT, Alert, Channel, Look, Memory, Problem, remembered
from pipelines.errors import AlertRefused, ChannelUnavailable
from pipelines.settings import AlertSettings

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RED = Problem("check", "freshness is red: 90 s", numbers={"age_s": 90.0})


class Receiver:
    """A webhook that answers with ``status`` and keeps what it got."""

    def __init__(self) -> None:
        self.status = 200
        self.got: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.hold = threading.Event()
        self.hold.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.hold.wait(20)
                if receiver.status < 300:
                    receiver.got.append(json.loads(body))
                    receiver.headers.append(dict(self.headers))
                self.send_response(receiver.status)
                if receiver.status == 302:
                    self.send_header("Location", "http://127.0.0.1:9/")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def settings(self, **more: Any) -> AlertSettings:
        """Settings that name it."""
        url = f"http://127.0.0.1:{self.server.server_port}/hook"
        return AlertSettings(webhook_url=SecretStr(url), **more)

    def close(self) -> None:
        """Stops it."""
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook on this machine."""
    running = Receiver()
    yield running
    running.close()


class Broken:
    """A channel that never takes anything."""

    name = "broken"

    def send(self, alert: Alert) -> None:
        """Fails."""
        raise ChannelUnavailable("away")


def look(memory: Memory, now: datetime = NOW) -> Look:
    """A look at the lane, its memory through JSON as Dagster keeps it."""
    cursor = msgspec.json.encode(memory).decode()
    return Look(remembered(cursor), "READINGS", "readings", now)


def tick(memory: Memory, problems: dict[str, Problem], *told_to: Channel) -> Look:
    """One look that finds these checks red."""
    one = look(memory)
    one.compare("check", problems)
    one.deliver(told_to)
    return one


def test_a_problem_is_told_once_and_so_is_its_end(receiver: Receiver) -> None:
    """Three looks at the same red check are one alert; green again is one more."""
    hook = Webhook(receiver.settings())
    memory = Memory()
    for _ in range(3):
        memory = tick(memory, {"check:a": RED}, hook).memory
    for _ in range(2):
        memory = tick(memory, {}, hook).memory

    assert [(one["event"], one["key"]) for one in receiver.got] == [
        ("raised", "check:a"),
        ("recovered", "check:a"),
    ]
    raised, recovered = receiver.got
    assert raised["text"] == "freshness is red: 90 s"
    assert raised["numbers"] == {"age_s": 90.0}
    assert (raised["lane"], raised["contract"], raised["version"]) == ("READINGS", "readings", 1)
    assert recovered["text"] == "recovered: freshness is red: 90 s"
    assert recovered["since"] == raised["since"]
    assert raised["id"] != recovered["id"]
    assert receiver.headers[0]["Idempotency-Key"] == raised["id"]


def test_a_webhook_that_is_down_loses_nothing(receiver: Receiver) -> None:
    """What it does not take waits, in order, and an end that came meanwhile comes after it."""
    hook = Webhook(receiver.settings())
    receiver.status = 503
    memory = tick(Memory(), {"check:a": RED}, hook).memory
    failed = tick(memory, {"check:b": RED}, hook)
    assert "503" in failed.problems["webhook"]
    assert receiver.got == []

    receiver.status = 204
    done = tick(failed.memory, {"check:b": RED}, hook)

    assert done.sent == 3
    assert [(one["event"], one["key"]) for one in receiver.got] == [
        ("raised", "check:a"),
        ("raised", "check:b"),
        ("recovered", "check:a"),
    ]
    assert done.memory.waiting == {"webhook": []}


def test_one_channel_does_not_hold_up_another(receiver: Receiver) -> None:
    """With one channel away the other is told at once, and nothing twice."""
    hook = Webhook(receiver.settings())
    memory = Memory()
    for _ in range(2):
        memory = tick(memory, {"check:a": RED}, Broken(), hook).memory

    assert len(receiver.got) == 1
    assert [one.key for one in memory.waiting["broken"]] == ["check:a"]


def test_an_alert_that_is_refused_does_not_block_the_next(receiver: Receiver) -> None:
    """400 speaks of the one alert: it is dropped with a word, the next one goes on."""
    hook = Webhook(receiver.settings())
    receiver.status = 400
    refused = tick(Memory(), {"check:a": RED}, hook)
    assert "400" in refused.refused[0]
    receiver.status = 200

    tick(refused.memory, {"check:a": RED, "check:b": RED}, hook)

    assert [one["key"] for one in receiver.got] == ["check:b"]


@pytest.mark.parametrize("status", [302, 401, 404, 429, 500])
def test_what_speaks_of_the_channel_keeps_the_alert(receiver: Receiver, status: int) -> None:
    """A wrong address or token, a redirection and an overload are mended, then the alert comes."""
    receiver.status = status
    with pytest.raises(ChannelUnavailable, match=str(status)):
        Webhook(receiver.settings()).send(alert())


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_speaks_of_the_alert_drops_it(receiver: Receiver, status: int) -> None:
    """A payload that the receiver cannot take is not sent for ever."""
    receiver.status = status
    with pytest.raises(AlertRefused):
        Webhook(receiver.settings()).send(alert())


def test_a_receiver_that_is_away_or_silent_is_no_receipt(receiver: Receiver) -> None:
    """No answer within the time, or nobody there: the alert waits, and the URL stays secret."""
    receiver.hold.clear()
    with pytest.raises(ChannelUnavailable, match="Timeout") as told:
        Webhook(receiver.settings(timeout_s=0.2)).send(alert())
    assert "hook" not in str(told.value).replace("webhook", "")
    nobody = AlertSettings(webhook_url=SecretStr("http://127.0.0.1:1/secret"))
    with pytest.raises(ChannelUnavailable) as away:
        Webhook(nobody).send(alert())
    assert "secret" not in str(away.value)


def test_a_token_is_sent_as_bearer(receiver: Receiver) -> None:
    """The receiver can tell who alerts."""
    Webhook(receiver.settings(webhook_token=SecretStr("t0ken"))).send(alert())
    assert receiver.headers[0]["Authorization"] == "Bearer t0ken"


def test_devices_that_fall_silent_together_are_one_alert(receiver: Receiver) -> None:
    """Each device is told once; those that come back are one more alert."""
    hook = Webhook(receiver.settings())
    quiet = {f"silence:{name}": Problem("silence", f"{name} is silent") for name in "abc"}
    memory = Memory()
    for found in (quiet, quiet, {"silence:c": quiet["silence:c"]}):
        one = look(memory)
        one.compare("silence", found)
        one.deliver([hook])
        memory = one.memory

    assert [(one["event"], sorted(one["devices"])) for one in receiver.got] == [
        ("raised", ["a", "b", "c"]),
        ("recovered", ["a", "b"]),
    ]
    assert receiver.got[0]["text"].startswith("3 devices are silent on READINGS: a, b, c")
    assert list(memory.open) == ["silence:c"]


def test_what_waits_is_bounded() -> None:
    """A channel that is away for long costs a bounded memory; what was given up is counted."""
    memory = Memory()
    for number in range(KEPT + 7):
        memory = tick(memory, {f"check:{number}": RED}, Broken()).memory

    assert len(memory.waiting["broken"]) == KEPT
    assert memory.given_up["broken"] > 0
    assert len(msgspec.json.encode(memory)) < 64_000


def test_a_lost_receipt_is_repeated_under_the_same_id(receiver: Receiver) -> None:
    """A delivery whose memory was lost comes again with the id that the receiver knows."""
    hook = Webhook(receiver.settings())
    for _ in range(2):
        tick(Memory(), {"check:a": msgspec.structs.replace(RED, since="2026-03-01")}, hook)
    assert receiver.got[0]["id"] == receiver.got[1]["id"]


def test_a_memory_of_another_version_counts_as_none() -> None:
    """A cursor that cannot be read begins anew instead of ending the sensor."""
    assert remembered('{"format": 99}') == Memory()
    assert remembered("not json") == Memory()
    assert remembered(None) == Memory()


def test_channels_are_those_that_the_settings_name(receiver: Receiver) -> None:
    """None by default; a URL and a subject are one channel each."""
    nats = NatsSettings()
    assert channels(AlertSettings(), nats) == []
    both = channels(receiver.settings(nats_subject="alerts"), nats)
    assert [one.name for one in both] == ["webhook", "nats"]


def alert() -> Alert:
    """Some alert."""
    one = look(Memory(), NOW + timedelta(hours=1))
    one.raised("check:a", RED)
    one.deliver([Broken()])
    return one.memory.waiting["broken"][0]
