"""Whether an address and a document are the same page, and which of its sections is meant.

Does: turn an alert's `runbook_url`, and a document's address or id, into keys that are equal when they name one page: whatever
the forge's view of a file, the wiki's form of an address, or the site a file was published to.
Does not: fetch an address, follow a redirect, or look documents up; the caller brings the keys of those that are held.

A key opens with how much an equal one proves, strongest first:

    page:   the same page: host and path, without what only says how to show it (branch, view, suffix)
    path:   the same file, most likely: its last two steps, as when a repository is published as a site
    name:   perhaps: its last step alone. Worth something only where no other document has that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

#: The kinds of key, strongest first, and what an equal one is worth, in [0, 1].
STRENGTH = {"page": 1.0, "path": 0.7, "name": 0.4}

_SUFFIX = re.compile(r"\.(?:md|markdown|mdx|html?|xhtml|adoc|asciidoc|asc|rst|rest|txt|php|aspx?)$", re.IGNORECASE)
#: Steps that tell how a forge shows a file, and the branch that follows them.
_FORGE = re.compile(
    r"^((?:/[^/]+){2,}?)(?:/-)?/(?:blob|tree|edit|raw|blame|src/branch|src/commit|src/tag|src|-/blob)/(?:refs/heads/)?[^/]+/(.+)$"
)
_FORGE_HOST = re.compile(r"(^|\.)(github|gitlab|bitbucket|gitea|codeberg|forgejo)\.|^(git|gerrit|code|source)\.")
#: Names that many pages bear, and so tell nothing.
_COMMON_NAMES = (
    "index readme home main overview default runbook runbooks playbook playbooks alert alerts wiki docs documentation "
    "troubleshooting operations faq page pages view"
)
_COMMON = frozenset(_COMMON_NAMES.split())
_INDEX = frozenset(("index", "readme", "_index", "home", "default"))
#: Parameters that say how to show a page, not which.
_SHOWING = re.compile(r"^(utm_.*|action|oldid|raw|plain|version|ref|ref_type|at|mode|focusedcommentid)$")
_CONFLUENCE = re.compile(
    r"(?:/wiki)?/(?:spaces/([^/]+)/pages/(?:edit-v2/)?(\d+)(?:/([^/]+))?|display/([^/]+)/([^/]+))/?$"
)
_NOTION_ID = re.compile(r"(?:^|[-/])([0-9a-f]{32})$|(?:^|/)([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$")


def place_keys(url_or_doc_id: str) -> tuple[str, ...]:
    """The keys by which a page is recognised.

    Args:
        url_or_doc_id: an http or https address, or a document's id, such as its path in a repository. What follows "#" is
            left out: `section_key` compares it.

    Returns:
        Keys such as "page:github.com/openshift/runbooks/alerts/kubeapidown", strongest first, each once. Empty for what
        names no page: a template that was not filled in, another scheme.
    """
    text = url_or_doc_id.strip()
    if (
        not text
        or "{{" in text
        or re.match(r"(?!https?:)[a-z][a-z0-9+.-]*://|(?:javascript|data|mailto):", text, re.IGNORECASE)
    ):
        return ()
    if not re.match(r"https?://", text, re.IGNORECASE):
        return _keys(pages=(), steps=_steps(text.partition("#")[0]))
    try:
        address = urlsplit(text)
    except ValueError:
        return ()
    host, path, ids = _page_of((address.hostname or "").removeprefix("www."), address)
    steps = _steps(path)
    titled = [f"{'/'.join((host, *steps))}{_query(address)}"] if steps or not ids else []
    return _keys(pages=[*(f"{host}/#{found}" for found in ids), *titled], steps=steps)


def section_key(heading_or_url: str) -> str:
    """A heading, or the part of an address after "#", by its letters and digits alone; "" for an address without one.

    So "#alert-name-kubepodcrashlooping", "#Alert_Name:_KubePodCrashLooping" and the heading they were made of are equal.
    """
    text = heading_or_url
    if re.match(r"https?://", text, re.IGNORECASE) or re.search(r"\.\w+#", text):
        text = text.partition("#")[2]
    return re.sub(r"[\W_]+", "", unquote(text)).casefold()


def section_url(url: str | None, title: str, section: Sequence[str]) -> str | None:
    """The address of a section: its page's, with what the page's site calls the heading after "#".

    Args:
        url: the page's address.
        title, section: the page's title, and the path of headings to the section.

    Returns:
        The page's own address where the site's way to name headings is not known. A name that is not there opens the page too.
    """
    heading = section[-1].strip() if section else ""
    if not url or not heading or heading == title or "#" in url:
        return url
    try:
        name = _heading_name(urlsplit(url), title, heading)
    except ValueError:
        return url
    return f"{url}#{quote(name, safe='()!*:@,;=+$/?')}" if name else url


def _heading_name(address: SplitResult, title: str, heading: str) -> str:
    """What a site calls a heading: forges, Confluence Cloud and Data Center, MediaWiki; "" for any other."""
    host, path = (address.hostname or "").lower(), address.path
    if _FORGE_HOST.search(host):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        return f"markdown-header-{slug}" if "bitbucket" in host else slug
    if "/wiki/spaces/" in path:
        return heading.replace(" ", "-")
    if "/display/" in path or path.endswith("/viewpage.action"):
        return "".join(f"{title}-{heading}".split())
    if "/wiki/" in path or path.endswith("/index.php"):
        return heading.replace(" ", "_")
    return ""


def same_place(one: Iterable[str], other: Iterable[str]) -> float:
    """How sure it is that two lists of keys are of one page: the worth of the strongest key they share, 0.0 for none."""
    shared = set(one) & set(other)
    return max((STRENGTH[key.partition(":")[0]] for key in shared), default=0.0)


def telling(keys: Iterable[str]) -> list[str]:
    """The keys that prove something on their own: all but names."""
    return [key for key in keys if not key.startswith("name:")]


def which_page(url: str, held: Sequence[Iterable[str]]) -> int | None:
    """Which of the documents held an address names: its place in the list, or None if none of them, or there is no telling.

    The same page may be held twice, and then the first is as good as the other. But the same file name in two repositories is
    two pages: a wrong runbook at night is worse than none, so nothing is guessed.

    Args:
        url: for example a rule's `runbook_url`.
        held: of each document the keys of its address and its id, in an order that is the same each time.
    """
    named = telling(place_keys(url))
    proofs = [same_place(named, keys) for keys in held]
    best = max(proofs, default=0.0)
    if best == 0.0:
        return None
    equal = [place for place, proof in enumerate(proofs) if proof == best]
    if best == STRENGTH["page"] or len(equal) == 1:
        return equal[0]
    beside = [place for place in equal if _same_site(named, held[place])]
    return beside[0] if len(beside) == 1 else None


def _same_site(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether two lists of keys have an address in the same repository, or on the same host where that is no forge."""

    def sites(keys: Iterable[str]) -> set[tuple[str, ...]]:
        pages = [key.removeprefix("page:").split("/") for key in keys if key.startswith("page:")]
        return {tuple(steps[: 3 if _FORGE_HOST.search(steps[0]) else 1]) for steps in pages}

    return not sites(one).isdisjoint(sites(other))


