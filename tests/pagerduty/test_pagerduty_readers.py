"""Who may read a past incident: everyone, or where it belongs to a private team, the people in it; and how soon a change counts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from core.access import Audience, user
from core.errors import PagerDutyUnavailable, SettingsError
from core.model import Document
from core.settings import read_settings
from core.store import Store, open_store
from ingest.pagerduty import PagerDutySource
from ingest.pagerduty import open as open_pagerduty
from ingest.sources import Held
from ingest.sync import Ingestor
from retrieval.chunk import Scope
from retrieval.edge import EdgeIndex
from retrieval.embedding import HashEmbedder

ADA, GRACE = user("ada@example.com"), user("grace@example.com")


def resolved(pd, clock, *, service: str = "vault", days_ago: float = 20) -> str:
    """An incident of an hour that ended so long ago; its id."""
    present = clock.now
    clock.now = present - timedelta(days=days_ago, hours=1)
    incident_id = pd.trigger(f"{service} leaks", service=service)["id"]
    pd.annotate(incident_id, "rotated the root key", "Ada")
    clock.now = present - timedelta(days=days_ago)
    pd.resolve(incident_id, "Ada")
    clock.now = present
    return incident_id


def source_of(client, clock, **more) -> PagerDutySource:
    return PagerDutySource(client, days=60, clock=clock, **more)


def readers_of(client, clock, **more) -> list[tuple[str, ...]]:
    """Of each incident, oldest first."""
    return [item.readers for item in source_of(client, clock, **more).documents() if isinstance(item, Document)]


@pytest.mark.parametrize(
    ("teams", "readers"),
    [
        ([], ("*",)),
        (["Open"], ("*",)),
        (["Security"], (ADA, GRACE)),
        (["Open", "Security"], (ADA, GRACE)),
        (["Security", "Legal"], (GRACE,)),
        (["Security", "Empty"], ()),
        (["Empty"], ()),
    ],
)
@pytest.mark.parametrize("lists_roles", [True, False])
def test_a_private_team_keeps_its_incidents(pd, client, clock, teams, readers, lists_roles):
    """Its members alone read them; of several private teams, who is in each; with nobody to name, nobody."""
    pd.rest.lists_roles = lists_roles
    pd.set_team("Open", members=["Lin"])
    pd.set_team("Security", private=True, members=["Ada", "Grace"])
    pd.set_team("Legal", private=True, members=["Grace", "Lin"])
    pd.set_team("Empty", private=True)
    pd.give_service("vault", *teams)
    resolved(pd, clock)

    assert readers_of(client, clock) == [readers]


@pytest.mark.parametrize("moved", ["incident", "service"])
def test_the_teams_of_the_incident_and_of_its_service_both_count(pd, client, clock, moved):
    """A service that was given away leaves its incidents with the team they had, and takes them along to its new one."""
    pd.set_team("Security", private=True, members=["Ada"])
    pd.give_service("vault", "Security" if moved == "service" else "Engineering")
    incident_id = resolved(pd, clock)
    if moved == "service":
        pd.give_service("vault", "Engineering")
        assert [team["summary"] for team in pd.incident(incident_id)["teams"]] == ["Security"]
    else:
        pd.give_service("vault", "Security")

    assert readers_of(client, clock) == [(ADA,)]


def test_those_the_settings_name_read_what_no_private_team_keeps(pd, client, clock):
    """And only that: a private team's own people read the rest."""
    pd.set_team("Security", private=True, members=["Ada"])
    pd.give_service("vault", "Security")
    resolved(pd, clock, service="shop", days_ago=21)
    resolved(pd, clock)

    assert readers_of(client, clock, readers=("group:sre",)) == [("group:sre",), (ADA,)]


def test_the_settings_readers_are_read_as_a_wikis_are(pd):
    """A name that is no principal is refused, not guessed at."""
    settings = read_settings(pagerduty_api_token=pd.token, pagerduty_api_url=pd.url, pagerduty_readers=("sre",))

    with pytest.raises(SettingsError, match="RUNDOWN_PAGERDUTY_READERS"):
        open_pagerduty("", settings)


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("on", ["/teams", "/members"])
def test_what_pagerduty_refuses_to_tell_denies(pd, client, clock, on, status):
    """The list of teams, or who is in one."""
    team = pd.set_team("Security", private=True, members=["Ada"])
    pd.give_service("vault", "Security")
    resolved(pd, clock)
    pd.fail_next(status, on=on)
    if on == "/teams":
        pd.fail_next(status, on=f"/teams/{team}")

    (document,) = source_of(client, clock).documents()

    assert (document.readers, "root key" in document.text, "leaks" in document.title) == ((), False, False)


@pytest.mark.parametrize("lost", ["team", "service", "the incident's teams"])
def test_what_is_gone_denies_while_some_team_is_private(pd, client, clock, lost):
    """Nothing tells whether it was private. Where no team of the account is, nothing is to be feared."""
    pd.set_team("Security", private=True, members=["Ada"])
    pd.give_service("vault", "Gone")
    incident_id = resolved(pd, clock)
    if lost == "team":
        del pd.world.teams["Gone"]
    elif lost == "service":
        del pd.world.services["vault"]
    else:
        del pd.world.incidents[incident_id]["teams"]
    before = readers_of(client, clock)
    pd.set_team("Security", members=["Ada"])

    assert (before, readers_of(client, clock)) == ([()], [("*",)])


