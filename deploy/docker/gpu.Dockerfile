# W-Net Worker on an NVIDIA GPU: a worker with TensorRT and PyCUDA. Needs the NVIDIA Container Toolkit on the host.
# Build in the project's root: docker build -f deploy/docker/gpu.Dockerfile -t wnet-worker:0.1.0-gpu .
# NOT BUILT AND NOT RUN BY US YET.

FROM nvidia/cuda:13.0.1-devel-ubuntu22.04 AS cuda


FROM python:3.11.15-bookworm AS build
WORKDIR /src
# PyCUDA is compiled: against this toolkit's headers, and its stub of the driver's library.
COPY --from=cuda /usr/local/cuda-13.0 /usr/local/cuda
ENV CUDA_ROOT=/usr/local/cuda \
    CUDA_ENABLE_CURAND=False \
    LIBRARY_PATH=/usr/local/cuda/lib64/stubs \
    PATH=/usr/local/cuda/bin:$PATH
RUN python -m venv --without-pip /opt/wnet
COPY constraints.txt pyproject.toml ./
RUN python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; e = p["optional-dependencies"]; \
      print(*p["dependencies"], *e["engines"], *e["postgres"], *(g for g in e["gpu"] if "[" not in g), sep="\n")' \
      > requirements.txt \
    && python -m pip --python /opt/wnet/bin/python install --no-cache-dir -c constraints.txt \
      --extra-index-url https://pypi.nvidia.com -r requirements.txt
COPY . .
RUN python -m pip --python /opt/wnet/bin/python install --no-cache-dir --no-deps . \
    && install -D -m 0644 deploy/compile_engines.py /opt/wnet/deploy/compile_engines.py \
    && /opt/wnet/bin/python -m compileall -q -j 0 /opt/wnet


FROM python:3.11.15-slim-bookworm
RUN python -m pip uninstall --yes --quiet --root-user-action=ignore pip setuptools wheel \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/wnet --shell /usr/sbin/nologin wnet \
    && install -d -m 0700 -o wnet -g wnet /var/lib/wnet
COPY --from=build /opt/wnet /opt/wnet
# The toolkit on the host puts the driver's libraries in; "compute" is libcuda, "utility" nvidia-smi.
ENV PATH=/opt/wnet/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    WNET_VAR=/var/lib/wnet \
    WNET_DROP=/drop \
    WNET_ENGINE=tensorrt
USER 10001:10001
WORKDIR /var/lib/wnet
VOLUME /var/lib/wnet
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=60s --timeout=30s --start-period=60s --retries=3 \
    CMD ["sh", "-c", "worker status --json > /dev/null || exit 1"]
# One process a GPU.
CMD ["celery", "--quiet", "-A", "worker", "worker", "-Q", "slides", "-P", "solo", "--without-gossip", "--without-mingle", "--without-heartbeat"]
