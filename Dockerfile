# A server that requires tokens: make one first, in the volume that it will serve from.
#
#   docker run --rm --volume rheostat:/data rheostat token create ann --role admin
#   docker run --publish 127.0.0.1:8000:8000 --volume rheostat:/data rheostat
#
# Where everybody who reaches it may do everything, say so: `rheostat serve --no-auth`. The port is
# RHEOSTAT_PORT, not an option, so that the health check knows it.
FROM python:3.13.16-slim-trixie AS build
WORKDIR /source
# Whatever runs here is known by its hash, what builds the package too.
ARG PIP="install --no-compile --no-cache-dir --disable-pip-version-check"
COPY requirements-build.lock requirements-server.lock ./
RUN python -m venv --without-pip /opt/build \
    && python -m venv --without-pip /opt/rheostat \
    && pip --python /opt/build/bin/python $PIP --require-hashes -r requirements-build.lock \
    && pip --python /opt/rheostat/bin/python $PIP --require-hashes -r requirements-server.lock
COPY pyproject.toml README.md LICENSE ./
COPY service service
# Bytecode of what a server loads: that of all that is installed would be a quarter of the image.
RUN /opt/build/bin/python -m hatchling build --target wheel \
    && pip --python /opt/rheostat/bin/python $PIP --no-deps --no-index dist/*.whl \
    && find /opt/rheostat -type d -name tests -prune -exec rm -r {} + \
    && /opt/rheostat/bin/python -m compileall -q /opt/rheostat/lib/python3*/site-packages/rheostat \
    && /opt/rheostat/bin/python -c "import psycopg, alembic.command, matplotlib.backends.backend_agg, \
        matplotlib.backends.backend_svg, rheostat.cli.app, rheostat.curve_pictures, \
        rheostat.server.serve, rheostat.server.app"

FROM python:3.13.16-slim-trixie
ARG VERSION=0.2.0
ARG REVISION=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="Rheostat" \
      org.opencontainers.image.description="Serves hyperparameter schedules to distributed trainings" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.source="$SOURCE"
# Any user of group 0 may run it, as OpenShift wants: what is written belongs to that group.
RUN useradd --system --uid 10001 --gid 0 --no-create-home --home-dir /data rheostat \
    && install -d -o 10001 -g 0 -m 2770 /data
COPY --from=build /opt/rheostat /opt/rheostat
ENV PATH=/opt/rheostat/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/data \
    MPLCONFIGDIR=/tmp \
    RHEOSTAT_HOST=0.0.0.0 \
    RHEOSTAT_DATABASE=sqlite:////data/rheostat.db
USER 10001:0
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=4s --start-period=60s --retries=3 \
    CMD ["python", "-m", "rheostat.server.health"]
ENTRYPOINT ["rheostat"]
CMD ["serve"]
