"""Whether expressions of alerts and dashboards parse, and which metrics they read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import promql_parser

# Grafana puts durations and label values here before Prometheus sees the expression.
_INTERVAL = re.compile(r"\$\{?__(?:rate_)?interval(?:_ms|_s)?\}?|\$\{?__range(?:_s|_ms)?\}?")
_VARIABLE = re.compile(r"\$\{[A-Za-z_][\w.]*(?::[a-z]+)?\}|\$[A-Za-z_]\w*|\[\[\w+\]\]")
_CHILDREN = ("lhs", "rhs", "expr", "param", "vector_selector")


class PromqlError(ValueError):
    """An expression that Prometheus would refuse."""


def metrics(expression: str) -> set[str]:
    """Names of the metrics that an expression reads; raises when it does not parse."""
    text = _VARIABLE.sub("variable", _INTERVAL.sub("5m", expression))
    try:
        tree = promql_parser.parse(text)
    except ValueError as error:
        raise PromqlError(" ".join(str(error).split())) from error
    return set(_names(tree))


def _names(node: Any) -> Iterator[str]:
    if isinstance(node, promql_parser.VectorSelector):
        if node.name:
            yield node.name
        else:
            yield from _matched(node)
        return
    for child in _CHILDREN:
        found = getattr(node, child, None)
        if isinstance(found, promql_parser.Expr):
            yield from _names(found)
    for argument in getattr(node, "args", None) or []:
        yield from _names(argument)


def _matched(node: Any) -> Iterator[str]:
    for matcher in node.matchers.matchers:
        if matcher.name == "__name__":
            yield from str(matcher.value).strip("()").split("|")
