#!/bin/sh
# A Docker daemon for the tests: `start` (also: ask whether one can be had) and `stop`.
# Where none answers, root on Debian or Ubuntu gets docker.io and a dockerd of ours, without systemd,
# which goes on until `stop`. Exit 0 and the daemon's version, or exit 1 and the reason, in one line.
set -eu

RUN=${DOCKERD_RUN:-/run/iot-dockerd}
LOG=$RUN/dockerd.log
PID=$RUN/dockerd.pid
# From best to what a machine without overlay mounts, or without netfilter, can still do. Without
# iptables published ports go through Docker's own proxy, and containers do not reach the internet.
WAYS='--storage-driver=overlay2
--storage-driver=overlay2 --iptables=false --ip6tables=false
--storage-driver=vfs
--storage-driver=vfs --iptables=false --ip6tables=false'
READY_WITHIN_S=30

refuse() {
  printf 'docker_daemon: no Docker daemon: %s\n' "$1" >&2
  exit 1
}

answers() {
  command -v docker >/dev/null && timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

tell() {
  printf 'Docker %s, %s\n' "$(docker version --format '{{.Server.Version}}')" \
    "$(docker info --format '{{.Driver}}')"
}

# Ours: the pid in our file, and it is a dockerd still.
ours() {
  [ -s "$PID" ] && [ "$(cat "/proc/$(cat "$PID")/comm" 2>/dev/null)" = dockerd ]
}

install_daemon() {
  command -v dockerd >/dev/null && command -v docker >/dev/null && return
  command -v apt-get >/dev/null || refuse 'none answers, and without apt-get none can be installed.'
  echo 'docker_daemon: installing docker.io ...' >&2
  {
    apt-get update -qq &&
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker.io iptables
  } >"$LOG" 2>&1 || refuse "docker.io could not be installed; see $LOG."
}

# Newer kernels and containers lack iptables' tables, which dockerd only says after half a minute.
netfilter() {
  command -v iptables >/dev/null && iptables -t nat -L -n >/dev/null 2>&1
}

overlay() {
  grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null
}

# Waits until it answers, or has ended, or the time is over.
ready() {
  left=$((READY_WITHIN_S * 5))
  while [ "$left" -gt 0 ] && kill -0 "$1" 2>/dev/null; do
    answers && return 0
    sleep 0.2
    left=$((left - 1))
  done
  return 1
}

launch() {
  printf '%s\n' "$WAYS" >"$RUN/ways"
  while read -r way; do
    case $way in *overlay2*) overlay || continue ;; esac
    case $way in *iptables=false*) ;; *) netfilter || continue ;; esac
    printf '=== dockerd %s\n' "$way" >>"$LOG"
    # Every option is one word of $way; descriptor 9 is the lock, which dies with this script.
    # shellcheck disable=SC2086
    setsid nohup dockerd --pidfile "$PID" $way >>"$LOG" 2>&1 </dev/null 9>&- &
    child=$!
    if ready "$child"; then
      return
    fi
    kill "$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  done <"$RUN/ways"
  refuse "dockerd does not come up; its last words: $(tail -n 1 "$LOG") (all of them: $LOG)"
}

start() {
  if ! answers; then
    if [ -n "${DOCKER_HOST:-}" ]; then
      refuse "DOCKER_HOST is set to $DOCKER_HOST, and nothing answers there; unset it or start that one."
    fi
    [ "$(id -u)" = 0 ] || refuse 'none answers, and only root can start one; start Docker, or be in its group.'
    mkdir -p "$RUN"
    exec 9>"$RUN/lock"
    flock 9
    install_daemon
    # Its package may have started it, or another run of this script.
    answers || launch
  fi
  tell
}

stop() {
  if ! ours; then
    echo 'docker_daemon: none of ours runs.' >&2
    return
  fi
  child=$(cat "$PID")
  kill "$child"
  left=150
  while kill -0 "$child" 2>/dev/null; do
    [ "$left" -gt 0 ] || refuse "dockerd (pid $child) has not ended 30 seconds after SIGTERM; see $LOG."
    sleep 0.2
    left=$((left - 1))
  done
}

case ${1:-} in
start | stop) "$1" ;;
*)
  echo 'usage: scripts/docker_daemon.sh start|stop' >&2
  exit 2
  ;;
esac
