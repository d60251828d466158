# W-Net Worker on the CPU: watcher, worker, migration and page, one image for all.
# Build in the project's root: docker build -f deploy/docker/cpu.Dockerfile -t wnet-worker:0.1.0 .

FROM python:3.11.15-slim-bookworm AS build
WORKDIR /src
RUN python -m venv --without-pip /opt/wnet
# Packages first: they are built again only when these two files change.
COPY constraints.txt pyproject.toml ./
# "postgres engines" for an image that makes int8 (WNET_PRECISION), "postgres engines train" for one that learns at
# night: several hundred MB more.
ARG EXTRAS="postgres"
RUN EXTRAS="$EXTRAS" python -c 'import os, tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; e = p["optional-dependencies"]; \
      print(*p["dependencies"], *(r for x in os.environ.get("EXTRAS", "postgres").split() for r in e[x]), sep="\n")' > requirements.txt \
    && python -m pip --python /opt/wnet/bin/python install --no-cache-dir -c constraints.txt -r requirements.txt
COPY . .
RUN python -m pip --python /opt/wnet/bin/python install --no-cache-dir --no-deps . \
    && install -D -m 0644 deploy/compile_engines.py /opt/wnet/deploy/compile_engines.py \
    && /opt/wnet/bin/python -m compileall -q -j 0 /opt/wnet


FROM python:3.11.15-slim-bookworm
# Nothing in here installs anything any more. The number stands in the ownership of volumes, so it is fixed.
RUN python -m pip uninstall --yes --quiet --root-user-action=ignore pip setuptools wheel \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/wnet --shell /usr/sbin/nologin wnet \
    && install -d -m 0700 -o wnet -g wnet /var/lib/wnet
COPY --from=build /opt/wnet /opt/wnet
ENV PATH=/opt/wnet/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    WNET_VAR=/var/lib/wnet \
    WNET_DROP=/drop
USER 10001:10001
WORKDIR /var/lib/wnet
VOLUME /var/lib/wnet
STOPSIGNAL SIGTERM
# Unhealthy means that something needs a person; docker only shows it. (2 is reserved there, hence the 1.)
HEALTHCHECK --interval=60s --timeout=30s --start-period=60s --retries=3 \
    CMD ["sh", "-c", "worker status --json > /dev/null || exit 1"]
CMD ["worker", "watch"]
