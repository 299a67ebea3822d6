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
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

SERVICES = ("services.yaml", "services.yml", ".rundown/services.yaml", ".rundown/services.yml")
CATALOGS = ("catalog-info.yaml", "catalog-info.yml")
COMPOSE = ("docker-compose.yml", "docker-compose.yaml", "compose.yaml", "compose.yml")
#: The kinds of a Backstage catalog that run, or that something that runs depends on.
_RUNNING = ("component", "resource", "api")
_ENTRIES, _ITEMS = 2_000, 500


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
    """What a person got wrong in a `services.yaml`, a sentence each. Of other files, and of what is another tool's, nothing."""
    if path not in SERVICES:
        return []
    try:
        documents = _parsed(text)
    except _NoYamlError as error:
        return [str(error)]
    found = []
    for content in documents:
        listed = content.get("services")
        if isinstance(listed, list) and any(isinstance(item, dict) for item in listed):
            found.append("`services` is a list, not a table of names")
        tables = [(n, e) for n, e in (listed if isinstance(listed, dict) else content).items() if isinstance(e, dict)]
        keys = [(name, key) for name, entry in tables for key in map(str, entry) if key in _MEANT]
        found += [f"`{key}` of {name} is not known, `{_MEANT[key]}` is" for name, key in keys]
    return found


#: What people write for the names of keys.
_MEANT = {
    "path": "paths",
    "repo": "repos",
    "repository": "repos",
    "repositories": "repos",
    "owner": "owners",
    "dependsOn": "depends_on",
    "depends-on": "depends_on",
    "depends": "depends_on",
    "dependencies": "depends_on",
    "alias": "aliases",
}


class _NoYamlError(Exception):
    """A file cannot be read; the message says where."""


def _documents(text: str) -> list[dict[str, Any]]:
    try:
        return _parsed(text)
    except _NoYamlError:
        return []


def _parsed(text: str) -> list[dict[str, Any]]:
    """The tables of a YAML file.

    Raises:
        _NoYamlError: it is none.
    """
    import yaml

    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return [item for item in yaml.load_all(text, Loader=loader) if isinstance(item, dict)]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise _NoYamlError(f"line {mark.line + 1}: it is no YAML" if mark else "it is no YAML") from error


def _services(content: dict[str, Any], folder: str) -> Iterator[Entry]:
    if {"apiVersion", "kind"} <= content.keys():
        return  # A Kubernetes manifest of the same name.
    listed = content.get("services")
    for name, entry in (listed if isinstance(listed, dict) else content).items():
        told = entry if isinstance(entry, dict) else {"paths": entry}
        yield Entry(
            name=str(name),
            source="services.yaml",
            paths=tuple(path.removesuffix("*") if path.endswith("/*") else path for path in _words(told.get("paths"))),
            repos=_words(told.get("repos")),
            owners=_words(told.get("owners")),
            depends_on=_words(told.get("depends_on")),
            aliases=_words(told.get("aliases")),
            system=str(told.get("system") or ""),
        )


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
    """One text, a list of texts, or the keys of a table (as Compose writes conditions)."""
    items = [value] if isinstance(value, str | int | float) else list(value) if isinstance(value, list | dict) else []
    return tuple(str(item) for item in items[:_ITEMS] if isinstance(item, str | int | float) and str(item))


_READERS: dict[str, Callable[[dict[str, Any], str], Iterator[Entry]]] = {
    **{path.rpartition("/")[2]: _services for path in SERVICES},
    **dict.fromkeys(CATALOGS, _catalog),
    **dict.fromkeys(COMPOSE, _compose),
}
