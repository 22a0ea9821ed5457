#!/bin/sh
# Makes .venv with the pinned versions of constraints.txt. Does nothing when it is up to date.
# What is half-made is made again. PYTHON=/path/to/python chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."

VENV=.venv
UNFINISHED=$VENV/.unfinished
INSTALLED=$VENV/.installed
FOLDER=$VENV/.folder
WANTED="$(cat pyproject.toml constraints.txt scripts/setup.sh | cksum)"

fail() {
  printf 'setup: %s\n' "$1" >&2
  exit 1
}

supported() {
  "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null
}

choose_python() {
  if [ -n "${PYTHON:-}" ]; then
    supported "$PYTHON" || fail "PYTHON=$PYTHON is not Python 3.11 to 3.14."
    return
  fi
  for PYTHON in python3 python3.14 python3.13 python3.12 python3.11; do
    if supported "$PYTHON"; then
      return
    fi
  done
  found=$(python3 --version 2>/dev/null) || found="no python3"
  fail "Python 3.11 to 3.14 is needed, found $found; install one or set PYTHON=/path/to/python3."
}

make_environment() {
  choose_python
  "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || fail \
    "$("$PYTHON" --version) has no venv module; install it first (Debian, Ubuntu: apt install python3-venv)."
  rm -rf "$VENV"
  mkdir "$VENV"
  : >"$UNFINISHED"
  pwd >"$FOLDER"
  "$PYTHON" -m venv "$VENV"
}

# `dagster dev` takes its home from .env, also when the shell has another.
names_dagster_home() {
  [ -f .env ] || return 1
  while IFS= read -r line; do
    case $line in DAGSTER_HOME=*) return 0 ;; esac
  done <.env
  return 1
}
if ! names_dagster_home; then
  printf 'DAGSTER_HOME=${PWD}/dagster_home\n' >>.env
fi

# A .venv that somebody else made is kept and completed. One that we left unfinished, or that was
# moved here with its folder (its scripts know their path), is made again.
moved() {
  [ -f "$FOLDER" ] && [ "$(cat "$FOLDER")" != "$(pwd)" ]
}

if [ ! -x "$VENV/bin/python" ] || [ -f "$UNFINISHED" ] || moved || ! supported "$VENV/bin/python"; then
  make_environment
elif [ -f "$INSTALLED" ] && [ "$(cat "$INSTALLED")" = "$WANTED" ]; then
  exit 0
fi
: >"$UNFINISHED"
rm -f "$INSTALLED"
printf 'Installing the pinned packages into %s (about 1.4 GB, once) ...\n' "$VENV" >&2
install() {
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt "$@" ||
    fail "the packages could not be installed; the lines above say why. Run it again to go on."
}
# The build back end is installed first, so that it is pinned as well.
install hatchling editables
install --no-build-isolation --editable '.[devstack,pipelines,trace,dev]'
printf '%s\n' "$WANTED" >"$INSTALLED"
rm -f "$UNFINISHED"
