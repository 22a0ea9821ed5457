"""Writes the generated reference pages: ``python -m ingest.reference [FOLDER]``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from ingest.metrics_table import metrics_markdown
from ingest.settings_table import settings_markdown

PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_markdown,
    "metrics.md": metrics_markdown,
}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default="docs")
def main(folder: Path) -> None:
    """Write every generated page into FOLDER."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")
        click.echo(str(folder / name))


if __name__ == "__main__":
    main()
