"""What a kubectl command of a document names: commands, options, namespaces, resources."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache

from tests.platform.gate.build import kubectl
from tests.platform.gate.platform import Profile

_NAMED = re.compile(r"^([a-z]+(?:\.[a-z.]+)?)/([a-z0-9][a-z0-9.-]*)$")
_VARIABLE = re.compile(r"[$<>{}*]")
# Commands whose second word is part of the command.
NESTED = {"create", "rollout", "top", "set", "auth", "config", "certificate"}
KINDS = {
    "deployment": "Deployment", "deploy": "Deployment", "statefulset": "StatefulSet",
    "sts": "StatefulSet", "daemonset": "DaemonSet", "cronjob": "CronJob", "cronjobs": "CronJob",
    "configmap": "ConfigMap", "cm": "ConfigMap", "namespace": "Namespace", "ns": "Namespace",
    "helmrelease": "HelmRelease", "hr": "HelmRelease", "kustomization": "Kustomization",
    "ks": "Kustomization", "clickhouseinstallation": "ClickHouseInstallation",
    "chi": "ClickHouseInstallation", "stream": "Stream", "certificate": "Certificate",
    "clusterissuer": "ClusterIssuer", "networkpolicy": "NetworkPolicy", "pvc": "",
}  # fmt: skip


def wrong_words(words: list[str], profile: Profile) -> Iterator[str]:
    """What is wrong with a command's words after `kubectl`, up to `--`."""
    namespace, plain, flags = _sorted(words)
    if namespace and not _VARIABLE.search(namespace) and namespace not in _namespaces(profile):
        yield f"namespace {namespace} is not declared"
    if not plain:
        return
    verb = _verb(plain)
    help_text = _help(*verb)
    if not help_text:
        if not _VARIABLE.search(plain[0]):
            yield f"kubectl has no command {' '.join(verb)}"
        return
    for flag in flags:
        if flag.startswith("--") and not re.search(rf"{re.escape(flag)}\b", help_text):
            yield f"kubectl {' '.join(verb)} has no option {flag}"
    for word in plain[len(verb) :]:
        found = _NAMED.match(word)
        if found and not _known(found.group(1), found.group(2), namespace, profile):
            yield f"{word} is in no manifest of {namespace or 'any namespace'}"


def _sorted(words: list[str]) -> tuple[str, list[str], list[str]]:
    namespace = ""
    plain: list[str] = []
    flags: list[str] = []
    waiting = iter(words)
    for word in waiting:
        if word in {"-n", "--namespace"}:
            namespace = next(waiting, "")
        elif word.startswith("--namespace="):
            namespace = word.partition("=")[2]
        elif word in {"--kubeconfig", "--context"}:
            next(waiting, "")
        elif word.startswith("-"):
            flags.append(word.split("=", 1)[0])
        else:
            plain.append(word)
    return namespace, plain, flags


def _namespaces(profile: Profile) -> set[str]:
    return {one.name for one in profile.of("Namespace")} | {"kube-system", "default"}


def _known(kind: str, name: str, namespace: str, profile: Profile) -> bool:
    short = kind.partition(".")[0]
    wanted = KINDS.get(short) or KINDS.get(short.removesuffix("s"))
    if not wanted:
        return True
    charted = {one.namespace for one in profile.releases} | {
        one.namespace for one in profile.of("ClickHouseInstallation", "FluxInstance")
    }
    made_by_chart = wanted in {"Deployment", "StatefulSet", "DaemonSet", "CronJob", "ConfigMap"}
    if made_by_chart and (not namespace or namespace in charted | {"kube-system"}):
        return True
    return any(
        one.name == name and (not namespace or one.namespace in {"", namespace})
        for one in profile.of(wanted)
    )


def _verb(plain: list[str]) -> tuple[str, ...]:
    """The words that are the command itself, such as `create secret generic`."""
    depth = 1
    if plain[0] in NESTED:
        depth = 3 if plain[:2] in (["create", "secret"], ["create", "service"]) else 2
    return tuple(plain[:depth])


@cache
def _help(*verb: str) -> str:
    """Help of a kubectl command with the options that all of them have; empty when unknown."""
    text = ""
    for arguments in ((*verb, "--help"), ("options",)):
        done = subprocess.run(
            [kubectl(), *arguments], capture_output=True, text=True, timeout=20, check=False
        )
        if done.returncode != 0:
            return ""
        text += done.stdout
    return text if "Usage:" in text else ""
