#!/bin/sh
# Resolves every version that `make` installs, for all supported Pythons at once, and writes
# constraints.txt. Needs uv (https://docs.astral.sh/uv); review the difference before committing.
set -eu
cd "$(dirname "$0")/.."

{
  echo '# Every version that `make` installs, on Python 3.11 to 3.14. Made by `make constraints`.'
  printf 'hatchling\neditables\n' |
    uv pip compile --quiet --universal --python-version 3.11 --upgrade --all-extras \
      --no-annotate --no-header pyproject.toml -
} >constraints.new
mv constraints.new constraints.txt
