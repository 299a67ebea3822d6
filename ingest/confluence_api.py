"""Confluence's two APIs behind one set of questions: Cloud (REST v2, and v1 where v2 lacks it) and Data Center (REST v1).

Does: list a space's pages with versions, labels and own read restrictions; read a body; tell who may read a space, who is in a
group, and people's e-mail addresses. What each question costs stands with it.
Does not: decide who may read a page (`ingest.confluence_readers` does), retry, or keep anything but names of groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote, urljoin

from core.errors import Unavailable, UsageError
from ingest import fields as f
from ingest.confluence_client import ConfluenceClient, ConfluenceRefused

#: What to expand for a page's own read restrictions.
_READ_USERS, _READ_GROUPS = "restrictions.read.restrictions.user", "restrictions.read.restrictions.group"
#: Accounts or pages asked for by one request, so that the address stays short enough.
_AT_ONCE = 50


@dataclass(frozen=True, kw_only=True)
class Who:
    """Somebody a permission names."""

    #: "user", "group", or "class" for kinds of visitors: "anonymous", "all-licensed", "authenticated".
    kind: str
    #: Account id or user key; a group's id on Cloud and its name on Data Center.
    id: str


Layer = frozenset[Who]


@dataclass(frozen=True, kw_only=True)
class Space:
    """A space that may be read."""

    key: str
    id: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page as the cheap list tells of it."""

    id: str
    title: str
    #: Grows with every change of title or body, not of labels, restrictions or place.
    number: int
    #: Ids of the pages and folders above it, the outermost first.
    ancestors: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    #: Who alone may read it by its own restrictions, empty where it has none; None if the list did not tell.
    restriction: Layer | None = None
    #: The name of the state that people set on it, lower-case, for example "verified"; empty if none, as always on Data Center.
    state: str = ""
    url: str | None = None
    changed_at: datetime | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Body:
    """What a page says."""

    storage: str
    #: The version it belongs to.
    number: int


class Api(Protocol):
    """What the source asks. Every method raises `ConfluenceRefused` where the account may not ask, `Unavailable` where it got
    no answer."""

    def space(self, key: str) -> Space:
        """The space of that key.

        Raises:
            UsageError: there is none that the account may see.
        """
        ...

    def space_readers(self, space: Space) -> Layer:
        """Who may read pages of a space that carry no restrictions."""
        ...

    def pages(self, space: Space) -> list[Page]:
        """Every current page of a space."""
        ...

    def restriction(self, content_id: str) -> Layer:
        """Who alone may read a page or folder by its own restrictions; empty where it has none."""
        ...

    def bodies(self, page_ids: Sequence[str]) -> Mapping[str, Body]:
        """What pages say now, by id, of those that are still to be had."""
        ...

    def space_of(self, page_id: str) -> str | None:
        """Key of the space a page is in; None if it is gone, in the trash, archived, or not for the account to see."""
        ...

    def groups_of(self, user: str) -> frozenset[str]:
        """Ids of the groups a person is in."""
        ...

    def members(self, group: str) -> frozenset[str]:
        """Ids of the people in a group."""
        ...

    def group_name(self, group: str) -> str:
        """A group's name."""
        ...

    def emails(self, users: Sequence[str]) -> Mapping[str, str]:
        """E-mail addresses by person's id; empty or absent for those who hide theirs."""
        ...


def open_api(client: ConfluenceClient) -> Api:
    """The API that the client's Confluence speaks."""
    return CloudApi(client) if client.cloud else DataCenterApi(client)


