"""Every YAML file of the platform as it is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from tests.platform.gate.model import Document, Finding

# Read by other programs in their own dialect, never applied.
NOT_MANIFESTS = (".sops.yaml", ".yamllint")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Sources:
    """The documents of a tree, and what could not be read."""

    documents: tuple[Document, ...]
    findings: tuple[Finding, ...]

    def resources(self) -> Iterator[Document]:
        """Documents that are Kubernetes resources."""
        return (document for document in self.documents if document.is_resource)

    def of(self, file: str) -> list[Document]:
        """The documents of one file."""
        return [document for document in self.documents if document.file == file]


def parse(text: str) -> list[Any]:
    """All documents of a YAML text that are not empty."""
    return [found for found in yaml.load_all(text, Loader=_Loader) if found is not None]


@lru_cache(maxsize=4096)
def parse_one(text: str) -> Any:
    """One document, parsed once for all profiles; nobody changes what it gives."""
    found = parse(text)
    return found[0] if found else {}


def read(root: Path) -> Sources:
    """Parse each *.yaml of a tree."""
    documents: list[Document] = []
    findings: list[Finding] = []
    for path in sorted(root.rglob("*.y*ml")):
        file = path.relative_to(root).as_posix()
        if path.name in NOT_MANIFESTS:
            continue
        try:
            found = parse(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            findings.append(
                Finding(
                    file, "", f"no YAML: {' '.join(str(error).split())}", "mend the syntax", "yaml"
                )
            )
            continue
        documents += [Document(file, data) for data in found if isinstance(data, dict)]
    return Sources(tuple(documents), tuple(findings))
