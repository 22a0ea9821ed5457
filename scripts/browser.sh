#!/bin/sh
# Prints the path of Chromium or Chrome for the tests of the web pages. In CI, as root on Debian or
# Ubuntu, it installs Chromium when there is none.
set -eu

find_browser() {
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name"; then
      return 0
    fi
  done
  return 1
}

if [ -n "${BROWSER_PATH:-}" ]; then
  printf '%s\n' "$BROWSER_PATH"
elif find_browser; then
  :
elif [ "${CI:-}" = true ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      chromium fonts-dejavu-core
  } >&2
  find_browser
else
  echo 'browser: no Chromium found; install it (Debian, Ubuntu: apt install chromium) or set BROWSER_PATH.' >&2
  exit 1
fi