class _Common:
    """What v1 is the same for on both."""

    #: Where a group's members are told.
    _members_path: str
    #: How `memberof` names a person, and where answers name one.
    _user_parameter: str
    _user_id: str
    _group_id: str

    def __init__(self, client: ConfluenceClient) -> None:
        self._client = client
        self._group_names: dict[str, str] = {}

    def restriction(self, content_id: str) -> Layer:
        """A request, or one more for every 100 people and groups."""
        found: set[Who] = set()
        start, more = 0, True
        while more:
            told = self._client.get(
                f"/rest/api/content/{quote(content_id)}/restriction/byOperation/read",
                {"expand": "restrictions.user,restrictions.group", "start": start, "limit": 100},
            )
            layer = self._layer(told)
            if layer is None:
                raise Unavailable(
                    f"cannot read the restrictions of {content_id}",
                    why="Confluence's answer holds none",
                    way_out="wait",
                )
            step = _cut_at(told)
            more = step > 0 and not layer <= found
            found |= layer
            start += step
        return frozenset(found)

    def groups_of(self, user: str) -> frozenset[str]:
        """A request for every 200 groups."""
        listed = self._client.by_start("/rest/api/user/memberof", {self._user_parameter: user})
        return frozenset(self._group(group) for group in listed)

    def members(self, group: str) -> frozenset[str]:
        """A request for every 200 members."""
        path = self._members_path.format(quote(group, safe=""))
        listed = self._client.by_start(path)
        return frozenset(found for user in listed if (found := f.text(user.get(self._user_id))))

    def _group(self, group: Mapping[str, Any]) -> str:
        found, name = f.text(group.get(self._group_id)), f.text(group.get("name"))
        if name:
            self._group_names[found] = name
        return found

    def _layer(self, operation: Any) -> Layer | None:
        """The people and groups of one operation's restrictions; None where they were not told."""
        told = f.table(f.table(operation).get("restrictions"))
        if not isinstance(told.get("user"), dict) or not isinstance(told.get("group"), dict):
            return None
        users = (f.text(user.get(self._user_id)) or "unknown" for user in f.rows(told["user"].get("results")))
        groups = (self._group(group) or "unknown" for group in f.rows(told["group"].get("results")))
        return frozenset(
            [*(Who(kind="user", id=user) for user in users), *(Who(kind="group", id=group) for group in groups)]
        )

    def _listed_restriction(self, content: Mapping[str, Any]) -> Layer | None:
        """A listed page's own restrictions; None where the list left them out, in part or whole."""
        operation = f.table(content.get("restrictions")).get("read")
        return None if _cut_at(operation) else self._layer(operation)


class CloudApi(_Common):
    """Confluence Cloud. Existence and versions come from v2's database; labels and restrictions, which v2 cannot list, from
    v1's search, whose index may lag: a page it does not know yet is asked for by itself."""

    _members_path, _user_parameter = "/rest/api/group/{}/membersByGroupId", "accountId"
    _user_id, _group_id = "accountId", "id"

    def space(self, key: str) -> Space:
        """A request."""
        for found in self._client.by_cursor("/api/v2/spaces", {"keys": key}):
            if f.text(found.get("key")).lower() == key.lower():
                return Space(key=f.text(found["key"]), id=f.text(found.get("id")))
        raise _unknown_space(key)

    def space_readers(self, space: Space) -> Layer:
        """A request for every 250 permissions."""
        listed = self._client.by_cursor(f"/api/v2/spaces/{quote(space.id)}/permissions")
        found = set()
        for permission in listed:
            operation, principal = f.table(permission.get("operation")), f.table(permission.get("principal"))
            if (operation.get("key"), operation.get("targetType")) == ("read", "space"):
                kind, name = f.text(principal.get("type")).lower(), f.text(principal.get("id"))
                known = kind if kind in ("user", "group") and name != "anonymous" else "class"
                found.add(Who(kind=known, id=name.removesuffix("-users") if known == "class" else name))
        return frozenset(found)

    def pages(self, space: Space) -> list[Page]:
        """A request for every 250 pages, one for every 100 of the search and of each state, one for each folder with pages."""
        found, states = self._found(space), self._states(space)
        listed = list(self._client.by_cursor(f"/api/v2/spaces/{quote(space.id)}/pages", {"status": "current"}))
        parents = {f.text(page.get("id")): f.text(page.get("parentId")) for page in listed}
        above: dict[str, tuple[str, ...]] = {}
        return [
            replace(
                self._page(page, found.get(f.text(page.get("id")))),
                ancestors=self._ancestors(f.text(page.get("id")), parents, above),
                state=states.get(f.text(page.get("id")), ""),
            )
            for page in listed
        ]

    def _found(self, space: Space) -> dict[str, tuple[tuple[str, ...], Layer | None]]:
        """Labels and restrictions by page id, as far as search knows the pages."""
        asked = {
            "cql": f'space="{space.key}" and type=page',
            "expand": f"{_READ_USERS},{_READ_GROUPS},metadata.labels",
        }
        return {
            f.text(content.get("id")): (_labels(content), self._listed_restriction(content))
            for content in self._client.by_cursor("/rest/api/content/search", asked, page=100)
        }

    def _states(self, space: Space) -> dict[str, str]:
        """The states that the space suggests, by the pages that carry them; none where the account may not see them."""
        path = f"/rest/api/space/{quote(space.key, safe='~')}/state"
        try:
            return {
                f.text(content.get("id")): f.text(state.get("name")).lower()
                for state in f.rows(self._client.get(path))
                for content in self._client.by_start(f"{path}/content", {"state-id": state.get("id")}, page=100)
            }
        except ConfluenceRefused:
            return {}

    def _page(self, told: Mapping[str, Any], found: tuple[tuple[str, ...], Layer | None] | None) -> Page:
        page_id, version = f.text(told.get("id")), f.table(told.get("version"))
        if found is None:
            listed = self._client.by_cursor(f"/api/v2/pages/{quote(page_id)}/labels")
            found = (tuple(sorted(f.text(label.get("name")).lower() for label in listed)), None)
        return Page(
            id=page_id,
            title=f.text(told.get("title"), f.TITLE) or page_id,
            number=_number(version),
            labels=found[0],
            restriction=found[1],
            url=_web_url(self._client, told),
            changed_at=f.time_of(version.get("createdAt")),
            created_at=f.time_of(told.get("createdAt")),
        )

    def _ancestors(
        self, page_id: str, parents: Mapping[str, str], above: dict[str, tuple[str, ...]]
    ) -> tuple[str, ...]:
        """Ids above a page, outermost first. What stands above a folder, or above what was not listed, is asked for once."""
        chain: list[str] = []
        child, parent = page_id, parents[page_id]
        while parent and parent not in chain:
            chain.append(parent)
            if parent not in parents:
                if parent not in above:
                    told = f.rows(
                        self._client.get(f"/api/v2/pages/{quote(child)}/ancestors", {"limit": 250}).get("results")
                    )
                    above[parent] = tuple(f.text(one.get("id")) for one in told if f.text(one.get("id")) != parent)
                return (*above[parent], *reversed(chain))
            child, parent = parent, parents[parent]
        return tuple(reversed(chain))

    def bodies(self, page_ids: Sequence[str]) -> Mapping[str, Body]:
        """A request for every 50 pages, and one for each that is not among the answers."""
        found: dict[str, Body] = {}
        for first in range(0, len(page_ids), _AT_ONCE):
            asked = {"id": list(page_ids[first : first + _AT_ONCE]), "status": "current", "body-format": "storage"}
            for told in self._client.by_cursor("/api/v2/pages", asked):
                found[f.text(told.get("id"))] = _body(told)
        for missing in set(page_ids) - found.keys():
            try:
                told = self._client.get(f"/api/v2/pages/{quote(missing)}", {"body-format": "storage"})
            except ConfluenceRefused:
                continue
            found |= {missing: _body(told)} if told.get("status") == "current" else {}
        return found

    def space_of(self, page_id: str) -> str | None:
        """Two requests, for a page that was there before and is not listed now."""
        try:
            told = self._client.get(f"/api/v2/pages/{quote(page_id)}")
            if told.get("status") != "current":
                return None
            return f.text(self._client.get(f"/api/v2/spaces/{quote(f.text(told.get('spaceId')))}").get("key")) or None
        except ConfluenceRefused:
            return None

    def group_name(self, group: str) -> str:
        """A request for a group that no restriction named yet."""
        if group not in self._group_names:
            self._group(self._client.get("/rest/api/group/by-id", {"id": group}))
        return self._group_names.get(group, "")

    def emails(self, users: Sequence[str]) -> Mapping[str, str]:
        """A request for every 50 people."""
        found: dict[str, str] = {}
        for first in range(0, len(users), _AT_ONCE):
            some = list(users[first : first + _AT_ONCE])
            told = self._client.get("/rest/api/user/bulk", {"accountId": some})
            for user in f.rows(f.table(told).get("results")):
                found[f.text(user.get("accountId"))] = f.text(user.get("email"))
        return found


