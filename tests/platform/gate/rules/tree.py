"""Every file is applied by some cluster, and every name in a kustomization file exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.platform.gate import sources
from tests.platform.gate.model import Finding, Tree
from tests.platform.gate.platform import Platform, folder_of, opt_in_files
from tests.platform.gate.rules import rule

# Data for other programs that live among the manifests, not resources of a cluster.
OTHERS = re.compile(r"^(host/|secrets/|versions\.yaml|observability/metrics\.yaml)|/tests/")


@rule
def every_resource_is_applied(platform: Platform) -> Iterator[Finding]:
    """A resource file that no cluster reaches is documentation that lies."""
    reached = _reached(platform)
    for file in sorted({document.file for document in platform.sources.resources()}):
        if file in reached or OTHERS.search(file):
            continue
        yield Finding(
            file,
            "",
            "no cluster applies it",
            "name it in its folder's kustomization.yaml and the folder in a Flux Kustomization "
            "that clusters/base lists (opt-in: as a comment `# - file.yaml` there), or delete it",
        )


@rule
def documents_begin_with_a_marker(platform: Platform) -> Iterator[Finding]:
    """Each YAML file begins with `---`, so that files can be joined."""
    for file in sorted({document.file for document in platform.sources.documents}):
        if not platform.text(file).startswith("---\n"):
            yield Finding(file, "line 1", "does not begin with ---", "write --- as its first line")


@rule
def names_are_kebab_case(platform: Platform) -> Iterator[Finding]:
    """Files are named in one way."""
    for file in sorted({document.file for document in platform.sources.documents}):
        name = Path(file).name
        if name == "Chart.yaml":
            continue
        stem = name.removesuffix(".yaml").removesuffix(".yml").removesuffix(".sops")
        if name.endswith(".yml") or not re.fullmatch(r"[a-z0-9]+([.-][a-z0-9]+)*", stem):
            yield Finding(file, "", "is no kebab-case name", "rename it like other-files.yaml")


@rule
def each_profile_is_complete(platform: Platform) -> Iterator[Finding]:
    """A tree without a cluster would pass every other rule."""
    if not platform.profiles:
        yield Finding(
            "clusters",
            "",
            "no profile was found",
            "a profile is clusters/<name> with kustomization.yaml and cluster-settings.yaml",
        )
    for profile in platform.profiles:
        if not profile.flux:
            yield Finding(
                f"clusters/{profile.name}/kustomization.yaml",
                "resources",
                "brings no Flux Kustomization",
                "add ../base",
            )


def _reached(platform: Platform) -> set[str]:
    root = platform.root
    files: set[str] = set()
    folders = {f"clusters/{profile.name}" for profile in platform.profiles}
    folders |= {folder_of(one) for profile in platform.profiles for one in profile.flux.values()}
    for folder in folders:
        _walk(root, root / folder, files)
    for name in opt_in_files(platform.root):
        files.add(f"clusters/base/{name}")
    helmfile = "".join(path.read_text() for path in sorted(root.glob("minio/helmfile*")))
    for path in sorted(root.glob("minio/**/*.yaml")):
        relative = path.relative_to(root / "minio").as_posix()
        if relative in helmfile or any(
            str(parent) in helmfile for parent in Path(relative).parents if str(parent) != "."
        ):
            files.add(path.relative_to(root).as_posix())
    return files


def _walk(root: Path, folder: Path, files: set[str]) -> None:
    path = folder / "kustomization.yaml"
    if not path.is_file():
        return
    files.add(path.relative_to(root).as_posix())
    for tree in sources.parse(path.read_text(encoding="utf-8")):
        for name in _names(tree):
            target = (folder / name).resolve()
            if target.is_dir():
                _walk(root, target, files)
            elif target.is_file() and target.is_relative_to(root.resolve()):
                files.add(target.relative_to(root.resolve()).as_posix())


def _names(tree: Tree) -> Iterator[str]:
    for key in ("resources", "components", "crds", "transformers"):
        yield from (str(name) for name in tree.get(key) or [])
    for key in ("patches", "replacements"):
        for item in tree.get(key) or []:
            if isinstance(item, dict) and "path" in item:
                yield str(item["path"])
    for key in ("configMapGenerator", "secretGenerator"):
        for item in tree.get(key) or []:
            yield from (str(name).rpartition("=")[2] for name in item.get("files") or [])
