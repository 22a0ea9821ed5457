"""The rules, one module a family. A rule is a function from the platform to findings."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.platform.gate.model import Finding
from tests.platform.gate.platform import Platform

Rule = Callable[[Platform], Iterator[Finding]]
_rules: dict[str, Rule] = {}


def rule(function: Rule) -> Rule:
    """Take a function into the gate under its own name."""
    family = function.__module__.rsplit(".", 1)[-1]
    _rules[f"{family}.{function.__name__}"] = function
    return function


def all_rules() -> dict[str, Rule]:
    """Every rule by name."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(sorted(_rules.items()))


def check(platform: Platform) -> list[Finding]:
    """What all rules find, each thing once, sorted by file."""
    found: set[Finding] = set(platform.sources.findings)
    for profile in platform.profiles:
        found |= set(profile.findings)
    for name, function in all_rules().items():
        found |= {replace(finding, rule=name) for finding in _run(name, function, platform)}
    return sorted(found)


def _run(name: str, function: Rule, platform: Platform) -> list[Finding]:
    """A rule's findings; what it cannot read is a finding, and the others still run."""
    try:
        return list(function(platform))
    except (ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        wrong = f"the rule {name} cannot read this: {type(error).__name__}: {error}"
        return [Finding("", "", wrong, "write the value in the form that the API asks for")]
