#!/bin/sh
# Every stream of the copy into the empty server of this pod, and what it says it holds then.
set -eu
nats account restore /scratch/backup
mkdir -p /scratch/restored
for folder in /scratch/backup/*/; do
  name=$(basename "$folder")
  nats stream info "$name" --json > "/scratch/restored/$name.json"
done
