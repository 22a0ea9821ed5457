"""A contract as a Markdown table, for the documentation and for `ingest schema show`."""

from __future__ import annotations

from ingest.contract import STORED_AT, Column, Contract

_HEADER = ("column", "type", "comes from", "when missing", "description")


def columns_table(contract: Contract) -> str:
    """The contract's columns as a Markdown table, one line a column, without a last line end."""
    rows = [_HEADER, tuple("---" for _ in _HEADER)]
    rows += [_row(column) for column in contract.columns]
    return "\n".join(f"| {' | '.join(map(_escaped, row))} |" for row in rows)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def _row(column: Column) -> tuple[str, ...]:
    unit = f" [{column.unit}]" if column.unit else ""
    description = " ".join(f"{column.description}{unit}".split())
    return f"`{column.name}`", f"`{column.type}`", _source(column), _missing(column), description


def _source(column: Column) -> str:
    if column.constant is not None:
        return f"constant `{column.constant}`"
    if column.subject_token is not None:
        return f"subject token {column.subject_token}"
    if column.path is None:
        return "fields of no column"
    form = f", {column.format}" if column.format else ""
    return f"`{'.'.join(column.path)}`{form}"


def _missing(column: Column) -> str:
    if column.required or column.subject_token is not None:
        return "refused"
    if column.constant is not None:
        return "-"
    if column.default == STORED_AT:
        return "`_stored_at`"
    if column.default is not None:
        return f"`{column.default!r}`" if isinstance(column.default, str) else f"`{column.default}`"
    return "null" if column.nullable else "empty"