def test_a_plan_without_teams_has_no_private_ones(pd, client, clock):
    """PagerDuty answers 402 there."""
    resolved(pd, clock)
    pd.fail_next(402, on="/teams")

    assert readers_of(client, clock) == [("*",)]


def test_a_silent_pagerduty_ends_the_sync(pd, client, clock):
    """What is indexed stays as it is, and nothing is opened or forgotten."""
    resolved(pd, clock)
    pd.fail_next(500, on="/teams")

    with pytest.raises(PagerDutyUnavailable):
        list(source_of(client, clock).documents())


def test_teams_are_asked_about_once_a_sync(pd, client, clock):
    """However many incidents they have; and not for their members while none is private."""
    team = pd.set_team("Security", private=True, members=["Ada"])
    pd.set_team("Open", members=["Ada"])
    for service, given in (("vault", "Security"), ("shop", "Open")):
        pd.give_service(service, given)
        for days in (20, 30, 40):
            resolved(pd, clock, service=service, days_ago=days)
    list(source_of(client, clock).documents())

    asked = [path for _, path in pd.rest.requests if "/teams" in path]

    assert [path.partition("?")[0] for path in asked] == ["/teams", f"/teams/{team}/members"]


# -- through the index ---------------------------------------------------------------------------------------------------


class Library:
    """An index that is synced with the stand-in."""

    def __init__(self, store: Store, index: EdgeIndex, client, clock) -> None:
        self._store, self._index, self._client, self._clock = store, index, client, clock

    def sync(self) -> None:
        """As a new process would."""
        source = source_of(self._client, self._clock)
        self.name = source.name
        Ingestor(self._store, self._index, HashEmbedder(32)).sync(source)

    def words(self, incident_id: str, *who: str) -> str:
        """What somebody is given of an incident."""
        scope = Scope(audience=Audience.of(who), document=(self.name, incident_id))
        return "\n".join(chunk.text for chunk in self._index.document(scope))

    def count(self, incident_id: str, *who: str) -> bool:
        """Whether somebody is given its note."""
        return "root key" in self.words(incident_id, *who)


@pytest.fixture
def library(tmp_path, client, clock) -> Iterator[Library]:
    store, index = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}"), EdgeIndex(tmp_path / "index")
    yield Library(store, index, client, clock)
    index.close()
    store.close()


@pytest.mark.parametrize("young", [False, True])
@pytest.mark.parametrize("change", ["the team becomes private", "somebody leaves it"])
def test_who_lost_the_right_reads_nothing_after_the_next_sync(pd, library, clock, change, young):
    """Though nothing of the incident changed; those who still may read it again one sync later."""
    pd.set_team("Security", private=change == "somebody leaves it", members=["Ada", "Grace"])
    pd.give_service("vault", "Security")
    incident_id = resolved(pd, clock, days_ago=0.2 if young else 20)
    library.sync()
    assert library.count(incident_id, GRACE)
    pd.set_team("Security", private=True, members=["Ada"])

    library.sync()
    lost = library.count(incident_id, GRACE)
    library.sync()

    assert (lost, library.count(incident_id, GRACE), library.count(incident_id, ADA)) == (False, False, True)


def test_a_change_of_readers_waits_for_no_reading(pd, client, clock):
    """A hundred incidents of a team take minutes to read; all are closed by the list alone."""
    pd.set_team("Security", members=["Ada"])
    pd.give_service("vault", "Security")
    closed = [resolved(pd, clock, days_ago=days) for days in (30, 29, 28)]
    held = {item.id: item.version for item in source_of(client, clock).documents()}
    pd.set_team("Security", private=True, members=["Ada"])
    new = resolved(pd, clock, service="shop", days_ago=40)
    pd.rest.requests.clear()

    first = []
    for item in source_of(client, clock).documents(held):
        if item.id == new:
            break
        first.append((item.id, item.readers))
        assert not any("/notes" in path for _, path in pd.rest.requests)

    assert first == [(incident_id, ()) for incident_id in closed]


def test_what_is_opened_to_everyone_is_read_at_once(pd, library, clock):
    """Nobody loses anything by it."""
    pd.set_team("Security", private=True, members=["Ada"])
    pd.give_service("vault", "Security")
    incident_id = resolved(pd, clock)
    library.sync()
    before = library.count(incident_id, GRACE)
    pd.set_team("Security", members=["Ada"])
    library.sync()

    assert (before, library.count(incident_id, GRACE)) == (False, True)


def test_update_and_delete_of_a_private_incident(pd, library, clock):
    """As of any other: what changed is read again, what is listed no more goes."""
    pd.set_team("Security", private=True, members=["Ada"])
    pd.give_service("vault", "Security")
    changed, gone = resolved(pd, clock), resolved(pd, clock, days_ago=21)
    library.sync()
    pd.set_priority(changed, "P1", "Ada")
    pd.forget(gone)

    library.sync()

    assert ("P1" in library.words(changed, ADA), library.words(gone, ADA), library.words(changed)) == (True, "", "")


def test_a_private_incident_that_is_as_it_was_costs_its_line(pd, client, clock):
    """Also one that nobody may read."""
    pd.set_team("Security", private=True, members=["Ada"])
    pd.set_team("Empty", private=True)
    pd.give_service("vault", "Security")
    pd.give_service("safe", "Empty")
    ids = [resolved(pd, clock, service=service, days_ago=days) for service, days in (("vault", 21), ("safe", 20))]
    held = {item.id: item.version for item in source_of(client, clock).documents()}

    assert list(source_of(client, clock).documents(held)) == [Held(doc_id=one) for one in ids]
