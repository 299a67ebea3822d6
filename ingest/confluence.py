"""Pages of Confluence spaces, on Cloud and Data Center: only what changed is fetched, and only to those it is open to.

Does: list every page with its version, labels and readers by the cheap lists; fetch the bodies of those that are new or
changed; tell runbooks, postmortems and the day of a page's review by their labels.
Does not: read comments, attachments, blog posts, drafts or archived pages, or write anything to Confluence.

What an account needs: to read the spaces and, for their permissions, to view them (Cloud) or to administer the space (Data Center
9.1 and later). Where it may not see who may read a page, nobody may read it here.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import NamedTuple

from core.errors import SettingsError, Unavailable, UsageError
from core.model import Document, Tier
from core.settings import Settings
from ingest.confluence_api import Api, Body, Page, Space, open_api, with_restrictions
from ingest.confluence_client import ConfluenceClient, ConfluenceRefused
from ingest.confluence_readers import Readers
from ingest.confluence_storage import Converted, storage_to_markdown
from ingest.files import MAX_BYTES
from ingest.postmortem import as_time, occurred_at, tier_of
from ingest.readers import Verdict, closed
from ingest.sources import NOTHING, Held, Listed, Skipped

log = logging.getLogger(__name__)

#: Changes when a page's storage format is read otherwise than before, so that every page is fetched once more.
_FORM = 2
_TIERS = {
    "runbook": Tier.RUNBOOK,
    "playbook": Tier.RUNBOOK,
    "postmortem": Tier.PAST_INCIDENT,
    "post-mortem": Tier.PAST_INCIDENT,
    "incident": Tier.PAST_INCIDENT,
    "incident-report": Tier.PAST_INCIDENT,
}
#: Bodies held in memory at once.
_AT_ONCE = 50
#: Labels by which somebody vouched for a page on a day. Confluence does not tell when a label or a page's state was set, so one
#: without a day tells of no review that could be dated: the last change may be years younger, and by anybody.
_VOUCHED = re.compile(r"(?:reviewed|verified|approved)[-_ :](.*)")
#: Keys go into a search expression; Confluence gives out no others.
_KEY = re.compile(r"~?[A-Za-z0-9._:-]+")


class _Changed(NamedTuple):
    """A page to be fetched."""

    space: Space
    page: Page
    #: Titles of the pages above it.
    place: tuple[str, ...]
    verdict: Verdict
    version: str


class ConfluenceSource:
    """The current pages of some spaces; a page's id is Confluence's.

    Args:
        client: the Confluence.
        spaces: their keys.
        everyone: see `ingest.confluence_readers.Readers`; without it no page is open to everyone.

    Raises:
        UsageError: no space is named, or a name is no key.
    """

    def __init__(self, client: ConfluenceClient, spaces: Sequence[str], *, everyone: Collection[str] = ()) -> None:
        wrong = [key for key in spaces if not _KEY.fullmatch(key)]
        if wrong or not spaces:
            raise UsageError(
                "cannot tell which Confluence spaces to read",
                why=f"{wrong[0]!r} is no space key" if wrong else "none is named",
                way_out='name their keys: "confluence:OPS+ENG", or RUNDOWN_CONFLUENCE_SPACES=OPS,ENG',
            )
        self._client, self._spaces = client, tuple(dict.fromkeys(spaces))
        self._everyone = frozenset(name.lower() for name in everyone)

    @property
    def name(self) -> str:
        """ "confluence:", the site and the spaces' keys."""
        return f"confluence:{self._client.host}/{','.join(sorted(self._spaces))}"

    def documents(self, held: Mapping[str, str] = NOTHING) -> Iterator[Listed]:
        """Every current page, space by space.

        Raises:
            UsageError: a space is not there.
            Unavailable: a list could not be completed, or was not whole.
        """
        api = open_api(self._client)
        readers = Readers(api, self._everyone)
        spaces, listed = [api.space(key) for key in self._spaces], set[str]()
        for space in spaces:
            pages = [page for page in with_restrictions(api.pages(space), api) if page.id not in listed]
            listed |= {page.id for page in pages}
            try:
                verdicts = readers.of_pages(api.space_readers(space), pages)
            except ConfluenceRefused as refused:
                log.warning("nobody may read the pages of %s: %s", space.key, refused)
                reason = f"this account may not see who may read the space {space.key}"
                verdicts = {page.id: Verdict(readers=(), reason=reason) for page in pages}
            yield from self._of_space(api, space, pages, verdicts, held)
        self._check_gone(held.keys() - listed, {space.key for space in spaces})
        if readers.unnamed:
            log.info("%s: %d readers are left out, their e-mail is hidden", self.name, readers.unnamed)

    def _check_gone(self, missing: Collection[str], spaces: Collection[str]) -> None:
        """Refuse to conclude from a list that shifted while it was read: what it lacks must be gone indeed."""
        api = open_api(self._client)
        for page_id in sorted(missing):
            if api.space_of(page_id) in spaces:
                raise Unavailable(
                    f"cannot tell which pages {self.name!r} holds",
                    why=f"its list lacks page {page_id}, which is there",
                    way_out="pages were added or deleted while it was read; nothing was forgotten, the next sync reads it again",
                )

    def _of_space(
        self, api: Api, space: Space, pages: Sequence[Page], verdicts: Mapping[str, Verdict], held: Mapping[str, str]
    ) -> Iterator[Listed]:
        """A space's pages: first those nobody may read any more, then those whose readers, labels or place changed, then new words."""
        titles = {page.id: page.title for page in pages}
        changed: list[_Changed] = []
        for page in pages:
            place = tuple(titles[one] for one in page.ancestors if one in titles)
            one = _Changed(space, page, place, verdicts[page.id], _version(page, place, verdicts[page.id]))
            if held.get(page.id) == one.version:
                yield Held(doc_id=page.id)
            elif not one.verdict.readers:
                yield closed(
                    page.id,
                    source=self.name,
                    title=f"Page {page.id}",
                    reason=one.verdict.reason,
                    version=one.version,
                    url=page.url,
                )
            else:
                changed.append(one)
        changed.sort(key=lambda one: not held.get(one.page.id, "").startswith(f"{one.page.number}."))
        for first in range(0, len(changed), _AT_ONCE):
            some = changed[first : first + _AT_ONCE]
            bodies = api.bodies([one.page.id for one in some])
            for one in some:
                yield self._document(one, bodies.get(one.page.id))

    def _document(self, one: _Changed, body: Body | None) -> Document | Skipped:
        page = one.page
        if body is None:
            return Skipped(
                doc_id=page.id, reason="it was listed and then not to be had: gone, or closed to this account"
            )
        if body.number != page.number:
            # Its restrictions may have changed with it, and those that we know are older.
            return Skipped(
                doc_id=page.id, reason="it changed while it was read; the next sync takes it", unreadable=True
            )
        try:
            made = _converted(self._client, one.space, body)
        except RecursionError:
            return Skipped(doc_id=page.id, reason="nested deeper than any real page")
        if isinstance(made, str):
            return Skipped(doc_id=page.id, reason=made)
        tier = _tier(page, one.place, made.text)
        path = PurePosixPath(page.title.replace("/", "-"))
        past = tier is Tier.PAST_INCIDENT
        return Document(
            id=page.id,
            source=self.name,
            title=page.title,
            text=made.text,
            tier=tier,
            url=page.url,
            updated_at=page.changed_at,
            # A report that tells no day was written after what it tells of.
            occurred_at=(occurred_at(path, {}, made.text) or page.created_at) if past else None,
            readers=one.verdict.readers,
            version=one.version,
            reviewed_at=_reviewed_at(page),
            hidden=made.hidden,
        )


