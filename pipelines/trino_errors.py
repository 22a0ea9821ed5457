"""What an error of Trino means to a run: wait, stop, or it was asked to end."""

from __future__ import annotations

from typing import Any

from requests import Response
from requests.exceptions import SSLError
from trino.exceptions import TrinoQueryError

from pipelines.cancel import Cancel
from pipelines.errors import (
    PipelineError,
    TrinoConflict,
    TrinoLimitReached,
    TrinoRefused,
    TrinoUnavailable,
    TrinoWriteFailed,
    WorkCancelled,
)

# Names of io.trino.spi.StandardErrorCode.
_KILLED = {"ADMINISTRATIVELY_KILLED", "ADMINISTRATIVELY_PREEMPTED", "USER_CANCELED"}
# Of the type INSUFFICIENT_RESOURCES; every other name of that type passes when others end.
_TOO_LARGE = {
    "EXCEEDED_CPU_LIMIT",
    "EXCEEDED_GLOBAL_MEMORY_LIMIT",
    "EXCEEDED_LOCAL_MEMORY_LIMIT",
    "EXCEEDED_SCAN_LIMIT",
    "EXCEEDED_SPILL_LIMIT",
    "EXCEEDED_TIME_LIMIT",
    "EXCEEDED_WRITE_LIMIT",
}
_CONFLICT = {"ICEBERG_COMMIT_ERROR", "TRANSACTION_CONFLICT"}
_WRITING = {"HIVE_WRITER_DATA_ERROR", "HIVE_WRITER_OPEN_ERROR", "ICEBERG_WRITER_DATA_ERROR"}
_MESSAGE_CHARACTERS = 400


def refuse_by_status(response: Response, *_: Any, **__: Any) -> None:
    """Hook of the HTTP session: statuses that the client would hide in an error's text.

    Raises TrinoRefused for credentials and for a server that is no Trino, TrinoUnavailable when
    Trino no longer knows the query. Server errors are left to the client, which tries again.
    """
    status, where = response.status_code, response.url.split("/v1/")[0]
    if status < 400 or status >= 500 or status == 429:
        return
    # Nobody reads the body of a refused request, and an unread one keeps its connection open.
    response.close()
    if status in {401, 403}:
        raise TrinoRefused(
            f"Trino at {where} refuses the user or password of trino.url (IOT_TRINO__URL):"
            f" status {status}"
        )
    if status in {404, 410} and response.request.method != "POST":
        raise TrinoUnavailable(
            f"Trino at {where} no longer knows the query: it was restarted while the query ran"
        )
    raise TrinoRefused(
        f"{where} answers with status {status} and seems to be no Trino; correct trino.url"
        " (IOT_TRINO__URL)"
    )


def translate(error: Exception, where: str, cancel: Cancel) -> PipelineError:
    """The error as a run's decision; ``cancel`` tells whether the query was to end."""
    if isinstance(error, TrinoQueryError):
        return _of_query(error, cancel)
    if cancel.reason is not None:
        return WorkCancelled(f"asked to end: {cancel.reason}")
    cause = error.__cause__ or error.__context__
    if isinstance(error, SSLError) or isinstance(cause, SSLError):
        return TrinoRefused(
            f"Trino's certificate at {where} is not trusted; name the CA in trino.ca_file"
            f" (IOT_TRINO__CA_FILE): {_short(cause or error)}"
        )
    if type(error) is ValueError:
        return TrinoRefused(f"{where} does not answer as Trino does: {_short(error)}")
    return TrinoUnavailable(
        f"Trino at {where} does not answer: {_short(error)}; start it, or correct trino.url"
        " (IOT_TRINO__URL)"
    )


def _of_query(error: TrinoQueryError, cancel: Cancel) -> PipelineError:
    told = f"{error.error_name}: {_short(error.message)} (query {error.query_id})"
    if cancel.reason is not None:
        return WorkCancelled(f"asked to end: {cancel.reason}; Trino said {told}")
    if error.error_name in _KILLED:
        return WorkCancelled(f"somebody killed the query in Trino: {told}")
    if error.error_name in _TOO_LARGE:
        return TrinoLimitReached(f"the statement is larger than Trino allows: {told}")
    if error.error_name in _CONFLICT:
        return TrinoConflict(f"somebody else committed meanwhile: {told}")
    if error.error_name in _WRITING:
        return TrinoWriteFailed(f"Trino could not write a file: {told}")
    if error.error_type == "USER_ERROR":
        return TrinoRefused(f"Trino refuses the statement: {told}")
    return TrinoUnavailable(f"Trino could not finish the statement: {told}")


def _short(what: object) -> str:
    text = str(what).strip() or type(what).__name__
    return text.splitlines()[0][:_MESSAGE_CHARACTERS]
