"""Confluence's two REST APIs for the stand-in: what a reader asks for, in the shapes that Cloud and Data Center answer in.

Does: list with cursors or start and limit, expand what is asked for, leave out what the account that asks may not see.
Does not: authenticate, fail on request (`bot/standin/confluence.py` does), or change anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode

from bot.standin.confluence_world import Content, Group, Person, Space, World, millis

if TYPE_CHECKING:
    from starlette.requests import Request

    from bot.standin.confluence import ConfluenceStandIn


#: The states that a space suggests.
STATES = ("Rough draft", "In progress", "Verified")


class Refused(Exception):
    """An answer other than the one asked for."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Common:
    """What v1 is the same for on both."""

    #: What the API's paths begin with.
    prefix = ""

    def __init__(self, standin: ConfluenceStandIn) -> None:
        self._standin = standin

    @property
    def world(self) -> World:
        """What it shows."""
        return self._standin.world

    @property
    def base(self) -> str:
        """What links are relative to."""
        return f"{self._standin.url}{self.prefix}"

    def routes(self) -> dict[str, Callable[[Request], Any]]:
        """Path to what answers it."""
        v1 = f"{self.prefix}/rest/api"
        return {
            f"{v1}/content/{{id}}/restriction/byOperation/read": self._restriction,
            f"{v1}/user/memberof": self._groups_of,
        }

    def _restriction(self, request: Request) -> Any:
        start, limit = self._range(request, 100)
        return self._restricted(self._seen(request), start, limit)

    def _restricted(self, content: Content, start: int = 0, limit: int = 200) -> dict[str, Any]:
        """One operation's restrictions, people and groups each cut to a page."""
        world = self.world
        people = [self._person(world.people[name]) for name in content.readers if name in world.people]
        groups = [self._group(world.groups[name]) for name in content.readers if name in world.groups]
        link = f"{self.base}/rest/api/content/{content.id}/restriction/byOperation/read"
        return {
            "operation": "read",
            "restrictions": {
                "user": self._cut(people, start, min(limit, self._standin.page_limit)),
                "group": self._cut(groups, start, min(limit, self._standin.page_limit)),
                "_expandable": {},
            },
            "_expandable": {"content": f"/rest/api/content/{content.id}"},
            "_links": {"self": link},
        }

    def _groups_of(self, request: Request) -> Any:
        person = self._asked_person(request)
        groups = [self._group(group) for group in self.world.groups.values() if person.name in group.members]
        return self._started(request, groups)

    def _members(self, request: Request) -> Any:
        self._tell(self.world.tells_people)
        asked = request.path_params["group"]
        for group in self.world.groups.values():
            if asked == (group.id if self._standin.cloud else group.name):
                return self._started(request, [self._person(self.world.people[name]) for name in group.members])
        raise Refused(404, f"No group found with name: {asked}")

    def _asked_person(self, request: Request) -> Person:
        self._tell(self.world.tells_people)
        asked = request.query_params.get("accountId" if self._standin.cloud else "key")
        for person in self.world.people.values():
            if person.id == asked:
                return person
        raise Refused(404, f"No user found with key : {asked}")

    def _tell(self, allowed: bool) -> None:
        if not allowed:
            raise Refused(403, "The calling user does not have permission to view users and groups")

    def _seen(self, request: Request) -> Content:
        found = self.world.contents.get(request.path_params["id"])
        if found is None or not found.visible or found.status == "trashed":
            raise Refused(404, f"No content found with id: ContentId{{id={request.path_params['id']}}}")
        return found

    def _space(self, key_or_id: str) -> Space:
        for space in self.world.spaces.values():
            if key_or_id in (space.key, space.id):
                return space
        raise Refused(404, f"No space with key : {key_or_id}")

    def _range(self, request: Request, usual: int = 25) -> tuple[int, int]:
        query = request.query_params
        return int(query.get("start", "0")), min(int(query.get("limit", usual)), self._standin.page_limit)

    def _started(self, request: Request, items: Sequence[Any]) -> dict[str, Any]:
        """One page of a list told on by start and limit."""
        start, limit = self._range(request)
        told = self._cut(items, start, limit) | {"_links": {"base": self.base, "context": self.prefix}}
        if start + limit < len(items):
            following = urlencode({**request.query_params, "start": start + limit, "limit": limit})
            told["_links"]["next"] = f"{request.url.path.removeprefix(self.prefix)}?{following}"
        return told

    def _cut(self, items: Sequence[Any], start: int, limit: int) -> dict[str, Any]:
        shown = list(items[start : start + limit])
        return {"results": shown, "start": start, "limit": limit, "size": len(shown)}

    def _labels(self, content: Content) -> list[dict[str, Any]]:
        return [
            {"prefix": "global", "name": name, "id": str(number + 1), "label": name}
            for number, name in enumerate(content.labels)
        ]

    def _content(self, content: Content, expand: str) -> dict[str, Any]:
        """A page in v1's shape, with what both flavours expand alike."""
        told: dict[str, Any] = {
            "id": content.id,
            "type": content.kind,
            "status": content.status,
            "title": content.title,
            "_expandable": {"container": f"/rest/api/space/{content.space}"},
            "_links": {"webui": self._webui(content), "self": f"{self.base}/rest/api/content/{content.id}"},
        }
        if "restrictions.read" in expand:
            told["restrictions"] = {"read": self._restricted(content), "_expandable": {"update": ""}}
        if "metadata.labels" in expand:
            labels = self._labels(content)
            told["metadata"] = {"labels": self._cut(labels, 0, 200), "_expandable": {}}
        return told

    def _webui(self, content: Content) -> str:
        return f"/spaces/{content.space}/pages/{content.id}/{quote_plus(content.title)}"

    def _person(self, person: Person) -> dict[str, Any]:
        raise AssertionError(f"each flavour shows {person.name} in its own way")

    def _group(self, group: Group) -> dict[str, Any]:
        raise AssertionError(f"each flavour shows {group.name} in its own way")


