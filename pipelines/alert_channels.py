"""Where alerts go: a webhook by POST, a NATS subject."""

from __future__ import annotations

import asyncio

import msgspec
import requests
from nats.errors import Error as NatsError

from ingest.errors import IngestError
from ingest.nats_link import UNAVAILABLE, connect
from ingest.settings import NatsSettings
from pipelines.alerts import Alert, Channel
from pipelines.errors import AlertRefused, ChannelUnavailable
from pipelines.settings import AlertSettings

WRONG_ALERT = frozenset({400, 413, 414, 422})
"""Statuses that speak of the one alert; every other failure is the channel's."""
_SHOWN = 200


class Webhook:
    """POSTs each alert as JSON; a 2xx status is its receipt."""

    name = "webhook"

    def __init__(self, settings: AlertSettings) -> None:
        self._url = settings.webhook_url.get_secret_value()
        self._timeout_s = settings.timeout_s
        self._token = settings.webhook_token

    def send(self, alert: Alert) -> None:
        """See Channel. The receiver may drop an id that it has seen."""
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": alert.id,
            "User-Agent": "iot-lakehouse",
        }
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        try:
            answer = requests.post(
                self._url,
                data=msgspec.json.encode(alert),
                headers=headers,
                timeout=self._timeout_s,
                allow_redirects=False,
            )
        except (requests.RequestException, OSError) as error:
            # The URL may hold a secret, and so may the error's text.
            raise ChannelUnavailable(
                f"the webhook (IOT_ALERTS__WEBHOOK_URL) does not answer: {type(error).__name__}"
            ) from None
        if answer.ok and answer.status_code < 300:
            return
        told = f"{answer.status_code} {answer.reason}: {answer.text[:_SHOWN]}"
        if answer.status_code in WRONG_ALERT:
            raise AlertRefused(f"the webhook refuses alert {alert.id}, it is dropped: {told}")
        raise ChannelUnavailable(f"the webhook (IOT_ALERTS__WEBHOOK_URL) answers {told}")


class NatsSubject:
    """Publishes each alert as JSON on ``<prefix>.<lane>``, and waits until the server has it."""

    name = "nats"

    def __init__(self, settings: AlertSettings, nats: NatsSettings) -> None:
        self._prefix = settings.nats_subject
        self._timeout_s = settings.timeout_s
        self._nats = nats

    def send(self, alert: Alert) -> None:
        """See Channel. Who does not listen at that moment misses it, unless a stream keeps it."""
        try:
            asyncio.run(asyncio.wait_for(self._publish(alert), 2 * self._timeout_s))
        except (IngestError, NatsError, *UNAVAILABLE) as error:
            raise ChannelUnavailable(f"NATS does not take alerts: {error!r}") from error

    async def _publish(self, alert: Alert) -> None:
        link = await connect(self._nats, "iot-alerts", patient=False)
        try:
            subject = f"{self._prefix}.{alert.lane}"
            headers = {"Nats-Msg-Id": alert.id}
            await link.client.publish(subject, msgspec.json.encode(alert), headers=headers)
            await link.client.flush(timeout=max(int(self._timeout_s), 1))
        finally:
            await link.close()


def channels(settings: AlertSettings, nats: NatsSettings) -> list[Channel]:
    """The channels that the settings name; none by default."""
    found: list[Channel] = []
    if settings.webhook_url.get_secret_value():
        found.append(Webhook(settings))
    if settings.nats_subject:
        found.append(NatsSubject(settings, nats))
    return found
