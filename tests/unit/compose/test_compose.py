"""docker-compose.yml: pinned, bounded, on the loopback only, in order, every file there."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.unit.compose.project import (
    NEEDS,
    PROJECT,
    ROOT,
    SERVICES,
    TEXTS,
    Tree,
    is_job,
    load,
    memory,
    mounts,
)

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
OURS = f"iot-lakehouse:{VERSION}"
EIGHT_GB = 8_000_000_000
# May be left out: without a value they have a default.
OPTIONAL = {"WHEELS", "IOT_TRACE__ENDPOINT"}
EACH = pytest.mark.parametrize("name", SERVICES)


def variables() -> dict[str, bool]:
    """The variables that the files take from `.env`, and whether they must be there."""
    found = re.findall(r"\$\{(\w+)([^}]*)\}", "".join(TEXTS.values()))
    return {name: rest.startswith(":?") for name, rest in found}


def canonical(image: str) -> str:
    """An image's name without Docker Hub's implied parts."""
    return image.removeprefix("docker.io/").removeprefix("library/")


def inventory() -> dict[str, str]:
    """The name of each image of platform/versions.yaml, by its reference."""
    return {
        canonical(
            f"{one['image']}:{one['tag']}" + (f"@{one['digest']}" if one["digest"] else "")
        ): name
        for name, one in load("platform/versions.yaml")["images"].items()
    }


def test_images_are_the_inventorys() -> None:
    """Each image has the tag that platform/versions.yaml says, and no other is used."""
    used = {canonical(str(one["image"])) for one in SERVICES.values()} - {OURS}
    assert used <= inventory().keys()


def test_the_inventory_says_the_same_twice() -> None:
    """A program that the platform takes from a chart and compose as an image has one version."""
    versions = load("platform/versions.yaml")
    for name in ("alloy", "lakekeeper", "loki"):
        assert versions["images"][name]["tag"] == versions["components"][name]["app"]


def test_the_base_image_is_the_inventorys() -> None:
    """Every stage of our own image begins with the same pinned Python."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert len(bases) == 3
    assert {inventory()[canonical(base)] for base in bases} == {"python"}


@EACH
def test_each_has_what_a_container_needs(name: str) -> None:
    """A memory limit, a read-only root, no rights that it does not use, bounded logs, a profile."""
    service = SERVICES[name]
    assert memory(service) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert set(service.get("cap_add", [])) <= {"DAC_OVERRIDE"}
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["profiles"]
    assert set(service["profiles"]) <= NEEDS.keys()
    assert "privileged" not in service
    assert "network_mode" not in service


def test_core_and_lake_fit_eight_gb() -> None:
    """What runs all the time, and the largest job beside it."""
    chosen = [one for one in SERVICES.values() if {"core", "lake"} & set(one["profiles"])]
    staying = sum(memory(one) for one in chosen if not is_job(one))
    assert staying + max(memory(one) for one in chosen if is_job(one)) <= EIGHT_GB


def test_ports_are_published_on_the_loopback_and_once() -> None:
    """Nothing can be reached from another machine."""
    ports = [str(port) for one in SERVICES.values() for port in one.get("ports", [])]
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    outside = [port.split(":")[1] for port in ports]
    assert sorted(set(outside)) == sorted(outside)


