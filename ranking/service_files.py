"""The files in which teams write down their services, read as plain entries.

Does: read `services.yaml`, Backstage's `catalog-info.yaml` and Compose files: names, folders, repositories, owners, and what
depends on what; say what is wrong with a `services.yaml`. Does not: say which commit belongs to what (`ranking.topology`), or
fail: what it cannot read says nothing.

    services:                      # this line may be left out
      checkout:
        paths: [apps/checkout/]    # as in CODEOWNERS, "apps/checkout/*" is all of it; in `repos` if given, else in the repository that holds the file
        repos: [shop]              # names of whole repositories
        owners: ["@acme/checkout"] # as CODEOWNERS spells them
        depends_on: [payments]     # what it calls at run time
        aliases: [cart, kassa]     # other names in alerts and events
      search: [apps/search/]       # paths alone

A list of tables with `name` will do as well, and so will the usual other words for a key (`_KEYS`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

SERVICES = ("services.yaml", "services.yml", ".rundown/services.yaml", ".rundown/services.yml")
CATALOGS = ("catalog-info.yaml", "catalog-info.yml")
COMPOSE = ("docker-compose.yml", "docker-compose.yaml", "compose.yaml", "compose.yml")
#: The kinds of a Backstage catalog that run, or that something that runs depends on.
_RUNNING = ("component", "resource", "api")
_ENTRIES, _ITEMS = 2_000, 500
#: What teams call the keys of `services.yaml`, beside our own word, which comes first; letter case and "_", "-" do not matter.
_KEYS: dict[str, tuple[str, ...]] = {
    "paths": ("paths", "path", "directories", "directory", "dirs", "dir", "folders", "folder", "globs", "files"),
    "repos": ("repos", "repo", "repositories", "repository"),
    "owners": ("owners", "owner", "teams", "team"),
    "depends_on": ("dependson", "dependencies", "deps", "calls", "uses", "requires", "upstream", "upstreams"),
    "aliases": ("aliases", "alias", "alsoknownas", "othernames"),
    "system": ("system", "domain"),
}
#: What names a thing that is written as a table, in a list of services or of what one depends on.
_NAMES = ("name", "service", "id")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One service, as one file tells of it."""

    name: str
    #: The file's name, for the reader.
    source: str
    #: CODEOWNERS-like patterns.
    paths: tuple[str, ...] = ()
    #: Repositories that are wholly its own, and where `paths` are; empty for the one that holds the file.
    repos: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    #: The larger system it is part of.
    system: str = ""

    @property
    def tells(self) -> bool:
        """Whether it tells anything beside its name."""
        return bool(self.paths or self.repos or self.owners or self.depends_on or self.aliases or self.system)


def read_entries(path: str, text: str) -> list[Entry]:
    """The services that one file tells of; none when it is broken or of another kind.

    Args:
        path: where it lies in its repository.
    """
    folder, _, file = path.rpartition("/")
    read = _READERS.get(file)
    if read is None or not text:
        return []
    return [entry for document in _documents(text) for entry in read(document, folder)][:_ENTRIES]


def mistakes(path: str, text: str) -> list[str]:
    """What is wrong with a `services.yaml` whose team believes that it tells something, a sentence each. Of other files nothing."""
    if path not in SERVICES or not text.strip():
        return []
    try:
        documents = _parsed(text)
    except _NoYamlError as error:
        return [str(error)]
    if all(_is_manifest(content) for content in documents) and documents:
        return []
    if any(entry.tells for content in documents for entry in _services(content, "")):
        return []
    return ["it is not understood: it names no paths, repositories or dependencies"]


class _NoYamlError(Exception):
    """A file cannot be read; the message says where."""


def _documents(text: str) -> list[dict[str, Any]]:
    try:
        return _parsed(text)
    except _NoYamlError:
        return []


def _parsed(text: str) -> list[dict[str, Any]]:
    """The tables of a YAML file; a list of services stands for the table that holds it.

    Raises:
        _NoYamlError: it is none.
    """
    import yaml

    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        found = [{"services": item} if isinstance(item, list) else item for item in yaml.load_all(text, Loader=loader)]
        return [item for item in found if isinstance(item, dict)]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise _NoYamlError(f"line {mark.line + 1}: it is no YAML" if mark else "it is no YAML") from error


def _is_manifest(content: dict[str, Any]) -> bool:
    """Whether it is a Kubernetes manifest, in a file of the same name."""
    return {"apiVersion", "kind"} <= content.keys()


