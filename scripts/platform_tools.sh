#!/bin/sh
# Tools of the platform's tests, each used where it is there: promtool from Debian as root in CI, the
# others by `go install` at exact versions into a cache that a second run finds. Prints the folder.
set -eu

FOLDER=${PLATFORM_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/iot-platform-tools}
TOOLS='
kubeconform github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0
gitleaks github.com/zricethezav/gitleaks/v8@v8.30.1
age filippo.io/age/cmd/age@v1.3.2
age-keygen filippo.io/age/cmd/age-keygen@v1.3.2
sops github.com/getsops/sops/v3/cmd/sops@v3.13.3
helm helm.sh/helm/v3/cmd/helm@v3.22.0
'

if ! command -v promtool >/dev/null && [ "${CI:-}" = true ] && [ "$(id -u)" = 0 ] &&
  command -v apt-get >/dev/null; then
  {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus
  } >&2
fi

if ! command -v go >/dev/null; then
  echo 'platform_tools: no go, so no kubeconform, gitleaks, sops, age and helm; their tests are skipped.' >&2
else
  mkdir -p "$FOLDER"
  printf '%s\n' "$TOOLS" | while read -r name module; do
    [ -n "$name" ] || continue
    version=${module##*@}
    if [ ! -x "$FOLDER/$name" ] || [ "$(cat "$FOLDER/$name.version" 2>/dev/null)" != "$version" ]; then
      printf 'Building %s %s ...\n' "$name" "$version" >&2
      CGO_ENABLED=0 GOBIN="$FOLDER" go install -trimpath -ldflags '-s -w' "$module" >&2
      printf '%s\n' "$version" >"$FOLDER/$name.version"
    fi
  done
fi
printf '%s\n' "$FOLDER"
