"""The platform by the tools that its owner uses: kubeconform, helm, sops with age, gitleaks."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.platform.components import PLATFORM
from tests.platform.gate import schemas
from tests.platform.gate.build import build
from tests.platform.gate.helm import rendered

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
FOLDER = Path(os.environ.get("PLATFORM_TOOLS") or CACHE / "iot-platform-tools")
NO_TOOL = "the Go tools are not here; scripts/platform_tools.sh builds them where Go is"
CATALOGUE = "raw.githubusercontent.com"
NO_CATALOGUE = "no schemas of custom resources here, and the public catalogue cannot be reached"
FOLDERS = sorted(
    path.parent.relative_to(PLATFORM).as_posix()
    for part in ("infrastructure", "apps", "observability", "backup")
    for path in PLATFORM.glob(f"{part}/**/kustomization.yaml")
)


def _tool(name: str) -> str:
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(NO_TOOL)
    return str(path)


def _run(*command: str, given: str | None = None, **environment: str) -> str:
    done = subprocess.run(
        command,
        input=given,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def _reachable(host: str) -> bool:
    try:
        socket.create_connection((host, 443), timeout=5).close()
    except OSError:
        return False
    return True


def test_custom_resources_fit_their_definitions(tmp_path: Path) -> None:
    """Kubeconform agrees with every custom resource that is built."""
    kubeconform = _tool("kubeconform")
    known = schemas.folder()
    if known is None and not _reachable(CATALOGUE):
        pytest.skip(NO_CATALOGUE)
    base = f"{known}/crd" if known else f"https://{CATALOGUE}/datreeio/CRDs-catalog/main"
    settings = yaml.safe_load((PLATFORM / "clusters/homelab/cluster-settings.yaml").read_text())
    text = "\n---\n".join(build(PLATFORM / folder) for folder in FOLDERS)
    for key, value in settings["data"].items():
        text = text.replace("${" + key + "}", value)
    custom = [
        one for one in yaml.safe_load_all(text) if one and "." in one["apiVersion"].split("/")[0]
    ]
    custom = [one for one in custom if not one["apiVersion"].split("/")[0].endswith(".k8s.io")]
    location = base + "/{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json"

    said = _run(
        kubeconform, "-ignore-missing-schemas", "-summary", "-output", "json",
        "-schema-location", location, "-cache", str(tmp_path), "-",
        given=yaml.safe_dump_all(custom),
    )  # fmt: skip

    summary = json.loads(said)["summary"]
    assert summary["invalid"] == summary["errors"] == 0
    assert summary["valid"] > 50


def test_a_secret_makes_the_round_trip(tmp_path: Path) -> None:
    """What the rules of .sops.yaml encrypt for an age key, that key opens again."""
    sops, keygen = _tool("sops"), _tool("age-keygen")
    key = tmp_path / "age.agekey"
    _run(keygen, "-o", str(key))
    public = _run(keygen, "-y", str(key)).strip()
    rules = yaml.safe_load((PLATFORM / ".sops.yaml").read_text(encoding="utf-8"))
    for one in rules["creation_rules"]:
        one["age"] = public
    (tmp_path / ".sops.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    secret = tmp_path / "platform/secrets/example.sops.yaml"
    secret.parent.mkdir(parents=True)
    plain = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "nats-users", "namespace": "nats"},
        "stringData": {"password": "correct horse"},
    }
    secret.write_text(yaml.safe_dump(plain), encoding="utf-8")

    _run(sops, "--config", str(tmp_path / ".sops.yaml"), "--encrypt", "--in-place", str(secret))

    kept = yaml.safe_load(secret.read_text(encoding="utf-8"))
    opened = _run(sops, "--decrypt", str(secret), SOPS_AGE_KEY_FILE=str(key))
    assert kept["metadata"] == plain["metadata"]
    assert kept["stringData"]["password"].startswith("ENC[")
    assert yaml.safe_load(opened)["stringData"] == plain["stringData"]


def test_gitleaks_finds_no_secret(tmp_path: Path) -> None:
    """A second opinion on what is written down in the platform."""
    gitleaks = _tool("gitleaks")
    tree = tmp_path / "platform"
    shutil.copytree(PLATFORM, tree)

    _run(gitleaks, "dir", str(tree), "--no-banner", "--redact", "--exit-code", "1")


@pytest.mark.parametrize(
    "chart", [path.parent.relative_to(PLATFORM).as_posix() for path in PLATFORM.rglob("Chart.yaml")]
)
def test_charts_of_ours_render(chart: str, tmp_path: Path) -> None:
    """Helm lints our own charts and renders them with the Helmfile's values."""
    helm = _tool("helm")
    settings = yaml.safe_load((PLATFORM / "clusters/homelab/cluster-settings.yaml").read_text())
    folder = PLATFORM / chart
    values = [
        path
        for path in sorted(folder.parent.glob("*values*.gotmpl"))
        if folder.name.split("-")[0] in path.name or "setup" in path.name
    ]
    arguments: list[str] = []
    for number, path in enumerate(values):
        copy = tmp_path / f"values-{number}.yaml"
        copy.write_text(rendered(path.read_text(encoding="utf-8"), settings["data"]))
        arguments += ["--values", str(copy)]

    _run(helm, "lint", str(folder), *arguments)
    text = _run(helm, "template", "check", str(folder), "--namespace", "minio-tenant", *arguments)

    assert [one for one in yaml.safe_load_all(text) if one] != []
