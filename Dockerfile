# The one image of our own programs: ingest, sensor-sim and Dagster. From the repository's root:
#   docker build --tag iot-lakehouse:0.1.0 .
# Without a package index: put the wheels of constraints.txt, hatchling's too, into a folder here and
# name it with --build-arg WHEELS=wheels. Neither builder features nor a network are needed then.
FROM docker.io/library/python:3.13.9-slim-trixie AS wanted
COPY pyproject.toml .
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
      more = p['optional-dependencies']; \
      print(*p['dependencies'], *more['pipelines'], *more['image'], *more['trace'], sep='\n')" \
      >/requirements.txt

FROM docker.io/library/python:3.13.9-slim-trixie AS build
# A folder of wheels; the licence stands for none, as COPY must have something to copy.
ARG WHEELS=LICENSE
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    PIP_CONSTRAINT=/src/constraints.txt
WORKDIR /src
COPY ${WHEELS} /wheels/
COPY --from=wanted /requirements.txt .
COPY constraints.txt .
# What we depend on is a layer of its own: a change of our code leaves it as it is.
# The back end builds in an environment of its own; what runs has no pip either.
RUN set -eu; \
    if ls /wheels/*.whl >/dev/null 2>&1; then \
      printf '[global]\nno-index = true\nfind-links = /wheels\n' >/etc/pip.conf; \
    fi; \
    python -m venv /opt/build; \
    /opt/build/bin/pip install hatchling; \
    python -m venv --without-pip /opt/iot; \
    /opt/build/bin/pip --python /opt/iot/bin/python install --only-binary=:all: \
      --requirement requirements.txt
# Left out: tests of others, maps for a browser's debugger, sources of C, Arrow's own protocol (Flight),
# and the descriptions of a cloud's services that nobody here calls.
RUN set -eu; cd /opt/iot/lib/python3.*/site-packages; \
    find . -type d -name tests -prune -exec rm -rf {} +; \
    find . -type f \( -name '*.map' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.h' \
      -o -name '*.hpp' -o -name '*.cc' -o -name '*.c' \) -delete; \
    rm -r pyarrow/*flight* matplotlib/mpl-data/sample_data; \
    find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name 's3' ! -name 'sts' ! -name 'sso*' \
      ! -name 'signin' -exec rm -r {} +
COPY pyproject.toml README.md LICENSE ./
COPY ingest ingest
COPY pipelines pipelines
COPY simulator simulator
COPY devstack devstack
RUN set -eu; \
    /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir=/dist .; \
    /opt/build/bin/pip --python /opt/iot/bin/python install --no-deps --no-index --root=/ours /dist/*.whl

FROM docker.io/library/python:3.13.9-slim-trixie
# No pip, nothing that makes one, nothing that gives a user more rights. Folders that volumes are
# mounted on: a new volume takes over who owns its folder.
RUN set -eu; export PYTHONDONTWRITEBYTECODE=1; \
    python -m pip uninstall --yes --root-user-action=ignore pip; \
    rm -rf "$(python -c 'import ensurepip; print(ensurepip.__path__[0])')" /usr/share/python-wheels; \
    find / -xdev -type f -perm /6000 -exec chmod a-s {} +; \
    install -d -o 10001 -g 10001 /spool /srv/access /opt/dagster/dagster_home
COPY --from=build /opt/iot /opt/iot
COPY --from=build /ours/opt/iot /opt/iot
ENV PATH=/opt/iot/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp MPLCONFIGDIR=/tmp \
    HEALTH_URL=http://127.0.0.1:9464/healthz
# Numbers, not names: Kubernetes checks that the user is not root without looking into the image.
USER 10001:10001
WORKDIR /tmp
# Of a program that answers on HTTP: HEALTH_URL says where. Kubernetes has probes of its own.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(os.environ['HEALTH_URL'], timeout=4)"]
CMD ["ingest", "--help"]
