"""The whole platform: its sources, and per profile everything that Flux would apply."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import yaml

from tests.platform.gate import build, sources
from tests.platform.gate.helm import Release, helmfile_releases, release_of
from tests.platform.gate.model import Finding, Resource, Tree, dig
from tests.platform.gate.substitution import DISABLED, SubstitutionError, substitute

PREFIX = "platform/"
OPT_IN = re.compile(r"^\s*#\s*-\s*([\w./-]+\.yaml)", re.MULTILINE)
FLUX_KUSTOMIZATION = "kustomize.toolkit.fluxcd.io"


@dataclass
class Profile:
    """One cluster: its settings, its Flux Kustomizations and all resources."""

    name: str
    settings: dict[str, str]
    resources: list[Resource] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    helmfile: list[Release] = field(default_factory=list)

    def of(self, *kinds: str) -> Iterator[Resource]:
        """Resources of these kinds."""
        return (found for found in self.resources if found.kind in kinds)

    @cached_property
    def flux(self) -> dict[str, Resource]:
        """Flux Kustomizations by name."""
        return {
            found.name: found
            for found in self.resources
            if found.kind == "Kustomization" and found.group == FLUX_KUSTOMIZATION
        }

    @cached_property
    def releases(self) -> list[Release]:
        """Every Helm release: Flux's and the Helmfile's."""
        flux = [release_of(found, self.resources) for found in self.of("HelmRelease")]
        return [*flux, *self.helmfile]

    def release(self, chart: str) -> Release | None:
        """The release of a chart, if there is one."""
        return next((found for found in self.releases if found.chart == chart), None)

    def folder(self, name: str) -> str:
        """The folder of a Flux Kustomization, relative to the platform."""
        return folder_of(self.flux[name])

    def ancestors(self, name: str) -> set[str]:
        """Everything that a Kustomization waits for, however far."""
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            for before in depends_on(self.flux.get(waiting.pop())):
                if before not in seen:
                    seen.add(before)
                    waiting.append(before)
        return seen


@dataclass
class Platform:
    """A platform folder as rules see it."""

    root: Path
    sources: sources.Sources
    profiles: list[Profile]
    overview: Tree
    charts: Tree

    @property
    def repository(self) -> Path:
        """The folder that holds the platform's."""
        return self.root.parent

    @cached_property
    def versions(self) -> Tree:
        """versions.yaml."""
        return self._one("versions.yaml")

    @cached_property
    def contract(self) -> list[Tree]:
        """The secrets that secrets/contract.yaml promises."""
        return [
            found
            for found in self._one("secrets/contract.yaml").get("secrets") or []
            if isinstance(found, dict)
        ]

    def text(self, file: str) -> str:
        """The text of a file, empty when it is missing."""
        path = self.root / file
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def _one(self, file: str) -> Tree:
        found = self.sources.of(file)
        return found[0].data if found else {}


def depends_on(kustomization: Resource | None) -> list[str]:
    """Names that a Flux Kustomization waits for."""
    if kustomization is None:
        return []
    return [str(found.get("name")) for found in kustomization.get("spec.dependsOn") or []]


def folder_of(kustomization: Resource) -> str:
    """spec.path relative to the platform folder."""
    written = str(kustomization.get("spec.path", "")).removeprefix("./")
    return written.removeprefix(PREFIX).rstrip("/") if written.startswith(PREFIX) else written


def load(root: Path, *, overview: Path, charts: Path) -> Platform:
    """Read, build and substitute a platform folder."""
    read = sources.read(root)
    profiles = [_profile(root, read, path) for path in sorted(root.glob("clusters/*/"))]
    return Platform(
        root=root,
        sources=read,
        profiles=[found for found in profiles if found is not None],
        overview=yaml.safe_load(overview.read_text(encoding="utf-8")),
        charts=yaml.safe_load(charts.read_text(encoding="utf-8")),
    )


