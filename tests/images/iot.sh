#!/bin/sh
# Our own image as the Dockerfile makes it, without a network: on the base image or its stand-in, from
# wheels that the base image's own Python chose, kept for the next time. Prints the image's name.
set -eu
cd "$(dirname "$0")/../.."

IMAGE=iot-lakehouse:$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
BASE=$(tests/images/base.sh)
WANTED=$({ sed -n '/^dependencies/,/^\[project.scripts/p' pyproject.toml; cat constraints.txt; } |
  cksum | cut -d ' ' -f 1)
LABEL=iot-lakehouse.sources
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/iot-lakehouse/wheels
FOLDER=$CACHE/$WANTED

# In the container with this machine's network, and its way to the index of packages.
fetch() {
  rm -rf "$CACHE/work"
  mkdir -p "$CACHE/work/wheels"
  set -- --rm --network host --volume "$PWD:/src:ro" --volume "$CACHE/work/wheels:/wheels"
  if [ -n "${PIP_CERT:-}" ]; then
    set -- "$@" --volume "$PIP_CERT:/certificates.pem:ro" --env PIP_CERT=/certificates.pem
  fi
  for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_DEFAULT_TIMEOUT http_proxy https_proxy no_proxy; do
    set -- "$@" --env "$name"
  done
  docker run "$@" "$BASE" sh -euc '
    mkdir /tmp/src && cd /tmp/src
    cp -r /src/pyproject.toml /src/constraints.txt /src/README.md /src/LICENSE \
      /src/ingest /src/pipelines /src/simulator /src/devstack .
    python -m pip download --quiet --disable-pip-version-check \
      --dest /wheels --only-binary :all: --constraint constraints.txt \
      hatchling ".[pipelines,image,trace]"
    rm -f /wheels/iot_lakehouse-*' >&2
  mv "$CACHE/work" "$FOLDER"
}

# What .dockerignore lets through, but for the wheels.
sources() {
  { echo Dockerfile; echo .dockerignore; sed -n 's/^!//p' .dockerignore | grep -v '^wheels$'; } |
    tar --create --owner=0 --group=0 --numeric-owner --sort=name --mtime=@0 --exclude=__pycache__ \
      --files-from=- "$@"
}

# One at a time, and only when something has changed.
mkdir -p "$CACHE"
exec 9>"$CACHE/lock"
flock 9
DIGEST=$({ sources; docker image inspect --format '{{.Id}}' "$BASE"; } | sha256sum | cut -d ' ' -f 1)
if [ "$(docker image inspect --format "{{index .Config.Labels \"$LABEL\"}}" "$IMAGE" 2>/dev/null)" = "$DIGEST" ]; then
  printf '%s\n' "$IMAGE"
  exit 0
fi
if [ ! -d "$FOLDER" ]; then
  echo 'iot: fetching the wheels of the pinned versions (0.2 GB, once) ...' >&2
  fetch
fi
echo "iot: building $IMAGE ..." >&2
sources --directory="$FOLDER" wheels |
  DOCKER_BUILDKIT=0 docker build --quiet --build-arg WHEELS=wheels --label "$LABEL=$DIGEST" \
    --tag "$IMAGE" - >/dev/null
printf '%s\n' "$IMAGE"
