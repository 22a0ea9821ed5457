#!/bin/sh
# The base image of the Dockerfile, under its own name, where no registry of images can be reached:
# a stand-in made of Debian's packages, and it says so in its labels. The image that is there already,
# or that can be pulled within seconds, wins. As root on Debian or Ubuntu; the files are kept for the
# next time. `base.sh --files` makes them without Docker. Prints the image's name.
set -eu
cd "$(dirname "$0")/../.."

IMAGE=$(sed -n 's/^FROM \([^ ]*\).*/\1/p' Dockerfile | head -n 1)
SUITE=trixie
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/iot-lakehouse/images
# Made anew when this script changes.
FILES=$CACHE/python-$SUITE-$(cksum <"$0" | cut -d ' ' -f 1).tar
# What the official image has beside Python; `openssl` comes with the certificates there too.
PACKAGES=python3.13,python3.13-venv,ca-certificates,netbase,tzdata

fail() {
  printf 'base: %s\n' "$1" >&2
  exit 1
}

# Debian's mirror is the one that this machine's own packages come from.
mirror() {
  apt-get indextargets --format '$(ORIGIN)/$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
    sed -n 's,^Debian/Debian ,,p' | head -n 1
}

clean() {
  rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/var/cache/debconf/* "$1"/var/log/* \
    "$1"/usr/share/doc/* "$1"/usr/share/man/* "$1"/usr/share/locale/* "$1"/usr/share/info/* \
    "$1"/root/.cache "$1"/etc/hostname "$1"/etc/resolv.conf "$1"/debootstrap
  find "$1" -name __pycache__ -type d -prune -exec rm -rf {} +
  # Where this machine's packages come from is nobody else's business.
  rm -f "$1"/etc/apt/sources.list
}

# Python and pip where the official image has them, and pip as something that pip can remove.
set_up_python() {
  for name in python python3 python3.13; do
    ln -sf /usr/bin/python3.13 "$1/usr/local/bin/$name"
  done
  rm -f "$1"/usr/lib/python3.*/EXTERNALLY-MANAGED
  wheel=$(cd "$1" && ls usr/share/python-wheels/pip-*.whl)
  chroot "$1" python "/$wheel/pip" install --quiet --no-index --root-user-action=ignore "/$wheel"
  chroot "$1" python -m pip --version >&2
}

make_files() {
  [ "$(id -u)" = 0 ] || fail "a root file system is made as root; found user $(id -un)."
  command -v apt-get >/dev/null || fail 'Debian or Ubuntu is needed, there is no apt-get here.'
  if ! command -v debootstrap >/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      -o DPkg::Lock::Timeout=300 debootstrap >&2 || fail 'debootstrap cannot be installed.'
  fi
  from=$(mirror)
  [ -n "$from" ] || fail "apt knows no mirror of Debian; run apt-get update."
  mkdir -p "$CACHE"
  work=$(mktemp -d "$CACHE/work.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM
  chmod 755 "$work"
  debootstrap --variant=minbase --include="$PACKAGES" "$SUITE" "$work/root" "$from" \
    >"$CACHE/debootstrap.log" 2>&1 || fail "debootstrap: $(tail -n 3 "$CACHE/debootstrap.log")"
  set_up_python "$work/root"
  clean "$work/root"
  tar --create --numeric-owner --one-file-system --directory="$work/root" \
    --file="$FILES.part" .
  mv "$FILES.part" "$FILES"
}

if [ "${1:-}" != --files ] && docker image inspect "$IMAGE" >/dev/null 2>&1; then
  printf '%s\n' "$IMAGE"
  exit 0
fi
if [ "${1:-}" != --files ] && timeout 20 docker pull --quiet "$IMAGE" >/dev/null 2>&1; then
  printf '%s\n' "$IMAGE"
  exit 0
fi

[ -f "$FILES" ] || make_files
[ "${1:-}" != --files ] || { printf '%s\n' "$FILES"; exit 0; }

printf 'base: %s cannot be pulled; its stand-in of Debian %s is used.\n' "$IMAGE" "$SUITE" >&2
docker import --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' \
  --change 'ENV LANG=C.UTF-8' --change 'CMD ["python3"]' \
  --change "LABEL iot-lakehouse.stand-in=\"of $IMAGE, from Debian's packages\"" \
  "$FILES" "$IMAGE" >/dev/null
printf '%s\n' "$IMAGE"
