# One image for the site and for its one-off commands (`manage.py migrate`). All that it writes goes to /app/var, and to
# /app/files where a volume is mounted there, so the root file system may be read-only. It carries no model: connect an endpoint.
#
# glibc, not musl: native parsers need its deeper stacks. No variables here: the builder of Azure's registry reads FROM lines
# before it builds, and understands only the simplest ones.
FROM python:3.13.16-slim-trixie@sha256:3dd7cc108ec1493442514f5c2a871af6af0ec31d768ff6e378a93340c3b3db5f AS base

FROM base AS build
WORKDIR /app
COPY requirements.txt ./
RUN python -m venv --without-pip /venv \
    && python -m pip --python /venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: -r requirements.txt
COPY manage.py ./
COPY chatsite chatsite
COPY conversations conversations
COPY static static
COPY templates templates
# The key signs nothing here; the real one comes with the container's environment.
RUN SECRET_KEY=collecting-static-files-signs-nothing DATABASE_URL=sqlite://:memory: \
        /venv/bin/python manage.py collectstatic --noinput --verbosity 0 \
    && /venv/bin/python -m compileall -q chatsite conversations

FROM base
COPY --from=build /venv /venv
COPY --from=build /app /app
# The code is root's, the data the site's own. Its number is fixed, so that a volume keeps its owner.
RUN groupadd --gid 10001 site \
    && useradd --uid 10001 --gid site --no-create-home --home-dir /app/var --shell /usr/sbin/nologin site \
    && install -d -o site -g site -m 0700 /app/var /app/var/uploads /app/files
# What the administration shows and /metrics reports, such as a tag or a commit.
ARG SITE_VERSION=development
# TMPDIR: Twisted puts request bodies of 100,000 bytes and more into a temporary file.
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SITE_VERSION=${SITE_VERSION} \
    TMPDIR=/app/var
WORKDIR /app
USER 10001:10001
VOLUME /app/var
EXPOSE 8000
# Past any proxy: the environment may name one for the way to the model.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "from os import environ; from urllib.request import ProxyHandler, build_opener; \
build_opener(ProxyHandler({})).open('http://127.0.0.1:' + environ.get('PORT', '8000') + '/healthz', timeout=4)"]
# The exec form: Python is process 1 and gets the SIGTERM that begins the drain.
CMD ["python", "manage.py", "serve", "--host", "0.0.0.0"]
