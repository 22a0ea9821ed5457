"""Alerts: parse, read metrics that exist, say what to do, and have been tested."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.platform.gate.model import Finding, nodes
from tests.platform.gate.observability import (
    METRICS_FILE,
    SYNTHETIC,
    Rule,
    listed_metrics,
    own_metrics,
    rules,
)
from tests.platform.gate.platform import Platform
from tests.platform.gate.promql import PromqlError, metrics
from tests.platform.gate.rules import rule

SEVERITIES = ("critical", "warning", "info")
RUNBOOK = "runbook/alerts.md"


@rule
def expressions_read_metrics_that_exist(platform: Platform) -> Iterator[Finding]:
    """A mistyped metric makes an alert that never fires."""
    known = own_metrics() | listed_metrics(platform) | SYNTHETIC
    for profile in platform.profiles:
        recorded = {str(one.data["record"]) for one in rules(profile) if "record" in one.data}
        for found in rules(profile):
            try:
                names = metrics(found.expression)
            except PromqlError as error:
                yield _finding(found, "expr", f"does not parse: {error}", "mend the expression")
                continue
            for name in sorted(names - known - recorded):
                yield _finding(
                    found, "expr", f"reads {name}, which nobody exports", _known_from(name)
                )


def _known_from(name: str) -> str:
    if name.startswith("ingest_"):
        return "use a name of docs/metrics.md"
    return f"use a name of {METRICS_FILE}, or add it there with its source"


@rule
def alerts_say_what_to_do(platform: Platform) -> Iterator[Finding]:
    """Severity and component route an alert; summary, description and runbook help who gets it."""
    headings = set(re.findall(r"^## (\S+)\s*$", platform.text(RUNBOOK), re.MULTILINE))
    for profile in platform.profiles:
        base = profile.settings.get("RUNBOOK_URL", "")
        for found in rules(profile):
            if not found.alert:
                continue
            labels = found.data.get("labels") or {}
            notes = found.data.get("annotations") or {}
            if labels.get("severity") not in SEVERITIES:
                yield _finding(
                    found,
                    "labels.severity",
                    f"is {labels.get('severity')}",
                    f"use one of {', '.join(SEVERITIES)}",
                )
            if not labels.get("component"):
                yield _finding(found, "labels.component", "is missing", "name the component")
            for field in ("summary", "description"):
                if not notes.get(field):
                    yield _finding(found, f"annotations.{field}", "is missing", "write it")
            expected = f"{base}/alerts.md#{found.alert.lower()}"
            if notes.get("runbook_url") != expected:
                yield _finding(
                    found,
                    "annotations.runbook_url",
                    f"is {notes.get('runbook_url')}",
                    f"use ${{RUNBOOK_URL}}/alerts.md#{found.alert.lower()}",
                )
            if found.alert not in headings:
                yield _finding(
                    found, "annotations.runbook_url", "has no section", f"add ## {found.alert}"
                )


@rule
def the_runbook_knows_no_other_alert(platform: Platform) -> Iterator[Finding]:
    """A section of an alert that is gone misleads."""
    alerts = {one.alert for profile in platform.profiles for one in rules(profile)}
    for heading in re.findall(r"^## (\S+)\s*$", platform.text(RUNBOOK), re.MULTILINE):
        if re.fullmatch(r"[A-Z][A-Za-z0-9]+", heading) and heading not in alerts and alerts:
            yield Finding(RUNBOOK, f"## {heading}", "is no alert", "remove or rename the section")


@rule
def each_alert_is_tested(platform: Platform) -> Iterator[Finding]:
    """A promtool test in which it fires, and one in which it does not."""
    fires: set[str] = set()
    silent: set[str] = set()
    for document in platform.sources.documents:
        if not document.file.startswith("observability/rules/tests/"):
            continue
        for _, node in nodes(document.data):
            if "alertname" in node:
                (fires if node.get("exp_alerts") else silent).add(str(node["alertname"]))
    for profile in platform.profiles:
        for found in rules(profile):
            # The watchdog always fires: its silence is the alarm, at the other end.
            always = found.expression.strip() == "vector(1)"
            for tests, what in ((fires, "fires"), (silent, "stays silent"))[: 1 if always else 2]:
                if found.alert and found.alert not in tests:
                    yield _finding(
                        found,
                        "test",
                        f"no test shows that it {what}",
                        "add it to observability/rules/tests",
                    )


@rule
def each_component_has_an_alert(platform: Platform) -> Iterator[Finding]:
    """What nobody is told about is found out by its users."""
    for profile in platform.profiles:
        covered = {str((one.data.get("labels") or {}).get("component")) for one in rules(profile)}
        left_out = set((platform.overview.get("left_out") or {}).get(profile.name, []))
        for component in platform.overview.get("alerts_for") or []:
            if component not in covered and component not in left_out:
                yield Finding(
                    "observability/rules",
                    component,
                    f"no alert has the label component: {component} in profile {profile.name}",
                    "add one",
                )


@rule
def alert_names_are_unique(platform: Platform) -> Iterator[Finding]:
    """Two alerts of one name have one runbook section between them."""
    for profile in platform.profiles:
        seen: set[tuple[str, str]] = set()
        for found in rules(profile):
            severity = str((found.data.get("labels") or {}).get("severity"))
            if found.alert and (found.alert, severity) in seen:
                yield _finding(found, "alert", "is declared twice", "rename one of them")
            seen.add((found.alert, severity))


def _finding(found: Rule, field: str, wrong: str, mend: str) -> Finding:
    return found.resource.finding(f"{found.field} {field}", wrong, mend)
