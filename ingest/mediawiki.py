"""A MediaWiki's pages as documents.

Does: list the pages of namespaces or categories with their revisions, fetch the rendered page of those that changed, and say
who may read them: everyone, if the wiki lets anybody read without a login.
Does not: read talk pages, files, scripts or old revisions, or guess who may read a wiki that asks for a login.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urldefrag, urlsplit

from core.access import EVERYONE
from core.errors import DocumentError, UsageError
from core.model import Document, Tier
from core.settings import Settings
from ingest.files import MAX_BYTES
from ingest.mediawiki_client import MediaWikiClient, MediaWikiRefused, dig
from ingest.postmortem import as_time, occurred_at, tier_of
from ingest.readers import readers_of
from ingest.sources import NOTHING, Held, Listed, Skipped
from ingest.wikitext import rendered_to_markdown

#: Part of every version: raise it when the same page would become another document.
_MADE = "wiki-1"
#: How far down a category its subcategories are followed.
_DEEPEST = 5
#: What is asked of every page. Redirects are the names that people know it by.
_PROPERTIES = {
    "prop": "info|revisions|categories|redirects",
    "inprop": "url",
    "rvprop": "ids|timestamp",
    "cllimit": "max",
    "clshow": "!hidden",
    "rdlimit": "max",
    "rdprop": "title",
}
_GONE = ("missingtitle", "nosuchpageid", "nosuchrevid", "missingcontent-revid", "missingcontent-pageid")
_RUNBOOK = re.compile(r"\b(?:run|play)books?\b", re.IGNORECASE)
_INCIDENT = re.compile(
    r"^(?:past |old )?(?:incidents?|outages?|post-?\s?mortems?)(?: (?:documentation|reports?|reviews?|postmortems?|archive))?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class _Site:
    """What the wiki tells of itself."""

    #: Namespace names, in lower case and with "_" for blanks, to their numbers.
    namespaces: Mapping[str, int]
    #: Those that hold the wiki's content.
    content: Sequence[int]


USAGE = "mediawiki:ADDRESS"


def open(rest: str, settings: Settings) -> MediaWikiSource:
    """The pages of "mediawiki:https://wiki.example.org/w/api.php#Category:Runbooks|Help".

    Args:
        rest: the address of api.php. After "#", which pages, separated by "|": a category with those below it, or a
            namespace by name or number. Without it, the namespaces that hold the wiki's content.

    Raises:
        UsageError: that is no address.
        SettingsError: the readers in the settings are no principals.
    """
    try:
        url, chosen = urldefrag(rest.strip())
        why = (
            ""
            if urlsplit(url).scheme in ("http", "https") and urlsplit(url).hostname
            else "it is no http or https address"
        )
    except ValueError as error:
        url, chosen, why = "", "", f"it is no address: {error}"
    if why:
        raise UsageError(
            f"cannot read a wiki at {rest!r}",
            why=why,
            way_out="give the address of its api.php, as its Special:Version names it: mediawiki:https://wiki.example.org/w/api.php",
        )
    password = settings.mediawiki_password
    account = (settings.mediawiki_user or "", password.get_secret_value()) if password else None
    return MediaWikiSource(
        url,
        chosen=tuple(part.strip() for part in chosen.split("|") if part.strip()),
        account=account,
        readers=readers_of(settings.mediawiki_readers, setting="RUNDOWN_MEDIAWIKI_READERS"),
    )


class MediaWikiSource:
    """The pages of one wiki; the id of each is the wiki's own number of it, which outlives a change of title.

    Args:
        url: the address of api.php.
        chosen: categories and namespaces; empty for the namespaces that hold the wiki's content.
        account: a bot password's name and password, used only where the wiki does not let everyone read.
        readers: who may read a wiki that asks for a login. The account should see no more than they may.
        sleep: waits some seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        chosen: Sequence[str] = (),
        account: tuple[str, str] | None = None,
        readers: Sequence[str] = (),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url, self._chosen = url, tuple(chosen)
        self._account, self._readers, self._sleep = account, tuple(readers), sleep

    @property
    def name(self) -> str:
        """ "mediawiki:", the address, and what was chosen."""
        return f"mediawiki:{self._url}{'#' if self._chosen else ''}{'|'.join(self._chosen)}"

    def documents(self, held: Mapping[str, str] = NOTHING) -> Iterator[Listed]:
        """Every page. One whose revision, templates, other names and readers are as they were is not fetched.

        Raises:
            MediaWikiUnavailable: the list could not be completed.
            SettingsError: the wiki refuses the account.
            DocumentError: a chosen category or namespace is not there.
        """
        with MediaWikiClient(self._url, sleep=self._sleep) as client:
            site, readers = self._enter(client)
            if isinstance(site, Skipped):
                yield site
                return
            listed: set[int] = set()
            for page in self._pages(client, site):
                # A redirect may lead to a page that is not there, or to a special one: those have no number.
                if "lastrevid" not in page or page["pageid"] in listed:
                    continue
                listed.add(page["pageid"])
                version = _version(page, readers)
                if held.get(str(page["pageid"])) == version:
                    yield Held(doc_id=str(page["pageid"]))
                elif (item := self._read(client, page, readers, version)) is not None:
                    yield item

    def _enter(self, client: MediaWikiClient) -> tuple[_Site | Skipped, tuple[str, ...]]:
        """The wiki as anybody sees it, or else as our account does; and who may read it."""
        try:
            site, rights = _site(client)
            if "read" in rights:
                return site, (EVERYONE,)
        except MediaWikiRefused as error:
            if error.code != "readapidenied":
                raise
        everything = f"{urlsplit(self._url).hostname}/"
        if self._account is None:
            reason = (
                "the wiki asks for a login: set RUNDOWN_MEDIAWIKI_USER and RUNDOWN_MEDIAWIKI_PASSWORD to a bot password"
            )
            return Skipped(doc_id=everything, reason=reason), ()
        if not self._readers:
            reason = "the wiki asks for a login and does not tell who has one: set RUNDOWN_MEDIAWIKI_READERS to who may read it"
            return Skipped(doc_id=everything, reason=reason), ()
        client.log_in(*self._account)
        return _site(client)[0], self._readers

    def _pages(self, client: MediaWikiClient, site: _Site) -> Iterator[dict[str, Any]]:
        """The pages of what was chosen, without their content; one may come several times."""
        for number in dict.fromkeys(self._namespaces(site)):
            asked = {
                "generator": "allpages",
                "gapnamespace": number,
                "gapfilterredir": "nonredirects",
                "gaplimit": "max",
            }
            yield from client.pages({**asked, **_PROPERTIES})
        for category in self._categories(client, site):
            asked = {"generator": "categorymembers", "gcmtitle": category, "gcmtype": "page", "gcmlimit": "max"}
            # A member that is a redirect stands for the page it leads to.
            yield from client.pages({**asked, "redirects": "1", **_PROPERTIES})

    def _namespaces(self, site: _Site) -> list[int]:
        if not self._chosen:
            return list(site.content)
        keys = [_key(name) for name in self._chosen]
        return [
            int(key) if key.isdigit() else site.namespaces[key]
            for key in keys
            if key.isdigit() or key in site.namespaces
        ]

    def _categories(self, client: MediaWikiClient, site: _Site) -> Iterator[str]:
        """The chosen categories and those below them, each once.

        Raises:
            DocumentError: the wiki knows no category of that name.
        """
        seen: set[str] = set()
        for name in self._chosen:
            if _key(name).isdigit() or _key(name) in site.namespaces:
                continue
            prefix, _, rest = name.partition(":")
            category = f"Category:{rest if site.namespaces.get(_key(prefix)) == 14 else name}"
            if not self._exists(client, category):
                raise DocumentError(
                    f"cannot read {name!r} of {self._url}",
                    why="the wiki has no such namespace, and no category of that name with pages",
                    way_out="check its Special:Categories; several are separated by |",
                )
            level = [category]
            for _ in range(_DEEPEST):
                fresh = [title for title in level if title not in seen]
                seen.update(fresh)
                yield from fresh
                asked = {"list": "categorymembers", "cmtype": "subcat", "cmlimit": "max", "cmprop": "title"}
                level = [
                    str(row["title"])
                    for title in fresh
                    for row in client.rows({**asked, "cmtitle": title}, "categorymembers")
                ]

    def _exists(self, client: MediaWikiClient, category: str) -> bool:
        answer = client.ask({"action": "query", "prop": "categoryinfo", "titles": category})
        return any(page.get("categoryinfo", {}).get("size") for page in dig(answer, "query", "pages"))

    def _read(
        self, client: MediaWikiClient, page: Mapping[str, Any], readers: tuple[str, ...], version: str
    ) -> Document | Skipped | None:
        """The page's document; None if it went away meanwhile."""
        doc_id = str(page["pageid"])
        model = page.get("contentmodel", "wikitext")
        if model not in ("wikitext", "markdown", "text"):
            return Skipped(doc_id=doc_id, reason=f"{page['title']}: {model}, not a page to read")
        if page.get("length", 0) > MAX_BYTES:
            return Skipped(
                doc_id=doc_id, reason=f"{page['title']}: {page['length'] / 1e6:.1f} MB, more than {MAX_BYTES / 1e6:g}"
            )
        asked = {
            "action": "parse",
            "oldid": page["lastrevid"],
            "prop": "text",
            "disableeditsection": "1",
            "disablelimitreport": "1",
        }
        try:
            html = dig(client.ask(asked), "parse", "text")
            text, hidden = rendered_to_markdown(str(html), _url(page) or self._url)
        except MediaWikiRefused as error:
            if error.code in _GONE:
                return None
            return Skipped(doc_id=doc_id, reason=f"{page['title']}: {error.what}: {error.code}")
        except RecursionError:
            return Skipped(doc_id=doc_id, reason=f"{page['title']}: nested deeper than any real page")
        return self._document(page, text, hidden, readers=readers, version=version)

    def _document(
        self, page: Mapping[str, Any], text: str, hidden: tuple[str, ...], *, readers: tuple[str, ...], version: str
    ) -> Document:
        title, aliases = str(page["title"]), _aliases(page)
        tier = _tier(page, text)
        past = tier is Tier.PAST_INCIDENT
        names = f"Also called: {', '.join(aliases)}." if aliases and text.strip() else ""
        return Document(
            id=str(page["pageid"]),
            source=self.name,
            title=title,
            text="\n\n".join(part for part in (names, text) if part),
            tier=tier,
            url=_url(page),
            updated_at=_edited(page),
            occurred_at=occurred_at(PurePosixPath(title), {}, text) if past else None,
            readers=readers,
            version=version,
            hidden=hidden,
        )


