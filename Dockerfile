# The images of Arcana: `controller`, `service` and `repository` (the worker runs from it too), and
# `operator` for what is done once: migrations, certificates, secrets, the first admin. docs/containers.md
# tells how they are run. `docker build --target sbom --output build/sbom .` writes what is in them.
ARG PYTHON_IMAGE=python:3.14-slim

# --- What all images stand on: the interpreter, a user without rights, and no installer.
FROM ${PYTHON_IMAGE} AS interpreter
ENV LANG=C.UTF-8 \
    PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    # The folder that a process is started in is none to import from.
    PYTHONSAFEPATH=1 \
    # The root file system is read-only, and everything in it is compiled already.
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ARCANA_HOME=/var/lib/arcana
# Not all builds of the image hold the standard library's bytecode: without it every start, and every
# health check, would compile what it imports anew.
RUN python -m pip uninstall --yes --quiet --root-user-action ignore pip setuptools wheel \
 && stdlib=$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))') \
 && rm -rf "$stdlib/ensurepip" "$stdlib/idlelib" "$stdlib/test" "$stdlib/turtledemo" /root/.cache \
 && python -m compileall -q "$stdlib" \
 && echo 'arcana:x:10001:10001:Arcana:/nonexistent:/usr/sbin/nologin' >> /etc/passwd \
 && echo 'arcana:x:10001:' >> /etc/group \
 && mkdir -p /opt/arcana /var/lib/arcana \
 && chown 10001:10001 /var/lib/arcana
WORKDIR /opt/arcana
USER 10001:10001
STOPSIGNAL SIGTERM