class DataCenterApi(_Common):
    """Confluence Data Center. Its list tells versions, labels, restrictions and ancestors at once."""

    _members_path, _user_parameter = "/rest/api/group/{}/member", "key"
    _user_id, _group_id = "userKey", "name"

    def space(self, key: str) -> Space:
        """A request."""
        try:
            told = self._client.get(f"/rest/api/space/{quote(key, safe='~')}")
        except ConfluenceRefused as refused:
            if refused.status == 404:
                raise _unknown_space(key) from None
            raise
        return Space(key=f.text(told.get("key")) or key, id=str(told.get("id", "")))

    def space_readers(self, space: Space) -> Layer:
        """A request. Data Center 9.1 and later; for whoever is no space administrator it answers 500 (CONFSERVER-99908)."""
        listed = self._client.get(f"/rest/api/space/{quote(space.key, safe='~')}/permissions", refusals=(500,))
        found = set()
        for permission in f.rows(listed):
            operation, subject = f.table(permission.get("operation")), f.table(permission.get("subject"))
            if (operation.get("operationKey"), operation.get("targetType")) != ("read", "space"):
                continue
            kind = f.text(subject.get("type")).lower()
            if kind == "group":
                found.add(Who(kind="group", id=self._group(subject)))
            elif kind == "anonymous":
                found.add(Who(kind="class", id="anonymous"))
            elif subject.get("userKey"):
                found.add(Who(kind="user", id=f.text(subject["userKey"])))
        return frozenset(found)

    def pages(self, space: Space) -> list[Page]:
        """A request for every 100 pages, or for as many as Confluence gives at once."""
        asked = {
            "spaceKey": space.key,
            "type": "page",
            "status": "current",
            "expand": f"version,ancestors,history,metadata.labels,{_READ_USERS},{_READ_GROUPS}",
        }
        return [self._page(content) for content in self._client.by_start("/rest/api/content", asked, page=100)]

    def _page(self, told: Mapping[str, Any]) -> Page:
        version = f.table(told.get("version"))
        return Page(
            id=f.text(told.get("id")),
            title=f.text(told.get("title"), f.TITLE) or f.text(told.get("id")),
            number=_number(version),
            ancestors=tuple(f.text(one.get("id")) for one in f.rows(told.get("ancestors"))),
            labels=_labels(told),
            restriction=self._listed_restriction(told),
            url=_web_url(self._client, told),
            changed_at=f.time_of(version.get("when")),
            created_at=f.time_of(f.table(told.get("history")).get("createdDate")),
        )

    def bodies(self, page_ids: Sequence[str]) -> Mapping[str, Body]:
        """A request a page."""
        found: dict[str, Body] = {}
        for page_id in page_ids:
            try:
                told = self._client.get(f"/rest/api/content/{quote(page_id)}", {"expand": "body.storage,version"})
            except ConfluenceRefused:
                continue
            found |= {page_id: _body(told)} if told.get("status") == "current" else {}
        return found

    def space_of(self, page_id: str) -> str | None:
        """A request, for a page that was there before and is not listed now."""
        try:
            told = self._client.get(f"/rest/api/content/{quote(page_id)}", {"expand": "space"})
        except ConfluenceRefused:
            return None
        return f.text(f.table(told.get("space")).get("key")) or None if told.get("status") == "current" else None

    def group_name(self, group: str) -> str:
        """Nothing: a group's name is its id."""
        return group

    def emails(self, users: Sequence[str]) -> Mapping[str, str]:
        """A request a person, or two: the address is a detail of the profile, on some versions told to mobile devices only."""
        return {user: self._email(user) for user in users}

    def _email(self, user: str) -> str:
        try:
            told = self._client.get("/rest/api/user", {"key": user, "expand": "details.personal"})
            email = f.text(f.table(f.table(told.get("details")).get("personal")).get("email"))
            if not email and (name := f.text(told.get("username"))):
                email = f.text(self._client.get(f"/rest/mobile/1.0/profile/{quote(name, safe='')}").get("email"))
        except ConfluenceRefused:
            return ""
        return email


