# One image for every service and for the broker: the locked dependencies and the wheel of this tree, nothing else.
FROM python:3.12.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
RUN python -m venv /opt/kaimen
# Before the source: a changed line of ours does not fetch the dependencies again.
COPY requirements-run.lock ./
RUN /opt/kaimen/bin/pip install --require-hashes --requirement requirements-run.lock
COPY pyproject.toml README.md LICENSE ./
COPY kaimen kaimen
COPY firmware_sim firmware_sim
COPY edge edge
COPY ingest ingest
COPY alerts alerts
COPY console console
RUN /opt/kaimen/bin/pip install --no-deps --no-build-isolation . \
    && /opt/kaimen/bin/python -m compileall -q /opt/kaimen/lib \
    && /opt/kaimen/bin/kaimen --help >/dev/null

FROM python:3.12.12-slim-bookworm
# The telephone: baresip (BSD-3) speaks SIP, espeak-ng (GPL-3, a program of its own) speaks what nobody has recorded.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends baresip-core espeak-ng \
    && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 kaimen \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/kaimen --shell /usr/sbin/nologin kaimen \
    && install --directory --owner=10001 --group=10001 --mode=0750 /var/lib/kaimen /var/lib/kaimen/phone
COPY --from=build /opt/kaimen /opt/kaimen
# Compiled code of the detector goes to the writable /tmp: the root file system of a service is read-only.
ENV PATH=/opt/kaimen/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 NUMBA_CACHE_DIR=/tmp/numba
WORKDIR /var/lib/kaimen
USER 10001:10001
STOPSIGNAL SIGTERM
CMD ["kaimen", "--help"]
