# The bot, for docker-compose.yml or alone: docker build -t rundown . && docker run --env-file .env rundown doctor
FROM python:3.11-slim

# git reads the repositories; they are mounted with their owner's id, which git distrusts unless told otherwise.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && git config --system --add safe.directory '*' \
    && useradd --create-home --uid 10001 rundown \
    && install --directory --owner rundown --group rundown /var/lib/rundown

WORKDIR /app

# Dependencies first: they change seldom and take minutes. torch without CUDA; name another index for a GPU build.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > dependencies.txt \
    && pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" --constraint constraints.txt --requirement dependencies.txt

COPY README.md ./
COPY bot bot
COPY core core
COPY ingest ingest
COPY prompts prompts
COPY ranking ranking
COPY retrieval retrieval
RUN pip install --no-cache-dir --no-deps --constraint constraints.txt .

USER rundown
ENV RUNDOWN_HOME=/var/lib/rundown \
    RUNDOWN_HTTP_HOST=0.0.0.0 \
    RUNDOWN_HTTP_PORT=8080 \
    OMP_WAIT_POLICY=PASSIVE \
    PYTHONUNBUFFERED=1
VOLUME /var/lib/rundown
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['RUNDOWN_HTTP_PORT']}/healthz\", timeout=4)"]
ENTRYPOINT ["rundown"]
CMD ["serve"]