def with_restrictions(pages: Iterable[Page], api: Api) -> Iterator[Page]:
    """The pages with the restrictions that the list left out; None stays where the account may not ask."""
    for page in pages:
        if page.restriction is not None:
            yield page
            continue
        try:
            yield replace(page, restriction=api.restriction(page.id))
        except ConfluenceRefused:
            yield page


def _unknown_space(key: str) -> UsageError:
    return UsageError(
        f"Confluence has no space {key!r} that this account may see",
        way_out="check the key in the space's address, and let the account of RUNDOWN_CONFLUENCE_TOKEN read it",
    )


def _labels(content: Mapping[str, Any]) -> tuple[str, ...]:
    """A listed page's labels, lower-case, in order of the alphabet."""
    told = f.table(content.get("metadata")).get("labels")
    labels = f.rows(told) if isinstance(told, list) else f.rows(f.table(told).get("results"))
    return tuple(sorted(f.text(label.get("name")).lower() for label in labels))


def _number(version: Mapping[str, Any]) -> int:
    number = version.get("number")
    return number if isinstance(number, int) else 0


def _body(told: Mapping[str, Any]) -> Body:
    value = f.table(f.table(told.get("body")).get("storage")).get("value")
    return Body(storage=value if isinstance(value, str) else "", number=_number(f.table(told.get("version"))))


def _cut_at(operation: Any) -> int:
    """After how many people or groups one operation's restrictions are cut, so that there may be more; 0 if they are whole."""
    told = f.table(f.table(operation).get("restrictions"))
    cut = []
    for kind in ("user", "group"):
        listed = f.table(told.get(kind))
        limit = listed.get("limit")
        if isinstance(limit, int) and len(f.rows(listed.get("results"))) >= limit > 0:
            cut.append(limit)
    return min(cut, default=0)


def _web_url(client: ConfluenceClient, told: Mapping[str, Any]) -> str | None:
    """Where people read the page."""
    webui = f.text(f.table(told.get("_links")).get("webui"), 2000)
    return f.web_url(urljoin(f"{client.web}/", webui.lstrip("/"))) if webui else None