# --- Where packages are installed and wheels are built.
FROM ${PYTHON_IMAGE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_INPUT=1 \
    # Nothing is compiled from source: there is no compiler, and a hash of a wheel says what runs.
    PIP_ONLY_BINARY=:all: \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
RUN python -m venv --without-pip /opt/venv
COPY requirements/split_lock.py requirements/

FROM builder AS wheels
COPY requirements/service.lock requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    python requirements/split_lock.py build requirements/service.lock > /tmp/build.lock \
 && python -m pip --python /opt/venv/bin/python install --quiet --no-deps --require-hashes -r /tmp/build.lock
COPY pyproject.toml README.md LICENSE ./
COPY tier_runtime tier_runtime
COPY shared_protos/arcana/__init__.py shared_protos/arcana/py.typed shared_protos/arcana/
COPY shared_protos/arcana/common shared_protos/arcana/common

# Each wheel holds only what is copied before it is built.
FROM wheels AS controller-wheel
COPY shared_protos/arcana/service shared_protos/arcana/service
COPY controller_tier controller_tier
RUN python -m pip --python /opt/venv/bin/python wheel --quiet --no-deps --no-index --no-build-isolation -w /wheel .

FROM wheels AS service-wheel
COPY shared_protos/arcana/service shared_protos/arcana/service
COPY shared_protos/arcana/repository shared_protos/arcana/repository
COPY service_tier service_tier
RUN python -m pip --python /opt/venv/bin/python wheel --quiet --no-deps --no-index --no-build-isolation -w /wheel .

FROM wheels AS repository-wheel
# The worker calls the service tier.
COPY shared_protos/arcana/service shared_protos/arcana/service
COPY shared_protos/arcana/repository shared_protos/arcana/repository
# The tier knows by the migrations which revision it needs.
COPY migrations migrations
COPY repository_tier repository_tier
RUN python -m pip --python /opt/venv/bin/python wheel --quiet --no-deps --no-index --no-build-isolation -w /wheel .

FROM wheels AS operator-wheel
COPY shared_protos/arcana/service shared_protos/arcana/service
COPY shared_protos/arcana/repository shared_protos/arcana/repository
COPY migrations migrations
COPY controller_tier controller_tier
COPY service_tier service_tier
COPY repository_tier repository_tier
COPY launcher launcher
RUN python -m pip --python /opt/venv/bin/python wheel --quiet --no-deps --no-index --no-build-isolation -w /wheel .

FROM builder AS controller-packages
COPY requirements/controller.lock requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    python requirements/split_lock.py run requirements/controller.lock > /tmp/run.lock \
 && python -m pip --python /opt/venv/bin/python install --quiet --no-deps --require-hashes -r /tmp/run.lock
# The `arcana` command is the operator's.
RUN --mount=type=bind,from=controller-wheel,source=/wheel,target=/wheel \
    python -m pip --python /opt/venv/bin/python install --quiet --no-deps --no-index /wheel/*.whl \
 && rm /opt/venv/bin/arcana

FROM builder AS service-packages
COPY requirements/service.lock requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    python requirements/split_lock.py run requirements/service.lock > /tmp/run.lock \
 && python -m pip --python /opt/venv/bin/python install --quiet --no-deps --require-hashes -r /tmp/run.lock
RUN --mount=type=bind,from=service-wheel,source=/wheel,target=/wheel \
    python -m pip --python /opt/venv/bin/python install --quiet --no-deps --no-index /wheel/*.whl \
 && rm /opt/venv/bin/arcana

FROM builder AS repository-packages
COPY requirements/repository.lock requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    python requirements/split_lock.py run requirements/repository.lock > /tmp/run.lock \
 && python -m pip --python /opt/venv/bin/python install --quiet --no-deps --require-hashes -r /tmp/run.lock
RUN --mount=type=bind,from=repository-wheel,source=/wheel,target=/wheel \
    python -m pip --python /opt/venv/bin/python install --quiet --no-deps --no-index /wheel/*.whl \
 && rm /opt/venv/bin/arcana

FROM builder AS operator-packages
COPY requirements/run.lock requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    python requirements/split_lock.py run requirements/run.lock > /tmp/run.lock \
 && python -m pip --python /opt/venv/bin/python install --quiet --no-deps --require-hashes -r /tmp/run.lock
RUN --mount=type=bind,from=operator-wheel,source=/wheel,target=/wheel \
    python -m pip --python /opt/venv/bin/python install --quiet --no-deps --no-index /wheel/*.whl

# --- The images.
FROM interpreter AS controller
COPY --from=controller-packages /opt/venv /opt/venv
ENV CONTROLLER_BIND=0.0.0.0:5000 \
    PUBLIC_GRPC_BIND=0.0.0.0:50050
EXPOSE 5000 50050 9464
ENTRYPOINT ["python", "-m", "controller_tier.main"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "tier_runtime.probe", "http://127.0.0.1:5000/health/ready"]
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="arcana-controller" \
      org.opencontainers.image.description="Arcana's edge: HTTP and gRPC for everybody" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

FROM interpreter AS service
COPY --from=service-packages /opt/venv /opt/venv
ENV SERVICE_BIND=0.0.0.0:50051 \
    HEALTH_BIND=0.0.0.0:50061
EXPOSE 50051 50061 9464
ENTRYPOINT ["python", "-m", "service_tier.main"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "tier_runtime.probe", "grpc://127.0.0.1:50061"]
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="arcana-service" \
      org.opencontainers.image.description="Arcana's service tier: the rules" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

FROM interpreter AS repository
COPY --from=repository-packages /opt/venv /opt/venv
ENV REPOSITORY_BIND=0.0.0.0:50052 \
    HEALTH_BIND=0.0.0.0:50061
EXPOSE 50052 50061 9464
# The worker: `python -m repository_tier.worker.main`.
ENTRYPOINT ["python", "-m", "repository_tier.main"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "tier_runtime.probe", "grpc://127.0.0.1:50061"]
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="arcana-repository" \
      org.opencontainers.image.description="Arcana's repository tier: the stores; and its worker" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

# All tiers and the `arcana` command; with `arcana controller` in the monolithic mode it is all of them.
FROM interpreter AS operator
COPY --from=operator-packages /opt/venv /opt/venv
# A volume that is new when it is mounted here belongs to the user then, who fills it.
USER 0:0
RUN for peer in controller service repository worker launcher; do mkdir -p "/certs/$peer"; done \
 && for reader in mysql redis controller service auth repository worker migrate admin; do \
        mkdir -p "/secrets/$reader"; \
    done \
 && chown -R 10001:10001 /certs /secrets
USER 10001:10001
ENTRYPOINT ["arcana"]
CMD ["--help"]
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="arcana-operator" \
      org.opencontainers.image.description="Arcana's command, with all tiers" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

# --- What is in each image, as CycloneDX JSON, read from what is installed in it.
FROM builder AS sbom-maker
COPY requirements/sbom.lock requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m pip --python /opt/venv/bin/python install --quiet --no-deps --require-hashes -r requirements/sbom.lock
COPY --from=controller /opt/venv /images/controller
COPY --from=service /opt/venv /images/service
COPY --from=repository /opt/venv /images/repository
COPY --from=operator /opt/venv /images/operator
RUN mkdir /sbom && for image in controller service repository operator; do \
        /opt/venv/bin/cyclonedx-py environment --output-reproducible --output-format JSON \
            --output-file "/sbom/arcana-$image.cdx.json" "/images/$image/bin/python" || exit 1; \
    done

FROM scratch AS sbom
COPY --from=sbom-maker /sbom /
