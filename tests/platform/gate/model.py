"""What rules look at and what they say: resources as Kubernetes would get them, and findings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Tree = dict[str, Any]


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is wrong, where, and how to mend it."""

    file: str
    field: str
    wrong: str
    mend: str
    rule: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.field}: {self.wrong}; {self.mend} ({self.rule})"


@dataclass(frozen=True)
class Document:
    """One YAML document as it is written, before anything is built."""

    file: str
    data: Tree

    @property
    def is_resource(self) -> bool:
        """True for Kubernetes resources, false for kustomization files, values and the like."""
        return (
            "apiVersion" in self.data
            and "kind" in self.data
            and "name" in dig(self.data, "metadata", default={})
        )


@dataclass(frozen=True)
class Resource:
    """One resource as Flux would apply it in a profile."""

    data: Tree
    file: str
    owner: str
    profile: str

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.data.get("kind", ""))

    @property
    def api_version(self) -> str:
        """Group and version."""
        return str(self.data.get("apiVersion", ""))

    @property
    def group(self) -> str:
        """The API group; empty for the core."""
        return self.api_version.rpartition("/")[0]

    @property
    def name(self) -> str:
        """metadata.name."""
        return str(dig(self.data, "metadata", "name", default=""))

    @property
    def namespace(self) -> str:
        """metadata.namespace; empty for cluster-scoped kinds."""
        return str(dig(self.data, "metadata", "namespace", default=""))

    @property
    def labels(self) -> dict[str, str]:
        """metadata.labels."""
        return dict(dig(self.data, "metadata", "labels", default={}) or {})

    @property
    def annotations(self) -> dict[str, str]:
        """metadata.annotations."""
        return dict(dig(self.data, "metadata", "annotations", default={}) or {})

    @property
    def title(self) -> str:
        """Kind and name, for messages."""
        return f"{self.kind} {self.name}"

    def get(self, path: str, default: Any = None) -> Any:
        """The value at a dotted path, for keys without dots."""
        return dig(self.data, *path.split("."), default=default)

    def finding(self, field: str, wrong: str, mend: str) -> Finding:
        """A finding about a field of this resource."""
        return Finding(self.file, f"{self.title} {field}".strip(), wrong, mend)


def dig(tree: Any, *keys: str | int, default: Any = None) -> Any:
    """The value under a row of keys (numbers go into lists), or the default."""
    for key in keys:
        if isinstance(tree, dict):
            tree = tree.get(key)
        elif isinstance(tree, list) and str(key).isdigit() and int(key) < len(tree):
            tree = tree[int(key)]
        else:
            return default
        if tree is None:
            return default
    return tree


def leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every scalar of a tree with its path."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, (*path, str(key)))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from leaves(value, (*path, str(index)))
    else:
        yield path, tree


def nodes(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Tree]]:
    """Every mapping of a tree with its path."""
    if isinstance(tree, dict):
        yield path, tree
        for key, value in tree.items():
            yield from nodes(value, (*path, str(key)))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from nodes(value, (*path, str(index)))