class Cloud(_Common):
    """Confluence Cloud."""

    prefix = "/wiki"

    def routes(self) -> dict[str, Callable[[Request], Any]]:
        v1, v2 = "/wiki/rest/api", "/wiki/api/v2"
        return super().routes() | {
            f"{v2}/spaces": self._spaces,
            f"{v2}/spaces/{{id}}": lambda request: self._shown_space(self._space(request.path_params["id"])),
            f"{v2}/spaces/{{id}}/permissions": self._permissions,
            f"{v2}/spaces/{{id}}/pages": self._pages,
            f"{v2}/pages": self._some_pages,
            f"{v2}/pages/{{id}}": self._page,
            f"{v2}/pages/{{id}}/ancestors": self._ancestors,
            f"{v2}/pages/{{id}}/labels": lambda request: self._cursored(request, self._v2_labels(self._seen(request))),
            f"{v1}/content/search": self._search,
            f"{v1}/space/{{key}}/state": self._states,
            f"{v1}/space/{{key}}/state/content": self._in_state,
            f"{v1}/group/by-id": self._one_group,
            f"{v1}/group/{{group}}/membersByGroupId": self._members,
            f"{v1}/user/bulk": self._people,
        }

    def _spaces(self, request: Request) -> Any:
        keys = request.query_params.getlist("keys")
        return self._cursored(
            request, [self._shown_space(one) for one in self.world.spaces.values() if one.key in keys]
        )

    def _shown_space(self, space: Space) -> dict[str, Any]:
        return {
            "id": space.id,
            "key": space.key,
            "name": space.key.title(),
            "type": "global",
            "status": "current",
            "authorId": "712020:admin",
            "createdAt": "2024-01-01T00:00:00.000Z",
            "homepageId": space.id,
            "_links": {"webui": f"/spaces/{space.key}"},
        }

    def _permissions(self, request: Request) -> Any:
        space = self._space(request.path_params["id"])
        if not self.world.tells_permissions:
            raise Refused(404, "The calling user does not have permission to view the space permissions")
        named = [("user", self.world.people[name].id) for name in space.people]
        named += [("group", self.world.groups[name].id) for name in space.groups]
        named += [("user", "anonymous")] if space.anonymous else []
        told = [
            {
                "id": str(number),
                "principal": {"type": kind, "id": name},
                "operation": {"key": key, "targetType": "space"},
            }
            for number, (kind, name, key) in enumerate(
                [*((kind, name, "read") for kind, name in named), ("group", "0-admins", "administer")]
            )
        ]
        return self._cursored(request, told)

    def _pages(self, request: Request) -> Any:
        pages = self.world.pages(self._space(request.path_params["id"]).key)
        return self._cursored(request, [self._v2_page(page) for page in pages])

    def _v2_page(self, page: Content) -> dict[str, Any]:
        parent = self.world.contents.get(page.parent or "")
        return {
            "id": page.id,
            "status": page.status,
            "title": page.title,
            "spaceId": self.world.spaces[page.space].id,
            "parentId": page.parent,
            "parentType": parent.kind if parent else None,
            "position": 1,
            "authorId": "712020:author",
            "ownerId": "712020:author",
            "lastOwnerId": None,
            "createdAt": millis(page.created_at),
            "version": {
                "createdAt": millis(page.changed_at),
                "message": "",
                "number": page.number,
                "minorEdit": False,
                "authorId": "712020:author",
            },
            "body": {},
            "_links": {
                "webui": self._webui(page),
                "editui": f"/pages/resumedraft.action?draftId={page.id}",
                "tinyui": "/x/1",
            },
        }

    def _page(self, request: Request) -> Any:
        page = self._seen(request)
        return self._with_body(request, page) | {"_links": {"webui": self._webui(page), "base": self.base}}

    def _some_pages(self, request: Request) -> Any:
        asked = request.query_params.getlist("id")
        found = [page for page in self.world.contents.values() if page.id in asked and self.world.seen(page)]
        return self._cursored(request, [self._with_body(request, page) for page in found])

    def _with_body(self, request: Request, page: Content) -> dict[str, Any]:
        told = self._v2_page(page)
        if request.query_params.get("body-format") == "storage":
            told["body"] = {"storage": {"representation": "storage", "value": page.storage}}
        return told

    def _ancestors(self, request: Request) -> Any:
        return {"results": [{"id": one.id, "type": one.kind} for one in self.world.above(self._seen(request))]}

    def _v2_labels(self, page: Content) -> list[dict[str, Any]]:
        return [{name: label[name] for name in ("id", "name", "prefix")} for label in self._labels(page)]

    def _search(self, request: Request) -> Any:
        asked = re.fullmatch(r'space="([^"]+)" and type=page', request.query_params.get("cql", ""))
        if asked is None:
            raise Refused(400, "Could not parse cql")
        found = [page for page in self.world.pages(asked[1]) if page.indexed]
        expand = request.query_params.get("expand", "")
        told: dict[str, Any] = self._cursored(request, [self._content(page, expand) for page in found])
        return told | {"size": len(told["results"]), "start": 0, "limit": self._range(request)[1]}

    def _states(self, request: Request) -> Any:
        self._space(request.path_params["key"])
        return [{"id": number, "name": name, "color": "#36B37E"} for number, name in enumerate(STATES)]

    def _in_state(self, request: Request) -> Any:
        state = STATES[int(request.query_params["state-id"])]
        pages = self.world.pages(self._space(request.path_params["key"]).key)
        return self._started(request, [self._content(page, "") for page in pages if page.state == state])

    def _one_group(self, request: Request) -> Any:
        self._tell(self.world.tells_people)
        for group in self.world.groups.values():
            if group.id == request.query_params.get("id"):
                return self._group(group)
        raise Refused(404, "Group not found")

    def _people(self, request: Request) -> Any:
        self._tell(self.world.tells_people)
        asked = request.query_params.getlist("accountId")
        found = [self._person(person) for person in self.world.people.values() if person.id in asked]
        return self._cut(found, 0, 200) | {"_links": {"base": self.base}}

    def _cursored(self, request: Request, items: Sequence[Any]) -> dict[str, Any]:
        """One page of a list told on by a cursor, here the number of items before it in disguise."""
        limit = self._range(request)[1]
        start = int(request.query_params.get("cursor", "c0").removeprefix("c"))
        told: dict[str, Any] = {"results": list(items[start : start + limit]), "_links": {"base": self.base}}
        if start + limit < len(items):
            asked = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
            following = urlencode([*asked, ("cursor", f"c{start + limit}")])
            told["_links"]["next"] = f"{request.url.path}?{following}"
        return told

    def _person(self, person: Person) -> dict[str, Any]:
        return {
            "type": "known",
            "accountId": person.id,
            "accountType": "atlassian",
            "email": person.email if person.shows_email else "",
            "publicName": person.name,
            "displayName": person.name,
            "profilePicture": {"path": "/wiki/aa-avatar/1", "width": 48, "height": 48, "isDefault": False},
            "_expandable": {"operations": ""},
            "_links": {"self": f"{self.base}/rest/api/user?accountId={person.id}"},
        }

    def _group(self, group: Group) -> dict[str, Any]:
        return {"type": "group", "name": group.name, "id": group.id, "_links": {"self": f"{self.base}/rest/api/group"}}