def _services(content: dict[str, Any], folder: str) -> Iterator[Entry]:
    if _is_manifest(content):
        return
    for name, entry in _listed(content.get("services", content)):
        told = _by_our_keys(entry if isinstance(entry, dict) else {"paths": entry})
        yield Entry(
            name=name,
            source="services.yaml",
            paths=tuple(path.removesuffix("*") if path.endswith("/*") else path for path in told["paths"]),
            repos=tuple(repo.rstrip("/").rpartition("/")[2].removesuffix(".git") for repo in told["repos"]),
            owners=told["owners"],
            depends_on=told["depends_on"],
            aliases=told["aliases"],
            system="".join(told["system"][:1]),
        )


def _listed(services: Any) -> Iterator[tuple[str, Any]]:
    """Each service's name and what is told of it, from a table by name or a list of tables."""
    if isinstance(services, dict):
        # A file's own "version: 1" is no service.
        yield from ((str(name), entry) for name, entry in services.items() if not isinstance(entry, int | float))
    for entry in services if isinstance(services, list) else ():
        if isinstance(entry, dict) and (name := _name_of(entry)):
            yield name, entry


def _by_our_keys(told: dict[Any, Any]) -> dict[str, tuple[str, ...]]:
    """What is told, by our own words for the keys."""
    plain = {re.sub(r"[-_ ]", "", str(key)).lower(): value for key, value in told.items()}
    return {
        ours: tuple(dict.fromkeys(word for key in theirs for word in _words(plain.get(key))))
        for ours, theirs in _KEYS.items()
    }


def _name_of(told: dict[Any, Any]) -> str:
    return next((str(told[key]) for key in _NAMES if isinstance(told.get(key), str | int)), "")


def _catalog(content: dict[str, Any], folder: str) -> Iterator[Entry]:
    """Backstage's descriptor format: backstage.io/docs/features/software-catalog/descriptor-format."""
    metadata, spec = content.get("metadata"), content.get("spec")
    if (
        not isinstance(metadata, dict)
        or str(content.get("kind", "")).lower() not in _RUNNING
        or not metadata.get("name")
    ):
        return
    told = spec if isinstance(spec, dict) else {}
    uses = (*_words(told.get("dependsOn")), *_words(told.get("consumesApis")))
    yield Entry(
        name=str(metadata["name"]),
        source="catalog-info.yaml",
        paths=(f"/{folder}/" if folder else "/",),
        owners=tuple(_bare(owner) for owner in _words(told.get("owner"))),
        depends_on=tuple(_bare(reference) for reference in uses),
        aliases=(*_words(metadata.get("title")), *_words(told.get("providesApis"))),
        system=_bare(str(told.get("system") or "")),
    )


def _compose(content: dict[str, Any], folder: str) -> Iterator[Entry]:
    listed = content.get("services")
    for name, entry in listed.items() if isinstance(listed, dict) else ():
        told = entry if isinstance(entry, dict) else {}
        build = told.get("build")
        context = build.get("context") if isinstance(build, dict) else build
        place = _joined(folder, context) if isinstance(context, str) else ""
        yield Entry(
            name=str(name),
            source="docker-compose.yml",
            paths=(f"/{place}/",) if place else (),
            depends_on=_words(told.get("depends_on")),
        )


def _joined(folder: str, context: str) -> str:
    """A folder relative to the repository; empty for the whole of it, or for what lies outside."""
    parts = [part for part in f"{folder}/{context}".split("/") if part not in ("", ".")]
    return "" if ".." in parts or "://" in context or "$" in context else "/".join(parts)


def _bare(reference: str) -> str:
    """ "component:default/payments" is payments."""
    return reference.rpartition(":")[2].rpartition("/")[2]


def _words(value: Any) -> tuple[str, ...]:
    """One text, a list of texts or of tables with a name, or the keys of a table (as Compose writes conditions)."""
    items = [value] if isinstance(value, str | int | float) else list(value) if isinstance(value, list | dict) else []
    items = [_name_of(item) if isinstance(item, dict) else item for item in items[:_ITEMS]]
    return tuple(str(item) for item in items if isinstance(item, str | int | float) and str(item))


_READERS: dict[str, Callable[[dict[str, Any], str], Iterator[Entry]]] = {
    **{path.rpartition("/")[2]: _services for path in SERVICES},
    **dict.fromkeys(CATALOGS, _catalog),
    **dict.fromkeys(COMPOSE, _compose),
}