def _site(client: MediaWikiClient) -> tuple[_Site, list[str]]:
    """The wiki's namespaces, and what we may do there."""
    asked = {
        "action": "query",
        "meta": "siteinfo|userinfo",
        "siprop": "namespaces|namespacealiases",
        "uiprop": "rights",
    }
    query = dig(client.ask(asked), "query")
    spaces = [space for space in dig(query, "namespaces").values() if space["id"] >= 0]
    names = [(space.get(form), space["id"]) for space in spaces for form in ("name", "canonical")]
    names += [(alias["alias"], alias["id"]) for alias in query.get("namespacealiases", [])]
    site = _Site(
        namespaces={_key(str(name)): number for name, number in names if name} | {"main": 0},
        content=[space["id"] for space in spaces if space.get("content")] or [0],
    )
    return site, list(dig(query, "userinfo").get("rights", []))


def _key(name: str) -> str:
    return re.sub(r"[\s_]+", "_", name.strip()).casefold()


def _version(page: Mapping[str, Any], readers: Sequence[str]) -> str:
    """The page's revision; when it was last rendered otherwise, which a template's edit does too; names and readers."""
    facts = "\n".join([*_aliases(page), *_category_names(page), str(page["title"]), "", *readers])
    digest = hashlib.sha256(facts.encode()).hexdigest()[:12]
    return f"{_MADE} {page.get('lastrevid')} {page.get('touched')} {digest}"


