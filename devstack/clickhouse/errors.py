"""Errors as a ClickHouse server reports them: code, name, text and HTTP status."""

from __future__ import annotations

import re

ACCESS_DENIED = 497
AUTHENTICATION_FAILED = 516
BAD_ARGUMENTS = 36
BAD_REQUEST_PARAMETER = 408
INVALID_SESSION_TIMEOUT = 374
NOT_IMPLEMENTED = 48
QUERY_IS_TOO_LARGE = 229
QUERY_WAS_CANCELLED = 394
QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING = 216
READONLY = 164
SESSION_IS_LOCKED = 373
SESSION_NOT_FOUND = 372
SUPPORT_IS_DISABLED = 344
SYNTAX_ERROR = 62
TOO_MANY_BYTES = 307
UNKNOWN_COMPRESSION_METHOD = 89
UNKNOWN_EXCEPTION = 1002
UNKNOWN_FORMAT = 73
UNKNOWN_SETTING = 115
UNKNOWN_TYPE_OF_QUERY = 78

_NAMES = {
    ACCESS_DENIED: "ACCESS_DENIED",
    AUTHENTICATION_FAILED: "AUTHENTICATION_FAILED",
    BAD_ARGUMENTS: "BAD_ARGUMENTS",
    BAD_REQUEST_PARAMETER: "BAD_REQUEST_PARAMETER",
    INVALID_SESSION_TIMEOUT: "INVALID_SESSION_TIMEOUT",
    NOT_IMPLEMENTED: "NOT_IMPLEMENTED",
    QUERY_IS_TOO_LARGE: "QUERY_IS_TOO_LARGE",
    QUERY_WAS_CANCELLED: "QUERY_WAS_CANCELLED",
    QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING: "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
    READONLY: "READONLY",
    SESSION_IS_LOCKED: "SESSION_IS_LOCKED",
    SESSION_NOT_FOUND: "SESSION_NOT_FOUND",
    SUPPORT_IS_DISABLED: "SUPPORT_IS_DISABLED",
    SYNTAX_ERROR: "SYNTAX_ERROR",
    TOO_MANY_BYTES: "TOO_MANY_BYTES",
    UNKNOWN_COMPRESSION_METHOD: "UNKNOWN_COMPRESSION_METHOD",
    UNKNOWN_EXCEPTION: "UNKNOWN_EXCEPTION",
    UNKNOWN_FORMAT: "UNKNOWN_FORMAT",
    UNKNOWN_SETTING: "UNKNOWN_SETTING",
    UNKNOWN_TYPE_OF_QUERY: "UNKNOWN_TYPE_OF_QUERY",
}

# The server's own table of which codes are the client's fault; everything else is 500.
_STATUS = {
    400: {
        *(6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321),
        *(376, 427, 441, 675, 676),
    },
    401: {194},
    403: {192, 193, 497, 512, 516},
    404: {46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511},
    408: {159},
    411: {381},
    413: {229},
    415: {779},
    501: {48},
    503: {76, 209, 439},
}
_STATUS_BY_CODE = {code: status for status, codes in _STATUS.items() for code in codes}

_ENGINE_CODE = re.compile(r"Code: (\d+)\. DB::Exception: ")
_ENGINE_NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)\s*$")


class ServerError(Exception):
    """A request that failed: `code` and `name` are ClickHouse's, `text` is for people."""

    def __init__(self, code: int, text: str, *, name: str | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.name = name or _NAMES.get(code, "UNKNOWN_EXCEPTION")
        self.text = text

    @property
    def status(self) -> int:
        """HTTP status that the real server gives for the code."""
        return _STATUS_BY_CODE.get(self.code, 500)

    def body(self, version: str) -> str:
        """The response body, worded as the real server words it; ends with a newline."""
        return (
            f"Code: {self.code}. DB::Exception: {self.text} ({self.name}) "
            f"(version {version} (official build))\n"
        )


def from_engine(message: str) -> ServerError:
    """The error that an engine message stands for; unknown shapes become code 1002."""
    found = _ENGINE_CODE.search(message)
    if found is None:
        return ServerError(UNKNOWN_EXCEPTION, message.strip())
    text = message[found.end() :].strip()
    name = _ENGINE_NAME.search(text)
    if name is None:
        return ServerError(int(found[1]), text)
    return ServerError(int(found[1]), text[: name.start()].rstrip(), name=name[1])
