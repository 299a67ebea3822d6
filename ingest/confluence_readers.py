"""Who may read a Confluence page: its space's readers, narrowed by its own restrictions and those of every page above it.

Does: intersect permissions, looking people up in groups only where names alone do not decide; write what is left as the principals of
`core.access`. Whoever cannot be told for certain is left out: the result never names more people than Confluence lets in.
Does not: list pages or permissions (`ingest.confluence_api` does), or count those whom Confluence lets in past restrictions, its admins.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from core.access import EVERYONE, group, user
from ingest.confluence_api import Api, Layer, Page, Who
from ingest.confluence_client import ConfluenceRefused
from ingest.readers import Verdict

#: A layer that lets everyone through.
_ALL = frozenset({Who(kind="class", id=EVERYONE)})


class Readers:
    """Who may read what, as of one sync: answers are looked up once.

    Args:
        api: where groups and people are looked up.
        everyone: names of groups, lower-case, that hold everyone who may see anything of this source; "anonymous" and, on Cloud,
            "all-licensed" or "authenticated" stand for those kinds of visitors.
    """

    def __init__(self, api: Api, everyone: Collection[str] = ()) -> None:
        self._api, self._everyone = api, frozenset(everyone)
        self._groups_of: dict[str, frozenset[str]] = {}
        self._members: dict[str, frozenset[str]] = {}
        self._emails: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._verdicts: dict[tuple[Layer, ...], Verdict] = {}
        #: What the account was refused when people and groups were looked up.
        self._closed: set[str] = set()

    @property
    def unnamed(self) -> int:
        """People who may read something and are left out, because Confluence hides their e-mail addresses."""
        return sum("@" not in email for email in self._emails.values())

    def of_pages(self, space_readers: Layer, pages: Sequence[Page]) -> Mapping[str, Verdict]:
        """The verdict on each page of a space, by its id. Costs a request for each ancestor that is no listed page.

        Args:
            space_readers: who may read a page without restrictions.
            pages: every page of the space; where a restriction is None, nobody may read the page or what is below it.
        """
        own = {page.id: page.restriction for page in pages}
        for ancestor in {one for page in pages for one in page.ancestors} - own.keys():
            try:
                own[ancestor] = self._api.restriction(ancestor)
            except ConfluenceRefused:
                own[ancestor] = None
        return {page.id: self._of_page(space_readers, page, own) for page in pages}

    def _of_page(self, space_readers: Layer, page: Page, own: Mapping[str, Layer | None]) -> Verdict:
        layers = [space_readers]
        for content_id in (*page.ancestors, page.id):
            layer = own[content_id]
            if layer is None:
                whose = "its restrictions" if content_id == page.id else f"the restrictions of {content_id} above it"
                return Verdict(readers=(), reason=f"{whose} cannot be read with this account")
            if layer:
                layers.append(layer)
        return self.of(layers)

    def of(self, layers: Sequence[Layer]) -> Verdict:
        """Who passes every layer. A layer without anybody lets nobody through."""
        key = tuple(layers)
        if key not in self._verdicts:
            self._verdicts[key] = self._decide(layers)
        return self._verdicts[key]

    def _decide(self, layers: Sequence[Layer]) -> Verdict:
        left = _ALL
        for layer in layers:
            left = self._meet(left, self._opened(layer))
        if left == _ALL:
            return Verdict(readers=(EVERYONE,))
        people = sorted(who.id for who in left if who.kind == "user")
        self._look_up(people)
        readers = {user(self._emails[one]) for one in people if "@" in self._emails[one]}
        readers |= {group(name) for who in left if who.kind == "group" and (name := self._name(who.id))}
        return Verdict(readers=tuple(sorted(readers)), reason="" if readers else self._why_nobody(left))

    def _why_nobody(self, left: Layer) -> str:
        hidden = sum(who.kind == "user" for who in left)
        if hidden:
            return f"Confluence hides the e-mail address of {'its only reader' if hidden == 1 else f'its {hidden} readers'}"
        if self._closed:
            return f"this account may not see {', '.join(sorted(self._closed))}"
        if left:
            kinds = ", ".join(sorted(who.id for who in left))
            return f"it is open to {kinds} visitors only, and nothing says that these are everyone here"
        return "nobody passes its restrictions, those above it and the space's permissions together"

    def _opened(self, layer: Layer) -> Layer:
        """The layer, or everyone if it names one whom the operator called everyone."""
        if not self._everyone:
            return layer
        names = (self._name(who.id) if who.kind == "group" else who.id for who in layer if who.kind != "user")
        return _ALL if any(name.lower() in self._everyone for name in names) else layer

    def _meet(self, one: Layer, other: Layer) -> Layer:
        """Who is in both: named by both, or named by one and in a group that the other names."""
        if _ALL in (one, other):
            return other if one == _ALL else one
        both = set(one & other)
        for here, there in ((one, other), (other, one)):
            groups = {who.id for who in there if who.kind == "group"}
            both |= {
                who for who in here - there if who.kind == "user" and groups and not groups.isdisjoint(self._in(who.id))
            }
        for inner in (who.id for who in one - other if who.kind == "group"):
            for outer in (who.id for who in other - one if who.kind == "group"):
                both |= self._meet_groups(inner, outer)
        return frozenset(both)

    def _meet_groups(self, one: str, other: str) -> set[Who]:
        """Who is in two groups: one of them, if it lies within the other, else the people."""
        here, there = self._of(one), self._of(other)
        for inner, outer, name in ((here, there, one), (there, here, other)):
            if inner and inner <= outer:
                return {Who(kind="group", id=name)}
        return {Who(kind="user", id=person) for person in here & there}

    # -- looked up once --------------------------------------------------------------------------------------------------

    def _in(self, person: str) -> frozenset[str]:
        if person not in self._groups_of:
            try:
                self._groups_of[person] = self._api.groups_of(person)
            except ConfluenceRefused:
                self._groups_of[person] = frozenset()
                self._closed.add("which groups people are in")
        return self._groups_of[person]

    def _of(self, name: str) -> frozenset[str]:
        if name not in self._members:
            try:
                self._members[name] = self._api.members(name)
            except ConfluenceRefused:
                self._members[name] = frozenset()
                self._closed.add("who is in which group")
        return self._members[name]

    def _name(self, group_id: str) -> str:
        if group_id not in self._names:
            try:
                self._names[group_id] = self._api.group_name(group_id)
            except ConfluenceRefused:
                self._names[group_id] = ""
                self._closed.add("the names of groups")
        return self._names[group_id]

    def _look_up(self, people: Sequence[str]) -> None:
        missing = [person for person in people if person not in self._emails]
        if missing:
            self._emails |= dict.fromkeys(missing, "")
            try:
                self._emails |= self._api.emails(missing)
            except ConfluenceRefused:
                self._closed.add("people's e-mail addresses")
