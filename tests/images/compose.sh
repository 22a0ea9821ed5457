#!/bin/sh
# What a test of docker-compose.yml needs where there is neither Compose nor a registry: Compose itself,
# built from its source (three minutes, once), and stand-ins of the servers' images under names of
# their own, iot-stand-in-*. Prints the path of Compose.
set -eu
cd "$(dirname "$0")/../.."

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/iot-lakehouse
COMPOSE=github.com/docker/compose/v2@v2.40.3
MC=github.com/minio/mc@v0.0.0-20250313080218-cf909e1063a9
HERE=tests/containers/compose/stand_ins

# A dependency's command can be built where it cannot be installed: its module excludes others.
build() { # file, module@version, package
  [ -x "$1" ] && [ "$(cat "$1.version" 2>/dev/null)" = "$2" ] && return
  command -v go >/dev/null || { echo "compose: no go, so $2 cannot be built." >&2; exit 1; }
  printf 'Building %s ...\n' "$2" >&2
  mkdir -p "$(dirname "$1")"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  printf 'module work\n\ngo 1.24\n\nrequire %s %s\n' "${2%@*}" "${2#*@}" >"$work/go.mod"
  version="-X github.com/docker/compose/v2/internal.Version=${2#*@}"
  GOFLAGS=-mod=mod CGO_ENABLED=0 go build -C "$work" -trimpath -ldflags "-s -w $version" -o "$1" "$3" >&2
  printf '%s\n' "$2" >"$1.version"
  rm -rf "$work"
}

image_of() { # service of tests/images/names.py
  .venv/bin/python -c 'import sys; from tests.images.names import images; print(images()[sys.argv[1]])' "$1"
}

mkdir -p "$CACHE/compose"
exec 9>"$CACHE/compose/lock"
flock 9
build "$CACHE/compose/docker-compose" "$COMPOSE" github.com/docker/compose/v2/cmd
[ "${1:-}" != --no-images ] || { printf '%s\n' "$CACHE/compose/docker-compose"; exit 0; }
build "$CACHE/mc/mc" "$MC" github.com/minio/mc

tests/images/build.sh >&2
BASE=$(tests/images/base.sh)
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
cp "$HERE"/* "$CACHE/mc/mc" "$context/"
sed '1s,.*,#!/opt/python/bin/python3,' "$HERE/wget.py" >"$context/wget.own.py"
chmod 755 "$context"/*.py "$context/mc"
# Postgres comes from Debian, by the network and the mirror of this machine.
MIRROR=$(apt-get indextargets --format '$(ORIGIN)/$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
  sed -n 's,^Debian/Debian ,,p' | head -n 1)
for stage in nats s3 clickhouse catalog postgres; do
  DOCKER_BUILDKIT=0 docker build --quiet --network host --build-arg MIRROR="$MIRROR" --target "$stage" --tag "iot-stand-in-$stage" \
    --build-arg BASE="$BASE" --build-arg NATS="$(image_of nats)" --build-arg S3="$(image_of s3)" \
    --build-arg CLICKHOUSE="$(image_of clickhouse)" --build-arg CATALOG="$(image_of catalog)" \
    "$context" >&2
done
printf '%s\n' "$CACHE/compose/docker-compose"
