"""Dagster in a container: the code location loads and answers, and the webserver over it."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path

import pytest

from tests.containers.image.container import Box, Container
from tests.support.waiting import until

# The first one may have to wait for the image to be built.
pytestmark = pytest.mark.timeout(1200)

ROOT = Path(__file__).parents[3]
HOME = "/opt/dagster/dagster_home"
START_WITHIN_S = 110.0
INSTANCE = (f"--env=DAGSTER_HOME={HOME}", "--env=DAGSTER_DISABLE_TELEMETRY=1")
QUESTION = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
  location { name } assetNodes { id } } } } }"""


def home(folder: Path, port: int) -> tuple[str, ...]:
    """An instance in memory, and where the code location is."""
    workspace = folder / "workspace.yaml"
    text = f"load_from: [grpc_server: {{host: 127.0.0.1, port: {port}, location_name: iot}}]\n"
    workspace.write_text(text, encoding="utf-8")
    workspace.chmod(0o644)
    return (
        *INSTANCE,
        f"--tmpfs={HOME}:uid=10001,gid=10001",
        f"--volume={workspace}:{HOME}/workspace.yaml:ro",
    )


@pytest.mark.parametrize(
    "file", ["compose/dagster/dagster.yaml", "platform/apps/dagster/instance.yaml"]
)
def test_the_image_has_the_driver_of_dagsters_database(box: Box, file: str) -> None:
    """SQLAlchemy finds what the instance's configuration names."""
    text = (ROOT / file).read_text(encoding="utf-8")
    scheme = re.search(r"^ +scheme: (\S+)$", text, re.MULTILINE)
    url = f"{scheme[1] if scheme else 'postgresql'}://user:password@host/dagster"
    look = "import sqlalchemy, sys; print(sqlalchemy.create_engine(sys.argv[1]).dialect.dbapi)"
    assert "psycopg" in box.call("python", "-c", look, url)


def serves(web: Container, port: int) -> bool:
    """Whether the webserver answers; fails with its log when it has ended."""
    assert web.state()["Running"], web.log()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=10):
            return True
    except OSError:
        return False


@pytest.fixture
def code(box: Box, tmp_path: Path, free_port: int) -> tuple[Container, int]:
    """The code location as docker-compose starts it, healthy as its own check says."""
    started = box.start(
        *("dagster", "api", "grpc", "--host=127.0.0.1", f"--port={free_port}"),
        *("--module-name=pipelines.definitions", "--location-name=iot"),
        memory="2g",
        options=(
            *home(tmp_path, free_port),
            f"--health-cmd=dagster api grpc-health-check --port={free_port}",
            "--health-interval=3s",
            "--health-timeout=30s",
            "--health-start-period=120s",
        ),
    )
    until(lambda: started.said("Started Dagster code server"), "a code server", START_WITHIN_S)
    return started, free_port


def test_the_webserver_shows_the_code_location(
    box: Box, code: tuple[Container, int], tmp_path: Path
) -> None:
    """The page's own query finds the location and its assets; SIGTERM ends both."""
    server, port = code
    page = port + 1 if port < 65_535 else port - 1
    web = box.start(
        *("dagster-webserver", "--host=127.0.0.1", f"--port={page}"),
        f"--workspace={HOME}/workspace.yaml",
        memory="768m",
        options=home(tmp_path, port),
    )
    # It says that it serves before it does.
    until(lambda: serves(web, page), "a webserver", START_WITHIN_S)
    asked = urllib.request.Request(
        f"http://127.0.0.1:{page}/graphql",
        data=json.dumps({"query": QUESTION}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:
        nodes = json.load(answer)["data"]["repositoriesOrError"]["nodes"]

    assert [one["location"]["name"] for one in nodes] == ["iot"]
    assert len(nodes[0]["assetNodes"]) > 5
    for container in (web, server):
        code_of_exit, took_s = container.stop(grace_s=60)
        assert code_of_exit == 0, container.log()
        assert took_s < 30
