"""Flux's variable substitution after a build, as far as manifests may use it.

Flux knows ``${KEY}``, ``${KEY:=default}`` and ``${KEY:-default}``; ``$${`` is a literal ``${``.
Other forms of its envsubst (cutting, replacing) are refused here: one way to write a thing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

DISABLED = "kustomize.toolkit.fluxcd.io/substitute"
_REFERENCE = re.compile(r"(\$?)\$\{([^}]*)\}")
_KEY = re.compile(r"^([A-Za-z_][A-Za-z0-9_]*)(?:(:=|:-|=|-)(.*))?$")


class SubstitutionError(ValueError):
    """A reference that Flux would refuse or empty silently."""


def substitute(text: str, settings: Mapping[str, str]) -> str:
    """The text with every reference replaced; raises on a key that no setting gives."""

    def replace(found: re.Match[str]) -> str:
        escaped, inside = found.group(1), found.group(2)
        if escaped:
            return "${" + inside + "}"
        known = _KEY.match(inside)
        if known is None:
            raise SubstitutionError(f"${{{inside}}} is no setting's name")
        key, default = known.group(1), known.group(3)
        if key in settings:
            return settings[key]
        if default is None:
            raise SubstitutionError(f"${{{key}}} is set by no profile and would become empty")
        return default

    return _REFERENCE.sub(replace, text)


def references(text: str) -> set[str]:
    """Names of the settings that a text refers to."""
    return {
        known.group(1)
        for found in _REFERENCE.finditer(text)
        if not found.group(1) and (known := _KEY.match(found.group(2)))
    }
