#!/bin/sh
# Brings the images of `make test-containers` here: those that are local or can be pulled, and
# stand-ins under the same names for the others. One line an image says which. Exit 3 where neither
# can be had: no registry, and no Go to build MinIO with.
set -eu
cd "$(dirname "$0")/../.."
exec .venv/bin/python -m tests.images.build "$@"
