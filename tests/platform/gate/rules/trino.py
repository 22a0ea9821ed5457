"""Trino: catalogs complete, property names of its release, nothing open without a password."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.platform.gate.helm import Release
from tests.platform.gate.model import Finding
from tests.platform.gate.platform import Platform
from tests.platform.gate.rules import rule

CATALOGS = {"iceberg", "memory", "tpch", "tpcds"}
# From this release on the native file system is the only one and its switch has a shorter name.
RENAMED = 481
SECRET = re.compile(r"(aws-(access|secret)-key|credential|password)$")


def _releases(platform: Platform) -> Iterator[Release]:
    for profile in platform.profiles:
        release = profile.release("trino")
        if release is not None:
            yield release


@rule
def catalogs_are_complete(platform: Platform) -> Iterator[Finding]:
    """The four catalogs, iceberg over REST with credentials from the environment."""
    for release in _releases(platform):
        found = release.get("catalogs", {})
        for name in sorted(CATALOGS - set(found)):
            yield release.finding(f"values.catalogs.{name}", "is missing", "add it")
        text = str(found.get("iceberg", ""))
        for wanted in ("iceberg.catalog.type=rest", "iceberg.rest-catalog.uri="):
            if found.get("iceberg") and wanted not in text:
                yield release.finding(
                    "values.catalogs.iceberg", f"lacks {wanted}", "connect it to the REST catalog"
                )


@rule
def the_file_system_has_its_present_name(platform: Platform) -> Iterator[Finding]:
    """fs.native-s3.enabled up to 480, fs.s3.enabled from 481 on; the other one stops the server."""
    for release in _releases(platform):
        tag = str(release.get("image.tag") or platform_version(platform))
        number = re.match(r"\d+", tag)
        if number is None:
            yield release.finding("values.image.tag", f"{tag} is no release", "set it")
            continue
        right, wrong = "fs.native-s3.enabled", "fs.s3.enabled"
        if int(number.group()) >= RENAMED:
            right, wrong = wrong, right
        text = str(release.get("catalogs", {}).get("iceberg", ""))
        if re.search(rf"^{re.escape(wrong)}=", text, re.MULTILINE) or (
            text and not re.search(rf"^{re.escape(right)}=true", text, re.MULTILINE)
        ):
            yield release.finding(
                "values.catalogs.iceberg", f"does not fit Trino {tag}", f"write {right}=true"
            )


def platform_version(platform: Platform) -> str:
    """The release of Trino that versions.yaml gives the chart."""
    return str(((platform.versions.get("components") or {}).get("trino") or {}).get("app", ""))


@rule
def secrets_reach_the_pod_unsubstituted(platform: Platform) -> Iterator[Finding]:
    """${ENV:...} must survive Flux: written as $${ENV:...} in the manifest."""
    for release in _releases(platform):
        for name, text in (release.get("catalogs") or {}).items():
            for line in str(text).splitlines():
                key, _, value = line.partition("=")
                secret = SECRET.search(key.strip())
                if secret and not value.strip().startswith("${ENV:"):
                    yield release.finding(
                        f"values.catalogs.{name}",
                        f"{key.strip()} is not taken from the environment",
                        "write $${ENV:NAME} and set the variable from a secret",
                    )


@rule
def clients_have_a_password(platform: Platform) -> Iterator[Finding]:
    """Who reaches Trino from the LAN proves who they are, over TLS."""
    for release in _releases(platform):
        if not release.get("server.config.authenticationType"):
            yield release.finding(
                "values.server.config.authenticationType", "is not set", "set it to PASSWORD"
            )
        if not release.get("server.config.https.enabled"):
            yield release.finding(
                "values.server.config.https.enabled", "is not true", "a password needs HTTPS"
            )
        if release.get("jmx.exporter.enabled"):
            yield release.finding(
                "values.jmx.exporter.enabled",
                "runs an image of a dead registry",
                "scrape /metrics of Trino itself",
            )