def _aliases(page: Mapping[str, Any]) -> list[str]:
    return sorted(str(redirect["title"]) for redirect in page.get("redirects", []))


def _category_names(page: Mapping[str, Any]) -> list[str]:
    return sorted(str(category["title"]).partition(":")[2] for category in page.get("categories", []))


def _tier(page: Mapping[str, Any], text: str) -> Tier:
    """By its title's path as by folders; failing that, by its categories."""
    title = str(page["title"]).replace(":", "/")
    steps = ["incidents" if _INCIDENT.match(step) else step for step in title.split("/")]
    tier = tier_of(PurePosixPath(*[step for step in steps if step] or ["page"]), title, text)
    if tier is not Tier.WIKI:
        return tier
    categories = _category_names(page)
    if any(_RUNBOOK.search(name) for name in categories):
        return Tier.RUNBOOK
    return Tier.PAST_INCIDENT if any(_INCIDENT.match(name) for name in categories) else Tier.WIKI


def _url(page: Mapping[str, Any]) -> str | None:
    url = str(page.get("canonicalurl") or page.get("fullurl") or "")
    return url if url.startswith(("http://", "https://")) else None


def _edited(page: Mapping[str, Any]) -> datetime | None:
    return next((as_time(revision.get("timestamp")) for revision in page.get("revisions", [])), None)
