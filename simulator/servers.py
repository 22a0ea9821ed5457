"""Addresses and credentials of NATS servers, from settings."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from ingest.errors import SettingsError
from ingest.settings import NatsSettings

DEFAULT_PORT = 4222


@dataclass(frozen=True, slots=True)
class Server:
    """Address and credentials of one server, from a URL."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None
    token: str | None

    @property
    def name(self) -> str:
        """Host and port, fit for a message."""
        return f"{self.host}:{self.port}"


def parse_servers(settings: NatsSettings) -> list[Server]:
    """Servers of the URL setting, in its order.

    Raises SettingsError for a URL that is none, and for a credentials file.
    """
    if settings.creds_file:
        raise SettingsError(
            "the simulator signs in with user and password or a token, nats.creds_file "
            "(IOT_NATS__CREDS_FILE) is not supported: put the credentials into --url"
        )
    token = settings.token.get_secret_value() if settings.token else None
    urls = settings.url.get_secret_value().split(",")
    return [_server(url.strip(), settings.tls_ca_file is not None, token) for url in urls]


def _server(url: str, tls: bool, token: str | None) -> Server:  # noqa: FBT001 - private
    parts = urlsplit(url if "://" in url else f"nats://{url}")
    try:
        host, port = parts.hostname, parts.port or DEFAULT_PORT
    except ValueError as error:
        raise SettingsError(
            f"not a NATS URL (nats://[user:password@]host:port): {error}"
        ) from error
    if parts.scheme not in ("nats", "tls") or not host:
        raise SettingsError(
            f"not a NATS URL: scheme {parts.scheme!r}, host {host!r}; "
            "expected nats://[user:password@]host:port"
        )
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    if user and password is None:
        user, token = None, user
    return Server(host, port, tls or parts.scheme == "tls", user, password, token)
