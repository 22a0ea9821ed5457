"""Connection to the Iceberg REST catalog, set so that nothing is sent twice by itself."""

from __future__ import annotations

from functools import partial
from typing import Any

from pyiceberg.catalog import Catalog
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import ForbiddenError, OAuthError, RESTError, UnauthorizedError
from requests import RequestException, Session

from ingest.errors import SettingsError, SinkUnavailableError
from ingest.settings import Settings

TIMEOUT_PROPERTY = "ingest.timeout-s"


class _TimedCatalog(RestCatalog):
    """pyiceberg's requests have no time limit of their own, not even the first one."""

    def _create_session(self) -> Session:
        session = super()._create_session()
        limit_s = float(self.properties[TIMEOUT_PROPERTY])
        session.request = partial(session.request, timeout=limit_s)  # type: ignore[method-assign]
        return session


def connect(settings: Settings) -> Catalog:
    """The catalog. Raises SinkUnavailableError, or SettingsError when credentials are refused."""
    properties: dict[str, Any] = {
        "uri": settings.catalog.uri,
        "warehouse": settings.catalog.warehouse,
        "s3.endpoint": settings.s3.endpoint,
        "s3.access-key-id": settings.s3.access_key.get_secret_value(),
        "s3.secret-access-key": settings.s3.secret_key.get_secret_value(),
        "s3.region": settings.s3.region,
        "s3.force-virtual-addressing": str(settings.s3.addressing == "virtual").lower(),
        "s3.connect-timeout": "5",
        "s3.request-timeout": str(settings.catalog.timeout_s),
        TIMEOUT_PROPERTY: str(settings.catalog.timeout_s),
        "py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO",
        **_auth(settings),
    }
    try:
        return _TimedCatalog("lake", **properties)
    except (RESTError, RequestException, OSError) as error:
        raise unavailable(error) from error


def unavailable(error: Exception) -> SinkUnavailableError | SettingsError:
    """A catalog or object store error as a writer's decision."""
    if isinstance(error, UnauthorizedError | ForbiddenError | OAuthError):
        return SettingsError(
            f"the Iceberg catalog refuses the credentials (s3.access_key, catalog.auth,"
            f" catalog.credential): {error}"
        )
    return SinkUnavailableError(
        f"the Iceberg catalog or its object store fails: {type(error).__name__}: {error}"
    )


def _auth(settings: Settings) -> dict[str, str]:
    if settings.catalog.auth == "sigv4":
        return {
            "rest.sigv4-enabled": "true",
            "rest.signing-name": settings.catalog.signing_name,
            "rest.signing-region": settings.s3.region,
            # The adapter's own default sends a request up to ten times more.
            "rest.sigv4.max-retries": "0",
            "client.access-key-id": settings.s3.access_key.get_secret_value(),
            "client.secret-access-key": settings.s3.secret_key.get_secret_value(),
            "client.region": settings.s3.region,
        }
    if settings.catalog.auth == "oauth2" and settings.catalog.credential:
        server_uri = settings.catalog.oauth2_server_uri
        return {
            "credential": settings.catalog.credential.get_secret_value(),
            "scope": settings.catalog.oauth2_scope,
            **({"oauth2-server-uri": server_uri} if server_uri else {}),
        }
    return {}
