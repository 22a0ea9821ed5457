# ruff: noqa: INP001, S607 - a folder that is run, in no package; the kubectl of PATH is meant
"""The cluster as kubectl shows it: objects, programs inside pods, and the site's settings."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from report import CheckError

KUBECONFIG = "~/.kube/homelab"


@dataclass(frozen=True)
class Cluster:
    """One cluster, by its kubeconfig."""

    kubeconfig: Path
    timeout_s: float = 120.0

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl; what it printed, or CheckError with what it complained of."""
        try:
            done = subprocess.run(
                ["kubectl", "--kubeconfig", str(self.kubeconfig), *arguments],
                input=stdin,
                capture_output=True,
                text=True,
                timeout=self.timeout_s,
                check=False,
                env=os.environ | {"LC_ALL": "C"},
            )
        except FileNotFoundError as error:
            raise CheckError(
                "kubectl is not on PATH: install it, see runbook/bootstrap.md"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise CheckError(
                f"kubectl {arguments[0]}: no answer in {self.timeout_s:.0f} s"
            ) from error
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
            raise CheckError(f"kubectl {arguments[0]}: exit {done.returncode}: {said[-1][:300]}")
        return done.stdout

    def get(self, kind: str, *, namespace: str | None = None) -> list[dict[str, Any]]:
        """Every object of a kind, of one namespace or of all."""
        where = ["--namespace", namespace] if namespace else ["--all-namespaces"]
        items = json.loads(self.kubectl("get", kind, *where, "--output", "json"))["items"]
        return list(items)

    def inside(self, namespace: str, pod: str, *command: str, stdin: str | None = None) -> str:
        """Run a program in a pod (`pod/name`, `statefulset/name`); with stdin it is fed that."""
        feed = ["--stdin"] if stdin is not None else []
        return self.kubectl(
            "exec", "--namespace", namespace, pod, *feed, "--", *command, stdin=stdin
        )

    def raw(self, path: str) -> str:
        """One GET of the API server, also through it to a Service."""
        return self.kubectl("get", "--raw", path)

    @cached_property
    def settings(self) -> dict[str, str]:
        """The site's settings, as Flux puts them into the manifests."""
        text = self.kubectl(
            "get", "configmap", "cluster-settings", "--namespace", "flux-system", "--output", "json"
        )
        return dict(json.loads(text)["data"])

    @cached_property
    def authority(self) -> str:
        """The cluster's own CA, which signs MinIO's certificates."""
        text = self.kubectl(
            "get", "configmap", "kube-root-ca.crt", "--namespace", "default", "--output", "json"
        )
        return str(json.loads(text)["data"]["ca.crt"])


def condition(item: dict[str, Any], kind: str) -> tuple[str, str]:
    """Status and message of one condition of an object; unknown when there is none."""
    for found in item.get("status", {}).get("conditions", []):
        if found["type"] == kind:
            return str(found["status"]), str(found.get("message", ""))
    return "Unknown", f"no condition {kind}"


def full_name(item: dict[str, Any]) -> str:
    """Namespace and name of an object."""
    place = item["metadata"].get("namespace")
    return f"{place}/{item['metadata']['name']}" if place else str(item["metadata"]["name"])


def moment(text: str) -> datetime:
    """A Kubernetes time, which ends in Z."""
    return datetime.fromisoformat(text)


def none_of(bad: list[str], good: str) -> str:
    """CheckError with the first bad ones, or what is good."""
    if bad:
        more = f", and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise CheckError("; ".join(bad[:5]) + more)
    return good
