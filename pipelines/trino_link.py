"""Where Trino is and as whom it is asked, from its URL."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from trino.auth import BasicAuthentication

from ingest.errors import SettingsError
from pipelines.settings import TrinoSettings

_NAME = "trino.url (IOT_TRINO__URL)"


@dataclass(frozen=True)
class Address:
    """A Trino and a user of it; the password is never shown."""

    scheme: str
    host: str
    port: int
    user: str
    password: str = field(repr=False)

    @property
    def shown(self) -> str:
        """The address without the password."""
        return f"{self.scheme}://{self.host}:{self.port}"

    def auth(self) -> BasicAuthentication | None:
        """What goes into the header of each request, None without a password."""
        return BasicAuthentication(self.user, self.password) if self.password else None


def address_of(settings: TrinoSettings) -> Address:
    """The parts of ``trino.url``. Raises SettingsError naming what is wrong with it."""
    try:
        url = urlsplit(settings.url.get_secret_value())
        port = url.port
    except ValueError as error:
        raise SettingsError(f"{_NAME} is no URL: {error}") from error
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise SettingsError(f"{_NAME}: expected http(s)://user:password@host:port")
    if url.password and url.scheme == "http":
        raise SettingsError(f"{_NAME}: a password needs https, Trino takes none over http")
    if settings.ca_file is not None and not settings.ca_file.is_file():
        raise SettingsError(f"trino.ca_file (IOT_TRINO__CA_FILE): no file at {settings.ca_file}")
    return Address(
        scheme=url.scheme,
        host=url.hostname,
        port=port or (443 if url.scheme == "https" else 8080),
        user=unquote(url.username or "iot"),
        password=unquote(url.password or ""),
    )