@EACH
def test_what_is_waited_for_can_be_seen(name: str) -> None:
    """A server has a health check, a job ends; both are there whenever the waiting one is."""
    for other, how in (SERVICES[name].get("depends_on") or {}).items():
        awaited = SERVICES[other]
        if is_job(awaited):
            assert how["condition"] == "service_completed_successfully"
        else:
            assert how["condition"] == "service_healthy"
            ours = awaited["image"] == OURS
            assert ours or awaited["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
            assert not awaited.get("healthcheck", {}).get("disable")
        for profile in SERVICES[name]["profiles"]:
            assert set(awaited["profiles"]) & NEEDS[profile]


def test_only_jobs_and_the_simulator_have_no_health_check_of_ours() -> None:
    """Our image has one of its own; these answer to nobody."""
    silent = {name for name, one in SERVICES.items() if one.get("healthcheck", {}).get("disable")}
    jobs = {name for name, one in SERVICES.items() if is_job(one) and one["image"] == OURS}
    assert silent >= jobs
    running = {name for name in silent if not is_job(SERVICES[name])}
    assert running == {"simulator"}


def test_settings_of_ours_exist() -> None:
    """Every IOT_ variable is in one of the two tables of settings."""
    tables = ("docs/settings.md", "docs/pipeline-settings.md")
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in tables)
    known = set(re.findall(r"`(IOT_[A-Z0-9_]+)`", text))
    shared = (ROOT / "compose" / "iot.env").read_text(encoding="utf-8")
    used = set(re.findall(r"\bIOT_[A-Z0-9_]+\b", "".join(TEXTS.values()) + shared))
    assert used
    assert used <= known


def test_every_password_is_made_by_make_env() -> None:
    """Each variable is either made or has a default, and none is made for nothing."""
    made = set(runpy.run_path(str(ROOT / "scripts" / "env.py"))["SECRETS"])
    needed = {name for name, required in variables().items() if required}
    assert needed == made
    assert variables().keys() - made <= OPTIONAL


@EACH
def test_no_password_is_written_down(name: str) -> None:
    """What is called password, secret or key comes from a variable."""
    for variable, value in (SERVICES[name].get("environment") or {}).items():
        if re.search(r"PASSWORD|SECRET", variable) or re.search(r"://.*@", str(value)):
            assert "${" in str(value), variable


@EACH
def test_what_is_mounted_is_there(name: str) -> None:
    """Files and folders exist and are read-only; volumes are declared."""
    service = SERVICES[name]
    for entry in service.get("volumes", []):
        source, *_ = str(entry).split(":")
        if source.startswith("./"):
            assert (ROOT / source).exists(), source
            assert entry.endswith(":ro")
        elif not source.startswith("/"):
            assert source in PROJECT["volumes"]
    for file in service.get("env_file", []):
        assert (ROOT / file).is_file()


def test_every_volume_is_used() -> None:
    """A volume that nobody mounts is a mistake in a name."""
    used = {source for one in SERVICES.values() for source, _ in mounts(one)}
    assert set(PROJECT["volumes"]) <= used


def test_only_alloy_has_the_socket_of_docker() -> None:
    """Whoever has it has the machine."""
    having = {name for name, one in SERVICES.items() if "docker.sock" in str(one.get("volumes"))}
    assert having == {"alloy"}


def test_our_image_is_of_this_version_and_built_once() -> None:
    """Settings and commands are those of the code beside them."""
    ours = {name: one for name, one in SERVICES.items() if "iot-lakehouse" in str(one["image"])}
    assert {one["image"] for one in ours.values()} == {OURS}
    assert [name for name, one in ours.items() if "build" in one] == ["ingest-init"]
    users: list[Tree] = [one for one in ours.values() if "user" in one]
    assert users == []


def test_the_image_takes_what_the_build_names() -> None:
    """Everything that the Dockerfile copies is let through to the builder."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = {
        word
        for line in re.findall(r"^COPY ([a-zA-Z].*)", text, re.MULTILINE)
        for word in line.split()[:-1]
    }
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = {line[1:] for line in ignore if line.startswith("!")}
    assert copied <= let_through
    assert all((ROOT / name).exists() for name in copied)


def test_docker_compose_takes_the_file(tmp_path: Path) -> None:
    """Where Docker's plugin is, it reads all profiles without a complaint."""
    docker = shutil.which("docker")
    asked = docker and subprocess.run(
        [docker, "compose", "version"], capture_output=True, check=False
    )
    if not docker or not asked or asked.returncode:
        pytest.skip("docker compose is not here")
    environment = tmp_path / "env"
    lines = [f"{name}=p1\n" for name, required in variables().items() if required]
    environment.write_text("".join(lines), encoding="utf-8")
    command = [
        docker,
        "compose",
        "--env-file",
        str(environment),
        "--profile",
        "*",
        "config",
        "--quiet",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
