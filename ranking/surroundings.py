"""What surrounds an incident: its services, what was live, what was switched, and old commits behind a switch.

Does: look all of it up once, as of the incident's time, for `ranking.features` to measure candidates by.
Does not: measure, or fail for a map or a tag that cannot be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.model import Commit, Incident
from ranking.deploys import Deploys, Find, read_deploys
from ranking.events import ChangeEvent
from ranking.flags import Switch, find_flagged, find_switches
from ranking.history import History
from ranking.services import MapCache, ServiceMap, map_service


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What is known around one incident."""

    services: ServiceMap
    #: What was deployed, as events tell.
    deploys: Deploys
    #: Flags and settings that were switched, the latest first.
    switches: tuple[Switch, ...] = ()
    #: By id, the commits behind them, also from before the window, each with its latest switch.
    flagged: Mapping[str, tuple[Commit, Switch]] = field(default_factory=dict)
    #: What could not be looked at, in words.
    gaps: tuple[str, ...] = ()

    def since(self, commit: Commit) -> datetime | None:
        """When a commit began to matter: when it was switched on, or surely went live; else when it came to its branch.

        None for one that was not live at the incident's time.
        """
        if commit.sha in self.flagged:
            return max(commit.committed_at, self.flagged[commit.sha][1].at)
        standing = self.deploys.standing(commit)
        if standing is None or (standing.live_at and standing.sure < 1):
            return landed_at(commit)
        if standing.live_at is None:
            return None
        return max(commit.committed_at, standing.live_at)  # some deploy what is not merged


def landed_at(commit: Commit) -> datetime | None:
    """When it came to its branch; None if it had not."""
    return commit.landed_at if commit.landed else None


def look_around(
    incident: Incident,
    histories: Sequence[History],
    events: Sequence[ChangeEvent],
    *,
    start: datetime,
    find: Find,
    service_repos: Mapping[str, Sequence[str]],
    cache: MapCache,
) -> Surroundings:
    """Everything around an incident before its time.

    Args:
        events: deploys and switches, told with it; those at its time or later are not looked at.
        start: the time of the oldest candidate.
        find: looks up commits by their ids.
        service_repos: service name to repository names, the operator's hint.
        cache: the ranker's.
    """
    moment = incident.created_at
    services = map_service(
        incident.service,
        histories,
        service_repos,
        moment,
        title=incident.title,
        text=incident.text,
        names={event.service for event in events if event.service and event.at < moment},
        cache=cache,
    )
    deploys = read_deploys(events, histories, services, before=moment, start=start, find=find)
    # What a tree brought is told as of a deploy; only what its push names is still a switch.
    told = [replace(event, sha=None) if event in deploys.applied else event for event in events]
    switches = find_switches(told, services, moment)
    flagged, gaps = find_flagged(histories, switches, moment)
    rolled_out = find(histories, {switch.sha for switch in switches if switch.sha}, moment)
    flagged |= {
        rolled_out[switch.sha].sha: (rolled_out[switch.sha], switch)
        for switch in reversed(switches)  # the latest counts
        if switch.sha in rolled_out
    }
    return Surroundings(
        services=services,
        deploys=deploys,
        switches=tuple(switches),
        flagged=flagged,
        gaps=(*services.mistakes, *deploys.gaps, *gaps),
    )
