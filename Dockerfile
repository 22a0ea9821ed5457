# The one image of our own programs: ingest, sensor-sim and Dagster. From the repository's root:
#   docker build --tag iot-lakehouse:0.1.0 .
# Without a package index: put the wheels of constraints.txt, hatchling's too, into a folder here and
# name it with --build-arg WHEELS=wheels. Neither builder features nor a network are needed then.
FROM docker.io/library/python:3.13.9-slim-trixie AS build
# A folder of wheels; the licence stands for none, as COPY must have something to copy.
ARG WHEELS=LICENSE
WORKDIR /src
COPY ${WHEELS} /wheels/
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY ingest ingest
COPY pipelines pipelines
COPY simulator simulator
COPY devstack devstack
# The back end builds in an environment of its own; what runs has no pip either.
RUN set -eu; \
    from=''; if ls /wheels/*.whl >/dev/null 2>&1; then from='--no-index --find-links=/wheels'; fi; \
    export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=/src/constraints.txt; \
    python -m venv /opt/build; \
    /opt/build/bin/pip install $from hatchling; \
    /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir=/dist .; \
    python -m venv --without-pip /opt/iot; \
    /opt/build/bin/pip --python /opt/iot/bin/python install --only-binary=:all: $from \
      "$(ls /dist/*.whl)[pipelines,image,trace]"

FROM docker.io/library/python:3.13.9-slim-trixie
# Folders that volumes are mounted on: a new volume takes over who owns its folder.
RUN python -m pip uninstall --yes --root-user-action=ignore pip \
    && install -d -o 10001 -g 10001 /spool /srv/access /opt/dagster/dagster_home
COPY --from=build /opt/iot /opt/iot
ENV PATH=/opt/iot/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp MPLCONFIGDIR=/tmp \
    HEALTH_URL=http://127.0.0.1:9464/healthz
# Numbers, not names: Kubernetes checks that the user is not root without looking into the image.
USER 10001:10001
WORKDIR /tmp
# Of a program that answers on HTTP: HEALTH_URL says where. Kubernetes has probes of its own.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(os.environ['HEALTH_URL'], timeout=4)"]
CMD ["ingest", "--help"]
