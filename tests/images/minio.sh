#!/bin/sh
# Prints the path of MinIO's server, built by `go install` the first time (three minutes on two cores)
# and kept outside of the repository. Nobody ships it as a package any more. Exit 3 where there is no Go.
set -eu

MODULE=github.com/minio/minio
VERSION=v0.0.0-20260212201848-7aac2a2c5b7c
FOLDER=${XDG_CACHE_HOME:-$HOME/.cache}/iot-lakehouse/minio

# The version stands in a file, which is written last: a build that was stopped is not taken for one.
there() {
  [ -x "$FOLDER/minio" ] && [ "$(cat "$FOLDER/minio.version" 2>/dev/null)" = "$VERSION" ]
}

mkdir -p "$FOLDER"
exec 9>"$FOLDER/lock"
if ! there; then
  if ! command -v go >/dev/null; then
    echo 'minio: no go, so MinIO cannot be built; install Go 1.26 or newer.' >&2
    exit 3
  fi
  # Several builds at once would each take the whole machine.
  flock 9
fi
if ! there; then
  printf 'Building MinIO %s (about three minutes, once) ...\n' "$VERSION" >&2
  rm -f "$FOLDER/minio.version"
  CGO_ENABLED=0 GOBIN="$FOLDER" go install -trimpath -ldflags '-s -w' "$MODULE@$VERSION" >&2
  printf '%s\n' "$VERSION" >"$FOLDER/minio.version"
fi
printf '%s\n' "$FOLDER/minio"