def _converted(client: ConfluenceClient, space: Space, body: Body) -> Converted | str:
    """The body as Markdown, or why it cannot be used."""
    size = len(body.storage.encode(errors="replace"))
    if size > MAX_BYTES:
        return f"{size / 1e6:.1f} MB, more than {MAX_BYTES / 1e6:g}"
    made = storage_to_markdown(body.storage, site=client.web, space=space.key)
    return made if made.text.strip() else "empty"


def _tier(page: Page, place: Sequence[str], text: str) -> Tier:
    """By its labels; without one that tells, by the titles of the pages above it and its own, as files are by their folders."""
    told = {_TIERS[label.removesuffix("s")] for label in page.labels if label.removesuffix("s") in _TIERS}
    if told:
        return Tier.RUNBOOK if Tier.RUNBOOK in told else Tier.PAST_INCIDENT
    path = PurePosixPath(*(title.replace("/", "-") for title in (*place, page.title)))
    return tier_of(path, page.title, text)


def _reviewed_at(page: Page) -> datetime | None:
    """The last day that a label vouches for, such as "reviewed-2026-02-03"."""
    days = (as_time(told[1]) for label in page.labels if (told := _VOUCHED.match(label)))
    return max((day for day in days if day is not None), default=None)


def _version(page: Page, place: Sequence[str], verdict: Verdict) -> str:
    """The state of a page in all that makes its document: Confluence's number does not tell labels, place or readers."""
    facts = [_FORM, page.title, page.labels, page.state, page.url, place, verdict.readers, verdict.reason]
    return f"{page.number}.{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]}"


USAGE = "confluence:"


def open(rest: str, settings: Settings) -> ConfluenceSource:
    """The source that a person named after "confluence:", for example "OPS+ENG"; nothing means those of the settings.

    Raises:
        SettingsError: the address or the token is not set, or the address cannot be used.
        UsageError: no space is named, or a name is no key.
    """
    if settings.confluence_url is None or settings.confluence_token is None:
        missing = "URL" if settings.confluence_url is None else "TOKEN"
        raise SettingsError(
            "cannot ask Confluence",
            why=f"RUNDOWN_CONFLUENCE_{missing} is not set",
            way_out="set it; on Cloud also RUNDOWN_CONFLUENCE_USER, the e-mail of the account whose API token it is",
        )
    client = ConfluenceClient(
        settings.confluence_url, settings.confluence_token.get_secret_value(), user=settings.confluence_user
    )
    named = tuple(key.strip() for key in re.split(r"[,+]", rest) if key.strip())
    return ConfluenceSource(client, named or settings.confluence_spaces, everyone=settings.confluence_everyone)
