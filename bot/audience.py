"""Who will see what stands in a channel: its people, and what each of them is as a reader of documents.

Does: ask Slack who is in a channel, who of them is a guest or from another company, their e-mail addresses and user groups; keep
the answers for seconds, so that whatever changes counts within a minute even where no event told of it; forget them at once where
one does.
Does not: decide what may be shown (`gate.py`), or post.

Whatever cannot be known denies:

| who | reads |
|---|---|
| one of the company | what everyone may read, what names their e-mail, their groups, or this channel |
| the same, address hidden or not confirmed | what everyone may read, Slack's user groups, this channel |
| a guest of the workspace | what names their e-mail, their groups, or this channel; "everyone" means the company's own people |
| one of another company, or anybody in a channel shared with one | nothing |
| one of whom Slack tells nothing | nothing |

RUNDOWN_SHARE_WITH_GUESTS lets guests and other companies' people read what everyone may read. A public channel can be read by
everyone in the company without joining, so its audience is everyone, besides the guests in it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from bot.slack_web import PASSING, Caller, SlackRefused
from core.access import EVERYONE, Audience, group, user

if TYPE_CHECKING:
    from slack_sdk import WebClient

    from core.settings import Settings

log = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")
Json = dict[str, Any]

#: Seconds for which Slack's word on a channel, on groups or on a person is taken as known, and for which it stands when Slack
#: falls silent. A channel's audience may rest on a person read so long before it, and is looked at every 10 s: 50 s in all.
FRESH_S, STALE_S = 20.0, 45.0
#: Seconds for which Slack's list of our channels is: which are public, which are shared with another company.
PLACES_S = 10.0
#: Refusals that mean that the workspace's plan has no user groups.
NO_GROUPS = ("plan_upgrade_required", "paid_teams_only")
#: Channels and people remembered; the oldest go first.
MOST_CHANNELS, MOST_PEOPLE = 2_000, 20_000
#: With more people to ask about than this, or more of them in a minute than that, the whole directory is read by pages rather than
#: each by a call of their own: of these Slack allows a hundred a minute.
BULK, INFO_PER_MIN = 25, 75
#: People to a page of the directory, and pages read in a minute, of the twenty that Slack allows. Where it has more than five
#: pages, people are asked about less often: 4 s for each page.
PAGE, PAGES_PER_MIN = 1000, 15
#: The most a look-up waits for a window that Slack has closed: a card that waits longer is worse than one without documents.
PATIENCE_S = 15.0

Standing = Literal["own", "guest", "outsider", "unknown", "nobody"]


@dataclass(frozen=True, kw_only=True)
class Person:
    """One account as Slack tells it."""

    id: str
    #: "nobody" reads nothing and needs nobody's leave: a bot, or an account that was closed.
    standing: Standing
    email: str | None = None
    #: When Slack said so, by the clock of `Audiences`.
    at: float = float("-inf")


@dataclass(frozen=True, kw_only=True)
class Present:
    """Who will see what stands in a channel."""

    audience: Audience
    #: Slack ids of the people in it.
    people: frozenset[str] = frozenset()
    #: What is left out because of who they are, in words that follow "Not looked at:".
    gaps: tuple[str, ...] = ()
    #: Whether Slack told all there is to know. If not it is worth asking again.
    known: bool = True
    #: The age of the oldest of Slack's words behind it but for the list of who is in the channel, as a time of our clock.
    at: float = float("-inf")


@dataclass(frozen=True, kw_only=True)
class _Groups:
    """Slack's user groups."""

    #: Their people, by principal.
    people: Mapping[str, frozenset[str]]
    at: float
    #: What is missing for want of them.
    gaps: tuple[str, ...] = ()


