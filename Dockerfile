# The image of the daemon: Debian's own Python, the locked libraries in a folder of their own, nothing that builds.
#
#   docker build --tag pyrometer .
#
# Two builds are the same to the byte of every library (hashes); of Debian's packages each takes the newest of bookworm, with
# its security fixes. To hold these as well, name the base by its digest: --build-arg BASE=debian@sha256:...
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS python
RUN apt-get update --quiet=2 \
 && DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends ca-certificates python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old

FROM python AS build
RUN apt-get update --quiet=2 \
 && DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends python3-venv
# pip stays in a venv of its own, so that the one that is shipped has none.
RUN python3 -m venv /build \
 && python3 -m venv --without-pip /opt/pyrometer
WORKDIR /source
COPY requirements-build.txt requirements-postgres.txt ./
# Wheels only: where there is no compiler, a source that needs one must fail here and not at an operator's.
RUN /build/bin/pip install --quiet --no-cache-dir --require-hashes --only-binary :all: -r requirements-build.txt \
 && /build/bin/pip --python /opt/pyrometer/bin/python install --quiet --no-cache-dir --no-compile --require-hashes \
      --only-binary :all: -r requirements-postgres.txt
COPY pyproject.toml README.md LICENSE ./
COPY config config
COPY connectors connectors
COPY daemon daemon
RUN /build/bin/pip wheel --quiet --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheel . \
 && /build/bin/pip --python /opt/pyrometer/bin/python install --quiet --no-cache-dir --no-compile --no-deps --no-index /wheel/*.whl
# What other people's wheels bring along and nobody imports: tests and documentation at the top level, and C sources. What is
# left is compiled here, for good, since nothing can be written beside it later.
RUN cd /opt/pyrometer/lib/python3.11/site-packages \
 && rm -rf tests docs newsfragments \
 && find . -name '*.c' -delete \
 && /opt/pyrometer/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash .

FROM python
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="pyrometer" \
      org.opencontainers.image.description="Live hot-wallet exposure against policy, for crypto exchanges" \
      org.opencontainers.image.licenses="GPL-3.0-or-later" \
      org.opencontainers.image.version="${VERSION}"
RUN groupadd --gid 10001 pyrometer \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/pyrometer --shell /usr/sbin/nologin pyrometer \
 && mkdir -p /etc/pyrometer /var/lib/pyrometer \
 && chown pyrometer:pyrometer /var/lib/pyrometer \
 && rm -f /var/log/lastlog /var/log/faillog
COPY --from=build /opt/pyrometer /opt/pyrometer
# The root may be read-only: all that is written goes below /var/lib/pyrometer and /tmp.
ENV PATH=/opt/pyrometer/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/var/lib/pyrometer \
    TMPDIR=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /var/lib/pyrometer
VOLUME /var/lib/pyrometer
USER 10001:10001
EXPOSE 9517
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=3 CMD ["pyrometer-healthy"]
ENTRYPOINT ["pyrometer"]
CMD ["run", "--config", "/etc/pyrometer/pyrometer.yaml"]
