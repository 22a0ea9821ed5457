"""What could not be run here, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Untested:
    """One row of the table."""

    part: str
    server: str
    why: str


UNTESTED = (
    Untested(
        "ClickHouse",
        "ClickHouse's own server, any version; engines 24.8 to 25.12",
        "no package registry has the server, and chdb-core begins with 26.1; the older package chdb"
        " was not tried. 26.1 to 26.9 were run behind the embedded platform's HTTP server",
    ),
    Untested("ClickHouse", "Replicated tables, ClickHouse Cloud", "needs the server"),
    Untested("S3", "AWS S3, Ceph, Garage, Silo", "no package registry has them"),
    Untested(
        "catalog",
        "Lakekeeper (what docker-compose.yml and the platform use)",
        "its server is published as a binary and an image only",
    ),
    Untested(
        "catalog",
        "Apache Polaris, with vended credentials of limited time",
        "Maven Central has its modules in part only, and no server. It wants"
        ' `catalog.oauth2_scope = "PRINCIPAL_ROLE:ALL"`',
    ),
    Untested("catalog", "Nessie, Gravitino, Unity Catalog, AWS Glue, S3 Tables", "not tried"),
    Untested(
        "catalog",
        "a token server apart from the catalog",
        "`catalog.oauth2_server_uri` was run with the catalog's own token endpoint",
    ),
)
