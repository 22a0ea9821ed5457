"""An HTTP request as ClickHouse reads it: who asks, which parameters, what is the statement."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from devstack.clickhouse import errors
from devstack.clickhouse.errors import ServerError
from devstack.clickhouse.users import User, Users

# Parameters that steer the HTTP interface; all others are settings of the query.
_INTERFACE = frozenset(
    {
        *("query", "database", "default_format", "user", "password", "quota_key", "query_id"),
        *("session_id", "session_timeout", "session_check", "close_session", "role", "stacktrace"),
        *("compress", "decompress", "buffer_size", "wait_end_of_query", "framing"),
        *(
            "client_protocol_version",
            "enable_http_compression",
            "http_write_exception_in_output_format",
        ),
        *("send_progress_in_http_headers", "http_headers_progress_interval_ms"),
        *("cancel_http_readonly_queries_on_client_close", "add_http_cors_header"),
    }
)
_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^;\s]+))')
_FIELD = re.compile(r';\s*(name|filename)="([^"]*)"')
_EXTERNAL_SUFFIXES = ("_format", "_types", "_structure")


@dataclass(frozen=True)
class Part:
    """One part of a multipart body: a file where `is_file`, else a plain parameter."""

    name: str
    data: bytes
    is_file: bool


@dataclass
class Request:
    """Method, lower-case headers and parameters of one request."""

    method: str
    path: str
    headers: dict[str, str]
    params: dict[str, str]

    @classmethod
    def of(cls, scope: dict[str, object]) -> Request:
        """Read an ASGI HTTP scope."""
        pairs = scope["headers"]
        assert isinstance(pairs, (list, tuple))
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}
        raw = scope.get("query_string", b"")
        assert isinstance(raw, bytes)
        params = dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True))
        return cls(str(scope["method"]), str(scope["path"]), headers, params)

    def authenticate(self, users: Users) -> User:
        """The user who asks: Basic, X-ClickHouse-User/Key or user/password parameters.

        Raises `ServerError` (AUTHENTICATION_FAILED) also when two of the ways are mixed.
        """
        ways = [way for way in (self._basic(), self._custom(), self._in_params()) if way]
        if len(ways) > 1:
            raise ServerError(
                errors.AUTHENTICATION_FAILED,
                "Invalid authentication: it is not allowed to use Authorization HTTP header and "
                "authentication via parameters simultaneously",
            )
        name, password = ways[0] if ways else ("default", "")
        return users.authenticate(name, password)

    def flag(self, name: str) -> bool:
        """Whether a 0/1 parameter is set to 1."""
        return self.params.get(name, "0") not in ("0", "", "false")

    def bound(self) -> dict[str, str]:
        """The values of `{name:Type}` substitutions."""
        return {key[6:]: value for key, value in self.params.items() if key.startswith("param_")}

    def settings(self, external: frozenset[str]) -> dict[str, str]:
        """The parameters that are settings of the query; `external` names its external tables."""
        described = {name + suffix for name in external for suffix in _EXTERNAL_SUFFIXES}
        return {
            key: value
            for key, value in self.params.items()
            if key not in _INTERFACE and key not in described and not key.startswith("param_")
        }

    def _basic(self) -> tuple[str, str] | None:
        header = self.headers.get("authorization")
        if header is None:
            return None
        scheme, _, encoded = header.partition(" ")
        if scheme.lower() != "basic":
            raise ServerError(
                errors.AUTHENTICATION_FAILED,
                f"Invalid authentication: '{scheme}' HTTP Authorization scheme is not supported",
            )
        try:
            name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            text = "Invalid authentication: the Basic credentials are not valid base64"
            raise ServerError(errors.AUTHENTICATION_FAILED, text) from None
        return name, password

    def _custom(self) -> tuple[str, str] | None:
        if "x-clickhouse-user" not in self.headers and "x-clickhouse-key" not in self.headers:
            return None
        return self.headers.get("x-clickhouse-user", "default"), self.headers.get(
            "x-clickhouse-key", ""
        )

    def _in_params(self) -> tuple[str, str] | None:
        if "user" not in self.params and "password" not in self.params:
            return None
        return self.params.get("user", "default"), self.params.get("password", "")


def multipart(content_type: str, body: bytes) -> list[Part]:
    """The parts of a multipart/form-data body."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise ServerError(errors.BAD_REQUEST_PARAMETER, "A multipart body needs a boundary")
    delimiter = b"\r\n--" + (found[1] or found[2]).encode()
    pieces = (b"\r\n" + body).split(delimiter)
    return [_part(piece) for piece in pieces[1:] if not piece.startswith(b"--")]


def _part(piece: bytes) -> Part:
    head, _, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    fields = dict(_FIELD.findall(head.decode(errors="replace")))
    if "name" not in fields:
        raise ServerError(errors.BAD_REQUEST_PARAMETER, "A part of the multipart body has no name")
    return Part(fields["name"], data, is_file="filename" in fields)
