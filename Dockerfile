FROM python:3.13-slim AS build
WORKDIR /source
RUN python -m venv --without-pip /opt/rheostat
ARG INSTALL="pip --python /opt/rheostat/bin/python install --no-compile --no-cache-dir --disable-pip-version-check"
COPY requirements-server.lock .
RUN $INSTALL --require-hashes -r requirements-server.lock
COPY pyproject.toml README.md LICENSE ./
COPY service service
# Bytecode of what a server loads: that of all that is installed would be a quarter of the image.
RUN $INSTALL --no-deps . \
    && find /opt/rheostat -type d -name tests -prune -exec rm -r {} + \
    && /opt/rheostat/bin/python -m compileall -q /opt/rheostat/lib/python3*/site-packages/rheostat \
    && /opt/rheostat/bin/python -c "import psycopg, alembic.command, matplotlib.backends.backend_agg, \
        matplotlib.backends.backend_svg, rheostat.cli.app, rheostat.server.api.pictures, rheostat.server.serve"

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home rheostat && install -d -o rheostat /data
COPY --from=build /opt/rheostat /opt/rheostat
ENV PATH=/opt/rheostat/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MPLCONFIGDIR=/tmp \
    RHEOSTAT_HOST=0.0.0.0 \
    RHEOSTAT_NO_AUTH=true \
    RHEOSTAT_DATABASE=sqlite:////data/rheostat.db
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["python", "-c", \
    "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ.get('RHEOSTAT_PORT', '8000') + '/readyz', timeout=2)"]
ENTRYPOINT ["rheostat"]
CMD ["serve"]