def _profile(root: Path, read: sources.Sources, folder: Path) -> Profile | None:
    name = folder.name
    documents = read.of(f"clusters/{name}/cluster-settings.yaml")
    if not documents or not (folder / "kustomization.yaml").is_file():
        return None
    settings = {
        str(key): str(value) for key, value in dig(documents[0].data, "data", default={}).items()
    }
    profile = Profile(name, settings)
    where = _places(read)
    _apply(profile, root, where, f"clusters/{name}", owner="")
    for file in opt_in_files(root):
        # What a site may switch on must be sound before it does.
        for document in read.of(f"clusters/base/{file}"):
            profile.resources.append(Resource(document.data, document.file, "", name))
    flux = list(profile.flux.values())
    with ThreadPoolExecutor(max_workers=2) as pool:
        # Builds run side by side; what they make is added in order.
        list(pool.map(lambda found: _try_build(root / folder_of(found)), flux))
    for kustomization in flux:
        _apply(profile, root, where, folder_of(kustomization), owner=kustomization.name)
    helmfile, findings = helmfile_releases(root, settings, name)
    profile.helmfile = helmfile
    profile.findings += findings
    return profile


def _try_build(folder: Path) -> None:
    try:
        build.build(folder)
    except build.BuildError:
        return


def opt_in_files(root: Path) -> list[str]:
    """Flux Kustomizations that clusters/base names in comments only."""
    path = root / "clusters/base/kustomization.yaml"
    named = OPT_IN.findall(path.read_text(encoding="utf-8")) if path.is_file() else []
    return [name for name in named if (path.parent / name).is_file()]


Places = dict[tuple[str, str], list[str]]


def _places(read: sources.Sources) -> Places:
    found: Places = {}
    for document in read.resources():
        key = (str(document.data["kind"]), str(dig(document.data, "metadata", "name")))
        found.setdefault(key, []).append(document.file)
    return found


def _apply(profile: Profile, root: Path, where: Places, folder: str, *, owner: str) -> None:
    """Build a folder and add what it makes to the profile."""
    try:
        text = build.build(root / folder)
    except build.BuildError as error:
        failed = str(error).replace(str(root), "platform")
        profile.findings.append(
            Finding(
                f"{folder}/kustomization.yaml", "", f"cannot be built: {failed}", "mend it", "build"
            )
        )
        return
    for piece in _split(text):
        _add(profile, where, folder, owner, piece)


def _split(text: str) -> list[str]:
    return [piece for piece in ("\n" + text).split("\n---\n") if piece.strip()]


def _add(profile: Profile, where: Places, folder: str, owner: str, piece: str) -> None:
    data = sources.parse_one(piece)
    file = _place(where, folder, data)
    resource = Resource(data, file, owner, profile.name)
    disabled = "disabled" in (resource.annotations.get(DISABLED), resource.labels.get(DISABLED))
    if owner and not disabled:
        try:
            data = sources.parse_one(substitute(piece, _settings(profile, owner)))
        except SubstitutionError as cannot:
            profile.findings.append(
                Finding(
                    file,
                    resource.title,
                    str(cannot),
                    "add it to every cluster-settings.yaml, or write $${...} for a literal",
                    "substitution",
                )
            )
        except yaml.YAMLError as error:
            profile.findings.append(
                Finding(
                    file,
                    resource.title,
                    f"no YAML any more: {error}",
                    "quote the value in its setting",
                    "substitution",
                )
            )
    profile.resources.append(Resource(data, file, owner, profile.name))


def _settings(profile: Profile, owner: str) -> dict[str, str]:
    """What Flux puts in: the profile's settings, and above them the Kustomization's own."""
    own = profile.flux[owner].get("spec.postBuild.substitute") if owner in profile.flux else None
    return profile.settings | {str(key): str(value) for key, value in (own or {}).items()}


def _place(where: Places, folder: str, data: Tree) -> str:
    """The file that a built resource comes from, else its folder's kustomization file."""
    kind, name = str(data.get("kind")), str(dig(data, "metadata", "name", default=""))
    files = where.get((kind, name), [])
    near = [file for file in files if file.startswith(folder + "/")]
    if near or files:
        return (near or files)[0]
    return f"{folder}/kustomization.yaml"
