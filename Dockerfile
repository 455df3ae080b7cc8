FROM python:3.13-slim AS build
WORKDIR /source
RUN python -m venv /opt/rheostat
COPY requirements-server.lock .
RUN /opt/rheostat/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-server.lock
COPY pyproject.toml README.md LICENSE ./
COPY service service
RUN /opt/rheostat/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps . \
    && /opt/rheostat/bin/python -m compileall -q /opt/rheostat/lib \
    && /opt/rheostat/bin/pip uninstall --quiet --yes pip

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
