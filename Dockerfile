# RIGID Live as an image: targets `cpu` and `gpu`. See docs/deployment.md.
#
#   docker build --target cpu -t rigid-live:cpu .
#
# BASE_IMAGE              what the images are built on: an image of Debian's kind with Python
# PROFILE                 the networks that are fetched and made ready in the image
# GPU_EXTRAS              what `gpu` installs beside TensorRT-RTX and PyTorch: other extras, as tensorrt
# By its digest (all architectures), so that a build tomorrow begins with what one began with today.
ARG BASE_IMAGE=python:3.11.16-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

# --- system: the libraries that OpenCV loads; no compiler ---
FROM ${BASE_IMAGE} AS system
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV VIRTUAL_ENV=/opt/rigid-live \
    RIGID_LIVE_CACHE=/var/cache/rigid-live
ENV PATH="$VIRTUAL_ENV/bin:$PATH"
COPY scripts/system-packages /usr/local/bin/system-packages
RUN PYTHON=python3 system-packages && rm -rf /var/lib/apt/lists/*

# --- build-cpu: installs from the lock, then fetches the networks and makes them ready ---
FROM system AS build-cpu
ARG PROFILE=mobile-256
WORKDIR /usr/src/rigid-live
ENV PIP_NO_CACHE_DIR=1
RUN python3 -m venv "$VIRTUAL_ENV"
# The dependencies alone first: they change seldom and are most of the time.
COPY requirements.lock ./
RUN pip install --no-deps --only-binary :all: --require-hashes --requirement requirements.lock
COPY . .
RUN pip install --no-deps --no-build-isolation .
# What a library lacks of the system shows here, not at the first start.
RUN python -c "import av, cv2, onnxruntime, openvino, server.app" && \
    rigid-live models pull && rigid-live export --profile "$PROFILE"

# --- build-gpu: the same with TensorRT-RTX, whose engines for all GPUs are built here, without one ---
FROM build-cpu AS build-gpu
ARG PROFILE=mobile-256
ARG GPU_EXTRAS=
# pyproject.toml pins the extras; what is installed stays as the lock had it.
# hadolint ignore=DL3013
RUN { pip freeze --exclude rigid-live; cat requirements-torch.lock; } > installed.txt && \
    pip install --no-build-isolation --constraint installed.txt ".[tensorrt-rtx${GPU_EXTRAS:+,$GPU_EXTRAS}]" && \
    rigid-live export --profile "$PROFILE" --engine tensorrt-rtx

# --- serve: what both targets are, an unprivileged user with one place to write to ---
FROM system AS serve
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /tmp rigid
# What libraries keep for themselves goes where even a read-only root can be written.
ENV HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RIGID_LIVE_SERVE_HOST=0.0.0.0 \
    RIGID_LIVE_SERVE_PORT=8080
WORKDIR /tmp
EXPOSE 8080
STOPSIGNAL SIGTERM

FROM serve AS gpu
COPY --from=build-gpu /opt/rigid-live /opt/rigid-live
COPY --from=build-gpu --chown=10001:10001 /var/cache/rigid-live /var/cache/rigid-live
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video \
    RIGID_LIVE_SERVE_EXPECT_GPU=1
USER 10001:10001
VOLUME /var/cache/rigid-live
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=3 CMD ["python", "-m", "server.healthcheck"]
ENTRYPOINT ["rigid-live"]
CMD ["serve"]

FROM serve AS cpu
COPY --from=build-cpu /opt/rigid-live /opt/rigid-live
COPY --from=build-cpu --chown=10001:10001 /var/cache/rigid-live /var/cache/rigid-live
USER 10001:10001
VOLUME /var/cache/rigid-live
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=3 CMD ["python", "-m", "server.healthcheck"]
ENTRYPOINT ["rigid-live"]
CMD ["serve"]
