"""What is in the image, and what is not."""

from __future__ import annotations

import json

import pytest

from tests.containers.image.container import Box, docker

# The first one may have to wait for the image to be built.
pytestmark = pytest.mark.timeout(1200)

# What it had when this was written, and little more: growth is to be noticed.
LARGEST_MB = 800
OWN_FOLDERS = {"/opt/dagster/dagster_home", "/spool", "/srv/access"}

WALK = """
import json, os, stat
found = {"more rights": [], "writable": [], "own": [], "links": []}
for folder, names, files in os.walk("/"):
    if folder in {"/", "/dev", "/proc", "/sys", "/tmp"}:
        names[:] = [name for name in names if name not in {"dev", "proc", "sys", "tmp"}]
    for name in [*files, *names]:
        path = os.path.join(folder, name)
        one = os.lstat(path)
        if stat.S_ISLNK(one.st_mode):
            if not os.path.exists(path) and folder.startswith("/opt"):
                found["links"].append(path)
            continue
        if stat.S_ISREG(one.st_mode) and one.st_mode & (stat.S_ISUID | stat.S_ISGID):
            found["more rights"].append(path)
        if one.st_mode & stat.S_IWOTH and not one.st_mode & stat.S_ISVTX:
            found["writable"].append(path)
        if one.st_uid == 10001 or one.st_gid == 10001:
            found["own"].append(path)
print(json.dumps(found))
"""

IMPORT_ALL = """
import importlib, pkgutil, sys
names = []
for top in ("ingest", "pipelines", "simulator"):
    package = importlib.import_module(top)
    names += [one.name for one in pkgutil.walk_packages(package.__path__, top + ".")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names))
"""

LIBRARIES = """
import matplotlib
matplotlib.use("Agg")
import boto3, io, matplotlib.pyplot, numpy.testing, psycopg2, pyiceberg_core, sqlalchemy
import dagster_k8s, dagster_postgres, kubernetes.client, grpc, cryptography.x509
import pyarrow, pyarrow.compute, pyarrow.dataset, pyarrow.fs, pyarrow.ipc, pyarrow.parquet
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
matplotlib.pyplot.plot([1, 2]); matplotlib.pyplot.savefig(io.BytesIO())
pyarrow.fs.S3FileSystem(region="us-east-1", access_key="a", secret_key="b")
for service in ("s3", "sts"):
    boto3.client(service, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
table = pyarrow.table({"a": [1, 2]})
pyarrow.parquet.write_table(table, "/tmp/t.parquet", compression="zstd")
assert pyarrow.dataset.dataset("/tmp/t.parquet").to_table() == table
"""


def test_it_is_as_small_as_it_was(image: str) -> None:
    """The image has not grown by more than a little."""
    size = int(docker("image", "inspect", "--format={{.Size}}", image))
    assert size / 1e6 < LARGEST_MB


def test_who_it_runs_as_and_what_docker_is_told(image: str) -> None:
    """A user with a number, a health check without a shell, a command that explains itself."""
    told = docker("image", "inspect", "--format={{json .Config}}", image)
    config = json.loads(told)
    assert config["User"] == "10001:10001"
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert config["Cmd"] == ["ingest", "--help"]
    assert not config.get("Entrypoint")
    named = " ".join(config["Env"]).upper()
    assert not any(word in named for word in ("PASSWORD", "SECRET", "PIP_"))


def test_nobody_gets_more_rights_and_nothing_of_others_can_be_changed(box: Box) -> None:
    """No setuid file, nothing that all may write, and only the folders of volumes are its own."""
    told = docker("run", "--rm", "--user=0", "--read-only", box.image, "python", "-c", WALK)
    found = json.loads(told)
    assert found["more rights"] == []
    assert found["writable"] == []
    assert found["links"] == []
    assert set(found["own"]) == OWN_FOLDERS


@pytest.mark.parametrize(
    "name", ["pip", "ensurepip", "hatchling", "setuptools", "pytest", "chdb", "nats_server"]
)
def test_what_builds_and_tests_stayed_behind(box: Box, name: str) -> None:
    """Nothing installs packages, nothing of the embedded platform's engines is there."""
    look = "import importlib.util, sys; print(importlib.util.find_spec(sys.argv[1]))"
    assert box.call("python", "-c", look, name).strip() == "None"


def test_there_is_no_compiler_and_no_wheel(box: Box) -> None:
    """What made the image is not in it."""
    look = """
import pathlib, shutil
print([one for one in ("cc", "gcc", "make", "git", "pip", "curl", "wget") if shutil.which(one)])
tops = [pathlib.Path(top) for top in ("/opt", "/src", "/wheels", "/usr")]
print([str(one) for top in tops for one in top.rglob("*.whl")])
"""
    assert box.call("python", "-c", look).split("\n")[:2] == ["[]", "[]"]


def test_every_module_of_ours_can_be_imported(box: Box) -> None:
    """Nothing that was left out is missed by a module of ours."""
    assert int(box.call("python", "-W", "ignore", "-c", IMPORT_ALL, memory="1g")) > 100


def test_what_was_left_out_of_libraries_is_not_missed(box: Box) -> None:
    """Arrow writes and reads Parquet and opens S3, a figure is drawn, clients of S3 are made."""
    assert box.call("python", "-W", "error", "-c", LIBRARIES, memory="1g") == ""