NOBODY = Audience(people=frozenset())
_SILENT = "documents, because Slack does not say who is in this channel"
_SHARED = "documents, because this channel is shared with another company"
_GUEST = "documents that a guest in this channel may not read"
_HIDDEN = "documents for named people, because Slack tells no confirmed e-mail address of somebody here"
_GROUPS = "documents for groups, because Slack does not tell its user groups"
#: For want of anybody who is known.
UNKNOWN = Present(audience=NOBODY, gaps=(_SILENT,), known=False)


class Recent(Generic[K, V]):
    """Values that stand for a while; the oldest go when there are too many. Safe to share between threads."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most, self._clock, self._lock = most, clock, threading.Lock()
        self._held: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def get(self, key: K, within_s: float) -> V | None:
        """The value, if it is no older than that."""
        with self._lock:
            at, value = self._held.get(key, (float("-inf"), None))
        return value if self._clock() - at <= within_s else None

    def put(self, key: K, value: V, *, at: float) -> None:
        """Keep what was true at a time of the clock."""
        with self._lock:
            self._held[key] = (at, value)
            self._held.move_to_end(key)
            while len(self._held) > self._most:
                self._held.popitem(last=False)

    def drop(self, key: K) -> None:
        """Forget it."""
        with self._lock:
            self._held.pop(key, None)

    def drop_where(self, unfit: Callable[[K, V], bool]) -> None:
        """Forget those of which this is true."""
        with self._lock:
            for key in [key for key, (_, value) in self._held.items() if unfit(key, value)]:
                del self._held[key]


class Audiences:
    """The people of one workspace. Safe to share between threads.

    Args:
        client: from `bot.delivery.make_client`.
        settings: groups that Slack does not know, and whether guests are shown what everyone may read.
        clock: seconds that never go back.
    """

    def __init__(self, client: WebClient, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._slack, self._clock = Caller(client, patience_s=PATIENCE_S), clock
        self._share = settings.share_with_guests
        self._named = {group(name): [email.strip().lower() for email in held] for name, held in settings.groups.items()}
        self._channels: Recent[str, Present] = Recent(MOST_CHANNELS, clock)
        self._members: Recent[str, tuple[str, ...]] = Recent(MOST_CHANNELS, clock)
        self._places: Recent[None, dict[str, Json]] = Recent(1, clock)
        self._people: Recent[str, Person] = Recent(MOST_PEOPLE, clock)
        self._groups: Recent[None, _Groups] = Recent(1, clock)
        self._us: Json = {}
        #: Seconds for which what the directory told is taken as known: more than `FRESH_S` where it is long.
        self._listed_s = FRESH_S
        #: When people were asked about one by one, lately.
        self._asked: deque[float] = deque()
        self._counting, self._directory = threading.Lock(), threading.Lock()

    def of_channel(self, channel: str, *, within_s: float = FRESH_S) -> Present:
        """Who sees what is posted in a channel, also in a direct one.

        Args:
            within_s: how old Slack's list of who is in it may be; 0 to ask now. What each of them is, is never older than usual.
        """
        return self._lately(channel, lambda: self._ask_channel(channel, within_s), min(within_s, FRESH_S))

    def of_person(self, person: str, *, fresh: bool = False) -> Present:
        """Somebody alone, by their Slack id: what they see in a direct message."""
        return self._lately(person, lambda: self._ask_person(person, fresh), 0.0 if fresh else FRESH_S)

    def is_public(self, channel: str) -> bool:
        """Whether everyone in the company, and nobody else, may read a channel without joining it. Unknown: no.

        What a private channel says is for its members; so is what is said where another company reads along.
        """
        try:
            about = self._about(channel)
        except SlackRefused as error:
            log.warning("cannot tell whether %s is public: %s", channel, error)
            return False
        return _public(about) and not _shared(about)

    def forget(self, channel: str) -> None:
        """Somebody came or went: ask Slack again."""
        self._members.drop(channel)
        self._channels.drop(channel)

    def heed(self, event: Json) -> None:
        """Slack tells that an account or a user group changed: what rested on it is asked again. Costs no call.

        Args:
            event: one of `bot.slack_edge.OF_PEOPLE`, as Slack sends it.
        """
        if str(event.get("type")).startswith("subteam_"):
            self._groups.drop(None)
            self._channels.drop_where(lambda key, present: True)
            return
        account = event.get("user")
        person = str(account.get("id") if isinstance(account, dict) else account)
        self._people.drop(person)
        self._channels.drop_where(lambda key, present: key == person or person in present.people)

    def direct_channel(self, person: str) -> str:
        """The id of somebody's direct channel with us, made if there is none.

        Raises:
            SlackUnavailable: Slack does not open it.
        """
        return str(self._slack.call("conversations.open", users=person)["channel"]["id"])

    # -- channels ------------------------------------------------------------------------------------------------

    def _lately(self, key: str, ask: Callable[[], Present], within_s: float) -> Present:
        known = self._channels.get(key, within_s) if within_s else None
        if known is not None:
            return known
        asked_at = self._clock()
        try:
            found = ask()
        except (
            SlackRefused,
            LookupError,
            TypeError,
            AttributeError,
        ) as error:  # the last three: an answer of another shape
            log.warning("cannot tell who is in %s: %s", key, error)
            found = UNKNOWN
        if found.known:
            self._channels.put(key, found, at=asked_at)
            return found
        before = self._channels.get(key, STALE_S) if within_s else None
        return before if before is not None and self._clock() - before.at <= STALE_S else found

    def _ask_channel(self, channel: str, within_s: float) -> Present:
        about, asked_at = self._about(channel), self._clock()
        accounts = self._read(
            one for one in self._members_of(channel, within_s) if one != self._ourselves().get("user_id")
        )
        people = [person for person in accounts if person.standing != "nobody"]
        if about.get("is_im"):
            return self._ask_person(people[0].id) if len(people) == 1 else UNKNOWN
        groups = self._groups_now()
        gaps = list(groups.gaps)
        public, shared = _public(about), _shared(about)
        readers = [self._principals(person, groups.people) | self._here(person, channel) for person in people]
        if public:
            anybody = frozenset((EVERYONE, channel, *self._open_groups()))
            readers = [anybody, *(principals for principals in readers if not principals >= anybody)]
        if shared:
            readers.append(self._outsider())
        gaps += self._gaps(people, public=public, shared=shared)
        return Present(
            audience=Audience(people=frozenset(readers)),
            people=frozenset(person.id for person in people),
            gaps=tuple(dict.fromkeys(gaps)),
            known=all(person.standing != "unknown" for person in people),
            at=min((asked_at - PLACES_S, groups.at, *(person.at for person in accounts))),
        )

    def _members_of(self, channel: str, within_s: float) -> tuple[str, ...]:
        known = self._members.get(channel, within_s) if within_s else None
        if known is None:
            asked_at = self._clock()
            known = tuple(self._pages("conversations.members", "members", channel=channel, limit=1000))
            self._members.put(channel, known, at=asked_at)
        return known

    def _about(self, channel: str) -> Json:
        """What kind of channel it is. All that we are in are asked about in one call: there may be hundreds of incidents."""
        listed = self._places.get(None, PLACES_S)
        if listed is None:
            asked_at = self._clock()
            ours = self._pages("users.conversations", "channels", types="public_channel,private_channel", limit=900)
            listed = {str(one["id"]): one for one in ours}
            self._places.put(None, listed, at=asked_at)
        found: Json = listed.get(channel) or self._slack.call("conversations.info", channel=channel)["channel"]
        return found

    def _ask_person(self, person_id: str, fresh: bool = False) -> Present:
        (person,) = self._read([person_id], fresh=fresh)
        if person.standing == "nobody":
            return Present(audience=NOBODY)
        groups = self._groups_now()
        principals, asked_at = self._principals(person, groups.people), self._clock()
        if person.standing in ("own", "guest"):
            about = {"user": person.id, "types": "public_channel,private_channel", "limit": 900}
            mine = self._pages("users.conversations", "channels", **about)
            principals |= {str(channel["id"]) for channel in mine}
        gaps = [*groups.gaps, *self._gaps([person], public=False, shared=False)]
        return Present(
            audience=Audience(people=frozenset((principals,))),
            people=frozenset((person.id,)),
            gaps=tuple(gaps),
            known=person.standing != "unknown",
            at=min(asked_at, groups.at, person.at),
        )

    def _gaps(self, people: Collection[Person], *, public: bool, shared: bool) -> list[str]:
        """What is left out because of who is there."""
        standings = {person.standing for person in people}
        hidden = any(person.standing == "own" and person.email is None for person in people)
        said = [_SILENT] if "unknown" in standings else []
        if not self._share:
            said += [_SHARED] if shared or "outsider" in standings else []
            said += [_GUEST] if "guest" in standings else []
        return said + ([_HIDDEN] if hidden and not public else [])

    # -- principals ----------------------------------------------------------------------------------------------

    def _principals(self, person: Person, groups: Mapping[str, frozenset[str]]) -> frozenset[str]:
        """What somebody is as a reader, wherever they are."""
        if person.standing in ("unknown", "nobody"):
            return frozenset()
        if person.standing == "outsider":
            return self._outsider()
        named = {name for name, held in self._named.items() if person.email is not None and person.email in held}
        slack = {name for name, ids in groups.items() if person.id in ids and name not in self._named}
        everyone = self._everyone() if person.standing == "own" or self._share else frozenset()
        return everyone | named | slack | ({user(person.email)} if person.email else set())

    def _everyone(self) -> frozenset[str]:
        return frozenset((EVERYONE, *self._open_groups()))

    def _outsider(self) -> frozenset[str]:
        return self._everyone() if self._share else frozenset()

    def _open_groups(self) -> Iterable[str]:
        """Groups that everyone in the company is in."""
        return (name for name, held in self._named.items() if EVERYONE in held)

    def _here(self, person: Person, channel: str) -> frozenset[str]:
        return frozenset((channel,)) if person.standing in ("own", "guest") else frozenset()

    def _groups_now(self) -> _Groups:
        """Slack's user groups with their members."""
        known = self._groups.get(None, FRESH_S)
        if known is not None:
            return known
        asked_at = self._clock()
        try:
            answer = self._slack.call("usergroups.list", include_users=True)
        except SlackRefused as error:
            if error.code in NO_GROUPS:
                return _Groups(people={}, at=asked_at)
            log.warning("cannot read Slack's user groups: %s", error)
            return self._groups.get(None, STALE_S) or _Groups(people={}, at=asked_at, gaps=(_GROUPS,))
        people = {
            group(str(item["handle"])): frozenset(item.get("users") or ())
            for item in answer["usergroups"]
            if not item.get("is_external") and not item.get("date_delete")
        }
        found = _Groups(people=people, at=asked_at)
        self._groups.put(None, found, at=asked_at)
        return found

    # -- people --------------------------------------------------------------------------------------------------

    def _read(self, ids: Iterable[str], *, fresh: bool = False) -> list[Person]:
        """Each account; one that Slack does not tell of is "unknown"."""
        ids = list(dict.fromkeys(ids))
        held = {} if fresh else self._lately_read(ids, FRESH_S)
        if self._are_many(len(ids) - len(held)):
            with self._directory:  # whoever waited finds what the one before has read
                held = self._lately_read(ids, self._listed_s)
                missing = set(ids) - held.keys()
                if self._are_many(len(missing)):
                    self._read_directory(missing)
                    held = self._lately_read(ids, self._listed_s)
        return [held.get(one) or self._read_one(one) for one in ids]

    def _lately_read(self, ids: Iterable[str], within_s: float) -> dict[str, Person]:
        found = ((one, self._people.get(one, within_s)) for one in ids)
        return {one: person for one, person in found if person is not None}

    def _are_many(self, missing: int) -> bool:
        """Whether so many people are too many to ask about one by one."""
        with self._counting:
            while self._asked and self._asked[0] < self._clock() - 60.0:
                self._asked.popleft()
            return missing > BULK or (missing > 0 and len(self._asked) + missing > INFO_PER_MIN)

    def _read_one(self, person_id: str) -> Person:
        asked_at = self._clock()
        with self._counting:
            self._asked.append(asked_at)
        try:
            found = self._person(self._slack.call("users.info", user=person_id)["user"], asked_at)
        except SlackRefused as error:
            if error.ambiguous or error.retry_after_s or error.code in PASSING:
                raise  # nobody else could be read either
            log.warning("Slack does not tell who %s is: %s", person_id, error)
            hidden = error.code in ("user_not_visible", "user_not_found")  # as it answers for another company's people
            return Person(id=person_id, standing="outsider" if hidden else "unknown", at=asked_at)
        self._people.put(person_id, found, at=asked_at)
        return found

    def _read_directory(self, wanted: set[str]) -> None:
        """Keep what the directory tells of them, and of all others we know; it leaves out other companies' people."""
        cursor, pages = None, 0
        while wanted or pages < PAGES_PER_MIN:
            asked_at = self._clock()
            try:
                page = self._slack.call("users.list", limit=PAGE, cursor=cursor)
            except SlackRefused as error:
                log.warning("cannot read Slack's directory: %s", error)
                return
            pages += 1
            self._listed_s = max(FRESH_S, pages * 60.0 / PAGES_PER_MIN)
            for account in page["members"]:
                if account["id"] in wanted or self._people.get(account["id"], float("inf")) is not None:
                    self._people.put(account["id"], self._person(account, asked_at), at=asked_at)
                    wanted.discard(account["id"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return

    def _person(self, account: Json, at: float) -> Person:
        """An account as Slack shows it. What it does not say counts against it."""
        email = (account.get("profile") or {}).get("email")
        confirmed = isinstance(email, str) and "@" in email and account.get("is_email_confirmed", True)
        standing: Standing = "own"
        if account.get("is_bot") or account.get("deleted") or account["id"] == "USLACKBOT":
            standing = "nobody"
        elif account.get("is_stranger") or not self._is_ours(account):
            standing = "outsider"
        elif account.get("is_restricted") or account.get("is_ultra_restricted"):
            standing = "guest"
        address = str(email).strip().lower() if confirmed and standing in ("own", "guest") else None
        return Person(id=str(account["id"]), standing=standing, email=address, at=at)

    def _is_ours(self, account: Json) -> bool:
        """Whether an account belongs to our workspace, or to another one of our own organisation."""
        us = self._ourselves()
        organisation = (account.get("enterprise_user") or {}).get("enterprise_id")
        if us.get("enterprise_id") and organisation == us["enterprise_id"]:
            return True
        return bool(account.get("team_id")) and account["team_id"] == us.get("team_id")

    def _ourselves(self) -> Json:
        """Our own account and workspace, asked once."""
        if not self._us:
            self._us = self._slack.call("auth.test")
        return self._us

    def _pages(self, method: str, field: str, **args: Any) -> list[Any]:
        found: list[Any] = []
        cursor = None
        while True:
            page = self._slack.call(method, cursor=cursor, **args)
            found += page[field]
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return found


def _public(channel: Json) -> bool:
    """Whether everyone in the company may read a channel."""
    return not any(channel.get(name) for name in ("is_private", "is_im", "is_mpim"))


def _shared(channel: Json) -> bool:
    """Whether another company reads along."""
    return bool(channel.get("is_ext_shared") or (channel.get("is_shared") and not channel.get("is_org_shared")))