class DataCenter(_Common):
    """Confluence Data Center 9.1 and later."""

    def routes(self) -> dict[str, Callable[[Request], Any]]:
        return super().routes() | {
            "/rest/api/space/{key}": self._one_space,
            "/rest/api/space/{key}/permissions": self._permissions,
            "/rest/api/content": self._list,
            "/rest/api/content/{id}": lambda request: self._expanded(
                self._seen(request), request.query_params.get("expand", "")
            ),
            "/rest/api/group/{group}/member": self._members,
            "/rest/api/user": self._user,
            "/rest/mobile/1.0/profile/{name}": self._profile,
        }

    def _one_space(self, request: Request) -> Any:
        return self._shown_space(self._space(request.path_params["key"]))

    def _shown_space(self, space: Space) -> dict[str, Any]:
        return {
            "id": int(space.id),
            "key": space.key,
            "name": space.key.title(),
            "type": "global",
            "status": "CURRENT",
            "_expandable": {"homepage": f"/rest/api/content/{space.id}"},
            "_links": {"webui": f"/display/{space.key}", "self": f"{self.base}/rest/api/space/{space.key}"},
        }

    def _permissions(self, request: Request) -> Any:
        space = self._space(request.path_params["key"])
        if not self.world.tells_permissions:
            raise Refused(500, "Internal Server Error")
        subjects = [{"type": "user", "userKey": self.world.people[name].id} for name in space.people]
        subjects += [{"type": "group", "name": name} for name in space.groups]
        subjects += [{"type": "anonymous"}] if space.anonymous else []
        granted = [("read", subject) for subject in subjects] + [("administer", {"type": "group", "name": "admins"})]
        return [
            {
                "operation": {"targetType": "space", "operationKey": key},
                "subject": subject,
                "spaceKey": space.key,
                "spaceId": int(space.id),
            }
            for key, subject in granted
        ]

    def _list(self, request: Request) -> Any:
        expand = request.query_params.get("expand", "")
        pages = self.world.pages(self._space(request.query_params["spaceKey"]).key)
        return self._started(request, [self._expanded(page, expand) for page in pages])

    def _expanded(self, page: Content, expand: str) -> dict[str, Any]:
        told = self._content(page, expand)
        if "space" in expand.split(","):
            told["space"] = self._shown_space(self.world.spaces[page.space])
        if "version" in expand:
            told["version"] = {"when": millis(page.changed_at), "number": page.number, "minorEdit": False}
        if "history" in expand:
            told["history"] = {"latest": True, "createdDate": millis(page.created_at)}
        if "ancestors" in expand:
            told["ancestors"] = [self._content(one, "") for one in self.world.above(page)]
        if "body.storage" in expand:
            told["body"] = {"storage": {"value": page.storage, "representation": "storage"}}
        return told

    def _user(self, request: Request) -> Any:
        person = self._asked_person(request)
        told = self._person(person)
        if self._standin.email_in == "user" and "details.personal" in request.query_params.get("expand", ""):
            told["details"] = {"personal": {"email": person.email if person.shows_email else ""}}
        return told

    def _profile(self, request: Request) -> Any:
        for person in self.world.people.values():
            if person.name.lower() == request.path_params["name"] and self._standin.email_in == "mobile":
                return {"fullName": person.name, "email": person.email if person.shows_email else ""}
        raise Refused(404, "Not Found")

    def _person(self, person: Person) -> dict[str, Any]:
        return {
            "type": "known",
            "username": person.name.lower(),
            "userKey": person.id,
            "displayName": person.name,
            "_expandable": {"status": ""},
            "_links": {"self": f"{self.base}/rest/api/user?key={person.id}"},
        }

    def _group(self, group: Group) -> dict[str, Any]:
        return {"type": "group", "name": group.name, "_links": {"self": f"{self.base}/rest/api/group/{group.name}"}}
