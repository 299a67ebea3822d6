"""What a Confluence holds, for the stand-in: people, groups, spaces with permissions, and pages with all that hangs on them.

Does: create and change them as people and administrators would, each change with a time and a version where Confluence gives one.
Does not: speak HTTP, or know the shapes of an API (`bot/standin/confluence.py` does).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime


def millis(at: datetime) -> str:
    """A time as Confluence gives it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


@dataclass(kw_only=True)
class Person:
    """Somebody with an account."""

    name: str
    #: Account id on Cloud, user key on Data Center.
    id: str
    email: str
    #: Whether others may see the e-mail address.
    shows_email: bool = True


@dataclass(kw_only=True)
class Group:
    """People under one name."""

    name: str
    id: str
    members: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class Space:
    """A space and who may read it: persons, groups by name, and "anonymous"."""

    key: str
    id: str
    people: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    anonymous: bool = False


@dataclass(kw_only=True)
class Content:
    """A page or a folder."""

    id: str
    title: str
    space: str
    kind: str = "page"
    parent: str | None = None
    storage: str = ""
    number: int = 1
    created_at: datetime
    changed_at: datetime
    #: "current", "trashed" or "archived".
    status: str = "current"
    labels: list[str] = field(default_factory=list)
    #: Who alone may read it, persons and groups by name; empty for everyone who may read what is above it.
    readers: list[str] = field(default_factory=list)
    state: str | None = None
    #: Whether search knows it yet.
    indexed: bool = True
    #: Whether the account that asks may see it.
    visible: bool = True


class World:
    """One Confluence.

    Args:
        clock: its present.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        #: Hold it to change or read more than one thing.
        self.lock = threading.RLock()
        self.people: dict[str, Person] = {}
        self.groups: dict[str, Group] = {}
        self.spaces: dict[str, Space] = {}
        self.contents: dict[str, Content] = {}
        #: Whether the account that asks may see who may read spaces, who is in groups, and who has which address.
        self.tells_permissions = self.tells_people = True
        self._last_id = 65_536

    def _new_id(self) -> str:
        self._last_id += 7
        return str(self._last_id)

    # -- people and spaces -----------------------------------------------------------------------------------------------

    def person(self, name: str, *, shows_email: bool = True, groups: Iterable[str] = ()) -> Person:
        """Somebody new, in groups that are made on first use."""
        made = Person(
            name=name, id=f"712020:{name.lower()}", email=f"{name.lower()}@example.org", shows_email=shows_email
        )
        self.people[name] = made
        for group in groups:
            self.group(group).members.append(name)
        return made

    def group(self, name: str) -> Group:
        """The group of that name, made on first use."""
        return self.groups.setdefault(name, Group(name=name, id=f"{len(self.groups):08d}-aaaa-bbbb"))

    def space(self, key: str, *readers: str, anonymous: bool = False) -> Space:
        """A new space and who may read it, persons and groups by name."""
        made = Space(key=key, id=self._new_id(), anonymous=anonymous)
        made.people = [name for name in readers if name in self.people]
        made.groups = [name for name in readers if name in self.groups]
        self.spaces[key] = made
        return made

    # -- pages -----------------------------------------------------------------------------------------------------------

    def page(
        self,
        title: str,
        storage: str = "<p>words</p>",
        *,
        space: str = "OPS",
        parent: Content | None = None,
        labels: Iterable[str] = (),
        readers: Iterable[str] = (),
        kind: str = "page",
    ) -> Content:
        """A new page, or another kind of content."""
        now = self.clock()
        made = Content(
            id=self._new_id(),
            title=title,
            space=space,
            kind=kind,
            parent=parent.id if parent else None,
            storage=storage,
            created_at=now,
            changed_at=now,
            labels=list(labels),
            readers=list(readers),
        )
        with self.lock:
            self.contents[made.id] = made
        return made

    def edit(self, page: Content, storage: str | None = None, *, title: str | None = None) -> None:
        """A new version."""
        with self.lock:
            page.storage = page.storage if storage is None else storage
            page.title = title or page.title
            page.number += 1
            page.changed_at = self.clock()

    def restrict(self, page: Content, *readers: str) -> None:
        """Let only these read it, persons and groups by name; nobody named lifts the restriction. Gives no new version."""
        with self.lock:
            page.readers = list(readers)

    def set_state(self, page: Content, state: str) -> None:
        """Set a page's state, which Confluence does with a new version."""
        page.state = state
        self.edit(page)

    def trash(self, page: Content) -> None:
        """Put a page into the trash; what was below it moves up."""
        with self.lock:
            page.status = "trashed"
            for child in self.contents.values():
                if child.parent == page.id:
                    child.parent = page.parent

    # -- as the API sees it ----------------------------------------------------------------------------------------------

    def pages(self, space: str) -> list[Content]:
        """The current pages of a space that may be seen, by id."""
        return [one for one in self.contents.values() if one.space == space and one.kind == "page" and self.seen(one)]

    def seen(self, content: Content) -> bool:
        """Whether it is current and the account that asks may see it."""
        return content.status == "current" and content.visible

    def above(self, content: Content) -> list[Content]:
        """What stands above it, the outermost first."""
        found: list[Content] = []
        parent = content.parent
        while parent is not None:
            found.append(self.contents[parent])
            parent = found[-1].parent
        return found[::-1]
