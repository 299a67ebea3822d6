"""Every setting, read once from the environment (`RUNDOWN_*`) or `.env`, then passed in.

Does: name, type, explain and check each one. `.env.example` and README's table are checked against this file.
Does not: build anything from them; that is `bot/app.py`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from core.errors import SettingsError
from core.named import mark

Words = Annotated[tuple[str, ...], NoDecode]
Paths = Annotated[tuple[Path, ...], NoDecode]


class Settings(BaseSettings):
    """What an operator can choose. Lists are written with commas, maps as JSON."""

    model_config = SettingsConfigDict(
        env_prefix="RUNDOWN_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    home: Path = Field(Path("~/.rundown"), description="Folder that holds everything the embedded default writes.")
    database_url: str | None = Field(
        None,
        repr=False,
        description="SQLAlchemy URL of the store. Default: SQLite under RUNDOWN_HOME. Postgres: postgresql+psycopg://user:password@host/db.",
    )

    slack_bot_token: SecretStr | None = Field(None, description="Bot token, xoxb-…")
    slack_app_token: SecretStr | None = Field(
        None, description="App-level token for Socket Mode, xapp-… Without it Slack must reach POST /slack/events."
    )
    slack_signing_secret: SecretStr | None = Field(
        None, description="Signing secret, needed when Slack calls over HTTP."
    )
    slack_api_url: str = Field(
        "https://slack.com/api/", description="Slack Web API address; a stand-in in tests and the demo."
    )
    slack_distribution: Literal["internal", "public"] = Field(
        "internal",
        description="Slack's API terms forbid indexing and training on Slack text for apps offered outside your organisation.",
    )
    default_channel: str | None = Field(
        None,
        description="Channel (name or id) for incidents of services without one of their own. Unset: an incident channel is created.",
    )
    service_channels: dict[str, str] = Field(
        default_factory=dict, description='Service name to channel, as JSON: {"checkout":"#checkout-oncall"}.'
    )
    channel_prefix: str = Field(
        "inc-", description="Prefix of incident channels: created with it, joined and listened to by it."
    )
    listen_channels: Words = Field((), description="Further channels to join and listen to, by name or id.")
    groups: dict[str, list[str]] = Field(
        default_factory=dict,
        description='Groups that documents name as readers, to e-mails of their members, as JSON: {"sre":["anna@example.org"],"staff":["*"]}; * is everyone in the company. Groups that are not named here are Slack\'s user groups, by handle.',
    )
    recheck_days: float = Field(
        30.0,
        ge=0,
        description="Days for which what was shown is looked at again, after its incident or answer: what somebody may no longer read goes from it. Open incidents always are.",
    )
    share_with_guests: bool = Field(
        False,
        description="Show guests and people of other companies in a channel what everyone in the company may read. Off: where they are, it is left out.",
    )

    pagerduty_api_token: SecretStr | None = Field(
        None, description="REST API key, read access. Enables polling, change events and doctor's checks."
    )
    pagerduty_webhook_secrets: Words = Field(
        (), repr=False, description="Signing secrets of the v3 webhook subscription; several during rotation."
    )
    pagerduty_api_url: str = Field(
        "https://api.pagerduty.com", description="PagerDuty REST address; a stand-in in tests and the demo."
    )
    pagerduty_poll_s: float = Field(60.0, gt=0, description="Seconds between polls, the second source of incidents.")
    pagerduty_services: Words = Field((), description="PagerDuty service ids to poll. Empty: all the key can see.")
    pagerduty_readers: Words = Field(
        ("*",),
        description="Who may read past incidents that belong to no private team of PagerDuty's, written as in RUNDOWN_MEDIAWIKI_READERS.",
    )

    repos: Paths = Field((), description="Git repositories whose commits may be culprits; work trees or bare.")
    service_repos: dict[str, list[str]] = Field(
        default_factory=dict,
        description='Service name to repository names, as JSON: {"checkout":["shop","payments"]}. A hint, not a fence.',
    )
    events_file: Path | None = Field(
        None,
        description='File of deploys and switches that your CI appends to, a line of JSON each: {"kind":"deploy","at":1715688000,"service":"checkout","sha":"…"}; kind may be flag or config, with "name".',
    )
    docs: Words = Field(
        (),
        description="Where runbooks, wiki pages and past incidents are: folders, git repositories, or services as `rundown ingest` takes them.",
    )
    docs_url: str | None = Field(
        None, description="Address that document paths are relative to, to make links of them."
    )
    mediawiki_user: str | None = Field(
        None, description="Bot password's name for a MediaWiki that asks for a login, Account@purpose."
    )
    mediawiki_password: SecretStr | None = Field(None, description="That bot password, made on Special:BotPasswords.")
    mediawiki_readers: Words = Field(
        (),
        description="Who may read such a wiki: group:sre, user:anna@example.org, a Slack channel's id, or *. Empty: its pages are not read.",
    )
    confluence_url: str | None = Field(
        None,
        description="Confluence's address: https://<site>.atlassian.net, or the base URL of your Data Center.",
    )
    confluence_user: str | None = Field(
        None, description="E-mail of the Atlassian account whose API token it is. Unset for Data Center."
    )
    confluence_token: SecretStr | None = Field(
        None, description="API token of that account, or a personal access token of your Data Center. Reading suffices."
    )
    confluence_spaces: Words = Field((), description="Keys of the spaces that the source confluence: stands for.")
    confluence_everyone: Words = Field(
        (),
        description="Groups of Confluence that are everyone in your company, for example confluence-users. Unset: no page is open to everyone.",
    )
    prometheus_readers: Words = Field(
        ("*",),
        description="Who may read the alerting rules of a file that does not say in a comment, written as in RUNDOWN_MEDIAWIKI_READERS.",
    )
    window_days: float = Field(14.0, gt=0, description="Days before an incident in which commits are candidates.")

    qdrant_url: str | None = Field(None, description="Qdrant server. Unset: Qdrant's engine inside the process.")
    qdrant_api_key: SecretStr | None = Field(None, description="API key of the Qdrant server.")
    qdrant_collection: str = Field(
        "rundown",
        description="Alias of the collection that answers on the Qdrant server; collections are named by it and a number.",
    )
    qdrant_shards: int | None = Field(
        None, ge=1, description="Shards of a new collection. Unset: the server decides, one for each node."
    )
    qdrant_replicas: int = Field(1, ge=1, description="Copies of each shard of a new collection.")
    qdrant_quantization: Literal["none", "int8"] = Field(
        "none",
        description="int8 keeps vectors of a new collection in memory at a quarter of their size, the whole ones on disk.",
    )
    qdrant_timeout_s: int = Field(
        5, ge=1, description="Seconds after which a request to the Qdrant server is given up."
    )
    embedding_model: str | None = Field(
        None,
        description="Hugging Face id or folder of the embedding model. Unset: the MiniLM carried in a package. A change takes effect with `rundown index rebuild`.",
    )
    embedding_class: str | None = Field(
        None,
        description="An embedding of LlamaIndex's in its stead, by its class, for example llama_index.embeddings.ollama.OllamaEmbedding; its package must be installed. A change, of its options too, takes effect with `rundown index rebuild`.",
    )
    embedding_options: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="Arguments for that class, as JSON."
    )
    retriever_class: str | None = Field(
        None,
        description="A retriever of LlamaIndex's around the search or in its place, by its class, which is built with our own as `retriever`. Unset: ours.",
    )
    retriever_options: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="Further arguments for that class, as JSON."
    )

    splitter_class: str | None = Field(
        None,
        description="A splitter of LlamaIndex's that cuts sections into pieces, by its class, for example llama_index.core.node_parser.SentenceSplitter. Unset: ours, which keeps code and tables whole. A change cuts everything again.",
    )
    splitter_options: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="Arguments for that class, as JSON."
    )
    reranker_class: str | None = Field(
        None,
        description="A reranker of LlamaIndex's for the first 20 documents, by its class, for example llama_index.core.postprocessor.SentenceTransformerRerank. Unset: none.",
    )
    reranker_options: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="Arguments for that class, as JSON."
    )

    llm_url: str | None = Field(
        None,
        description="OpenAI-compatible endpoint (vLLM, Ollama, llama.cpp, hosted). Unset: the extractive drafter writes.",
    )
    llm_model: str | None = Field(None, description="Model name at that endpoint.")
    llm_class: str | None = Field(
        None,
        description="Any other LlamaIndex LLM by its class, for example llama_index.llms.ollama.Ollama; its package must be installed.",
    )
    llm_options: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="Arguments for that class, as JSON."
    )
    llm_api_key: SecretStr | None = Field(None, description="API key of that endpoint.")
    llm_timeout_s: float = Field(
        20.0, gt=0, description="Seconds after which a model's answer is given up and the extractive draft stands."
    )
    ranker_model: str | None = Field(
        None, description="Hugging Face id or folder of the Llama that ranks culprits. Unset: features alone."
    )
    ranker_adapter: str | None = Field(None, description="Folder or id of a LoRA adapter for it.")

    http_host: str = Field("127.0.0.1", description="Address that serve listens on.")
    http_port: int = Field(8080, ge=0, le=65535, description="Port that serve listens on.")
    worker: str = Field(
        "rundown",
        min_length=3,
        description="Name of this process among several on one Postgres; what it left unfinished waits for the same name.",
    )
    sync_s: float = Field(
        45.0,
        gt=0,
        description="Seconds between syncs of documents and git histories while serving; a page that was closed is gone within it.",
    )
    sync_workers: int = Field(
        2,
        ge=1,
        description="Sources synced at the same time by this process, at least; `rundown serve` gives each source a worker.",
    )
    investigations: int = Field(2, ge=1, description="Incidents investigated at the same time.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="How much is logged.")

    @field_validator(
        "pagerduty_webhook_secrets",
        "pagerduty_services",
        "pagerduty_readers",
        "confluence_spaces",
        "confluence_everyone",
        "listen_channels",
        "repos",
        "docs",
        "mediawiki_readers",
        "prometheus_readers",
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return tuple(str(part) for part in value)

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("events_file")
    @classmethod
    def _expand_one(cls, value: Path | None) -> Path | None:
        return value.expanduser() if value else None

    @field_validator("repos")
    @classmethod
    def _expand(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(path.expanduser() for path in value)

    @field_validator("embedding_class")
    @classmethod
    def _one_embedding(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value and info.data.get("embedding_model"):
            raise ValueError("RUNDOWN_EMBEDDING_MODEL names another embedding; unset one of the two")
        return value

    @property
    def embedding(self) -> str | None:
        """What names the configured embedding: its class with a mark of its options, or its model; None for the default."""
        return mark(self.embedding_class, self.embedding_options) if self.embedding_class else self.embedding_model

    @property
    def store_url(self) -> str:
        """The store's SQLAlchemy URL, with the default filled in."""
        return self.database_url or f"sqlite:///{self.home / 'rundown.sqlite'}"


def read_settings(**overrides: Any) -> Settings:
    """The settings of this process.

    Args:
        overrides: values that win over the environment, by field name.

    Raises:
        SettingsError: a value cannot be used; the message names the variable, never a secret's value.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = "; ".join(
            f"RUNDOWN_{'_'.join(str(part) for part in item['loc']).upper()}: {item['msg']}" for item in error.errors()
        )
        raise SettingsError(
            "cannot read the settings", why=problems, way_out="`.env.example` explains every variable"
        ) from None
    except SourceError as error:
        raise SettingsError(
            "cannot read the settings", why=_unparsed(error), way_out="lists are written with commas, maps as JSON"
        ) from None


def _unparsed(error: SourceError) -> str:
    """Which variable is no JSON; the library names the field, and its cause may quote a value."""
    found = re.search(r'field "(\w+)"', str(error))
    return f"RUNDOWN_{found[1].upper()} is no JSON" if found else str(error)
