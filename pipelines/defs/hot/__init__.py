"""The hot table and what is made from it."""

from __future__ import annotations

import dagster as dg

from pipelines.scope import Scope


def definitions(scope: Scope) -> dg.Definitions:  # noqa: ARG001
    """The area of one contract."""
    return dg.Definitions()
