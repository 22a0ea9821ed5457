"""One sentence for a wrong setting: where it stands, what was found, what was expected."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping

from pydantic import ValidationError


def unknown_name(name: str, origin: str, known: Iterable[str]) -> str:
    """Sentence for a name that no setting has, with the nearest that exists."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else "; `ingest settings` lists every name"
    return f"{origin}: unknown setting {name}{hint}"


def first_problem(
    error: ValidationError, origins: Mapping[str, str], env_name: Callable[[str], str]
) -> str:
    """Sentence for the first value that does not fit; a secret value is never repeated."""
    problem = error.errors()[0]
    name = ".".join(str(part) for part in problem["loc"][:2])
    found = problem["input"]
    shown = "" if _secret(name) else f", found {found!r}"
    expected = problem["msg"][:1].lower() + problem["msg"][1:]
    return f"{origins.get(name, 'defaults')}: {name} ({env_name(name)}): {expected}{shown}"


def _secret(name: str) -> bool:
    return any(part in name for part in ("url", "key", "token", "credential"))