def _page_of(host: str, address: SplitResult) -> tuple[str, str, tuple[str, ...]]:
    """The host and path that name the page, however its site writes them, and ids that name it whatever its title."""
    path, query = address.path, {name.lower(): value for name, value in parse_qsl(address.query)}
    ids: tuple[str, ...] = ()
    if match := re.match(r"!?(/.+)", address.fragment):  # a site that is one page, such as Docsify's
        path = path.removesuffix("index.html") + match[1]
    elif host == "raw.githubusercontent.com":
        host, path = "github.com", re.sub(r"^(/[^/]+/[^/]+)/(?:refs/heads/)?[^/]+/", r"\1/", path)
    elif _FORGE_HOST.search(host) and (match := _FORGE.match(path)):
        path = f"{match[1]}/{match[2]}"
    elif "path" in query and "/_git/" in path:  # Azure DevOps
        path = f"{path}/{query['path']}"
    elif "pageid" in query:
        path, ids = "", (query["pageid"],)
    elif "title" in query:  # MediaWiki; with a space, Confluence
        path = "/".join(("/wiki", *filter(None, (query.get("spacekey"),)), query["title"]))
    elif match := re.search(r"/index\.php/(.+)$", path):
        path = f"/wiki/{match[1]}"
    elif match := _CONFLUENCE.match(path):
        path, ids = f"/wiki/{match[1] or match[4]}/{match[3] or match[5] or ''}", tuple(filter(None, (match[2],)))
    elif match := _NOTION_ID.search(path.lower()):
        path, ids = path[: match.start()], ((match[1] or match[2]).replace("-", ""),)
    return host, path, ids


def _steps(path: str) -> list[str]:
    """A path's steps in one spelling, without a file's suffix; an index page is its folder."""
    steps = [re.sub(r"[\s_+]+", "_", unquote(step)).casefold().strip("_") for step in path.split("/")]
    steps = [step for step in steps if step not in ("", ".", "..")]
    if steps:
        steps[-1] = _SUFFIX.sub("", steps[-1])
        if steps[-1].strip("_") in _INDEX and len(steps) > 1:
            steps.pop()
    return steps


def _query(address: SplitResult) -> str:
    """The parameters that choose the page, in order of name."""
    kept = [
        f"{name.lower()}={value.casefold()}"
        for name, value in parse_qsl(address.query)
        if not _SHOWING.match(name.lower()) and name.lower() not in ("title", "path", "pageid", "spacekey")
    ]
    return f"?{'&'.join(sorted(kept))}" if kept else ""


def _keys(*, pages: Iterable[str], steps: list[str]) -> tuple[str, ...]:
    found = [f"page:{page}" for page in pages]
    bare = [re.sub(r"[\W_]+", "", step) for step in steps]
    if bare and bare[-1] and bare[-1] not in _COMMON and not bare[-1].isdigit():
        if len(bare) > 1 and bare[-2]:
            found.append(f"path:{bare[-2]}/{bare[-1]}")
        found.append(f"name:{bare[-1]}")
    return tuple(dict.fromkeys(found))
