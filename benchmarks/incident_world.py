"""Builds the synthetic incident suite: git repositories, deploys, switches, and incidents with known causes, from a seed.

Does: for each domain of `benchmarks.incident_templates` plan four months of everyday commits and deploys, plant incidents of
every kind among them, write the repositories by `git fast-import`, and give the incidents as Case lines with their answers.
Does not: rank anything. No run of three words of a culprit's subject is in its incident's text.
"""

from __future__ import annotations

import random
import re
import subprocess
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.incident_templates import DOMAINS, EVERYDAY, FAULTS, NO_COMMIT, Domain, Fault

#: 2023-03-01, the first commit; and how long the worlds live.
BEGIN, DAYS = 1_677_628_800, 120
MINUTE, HOUR, DAY = 60, 3_600, 86_400
#: Incidents of each kind in each domain.
KINDS = {
    "deployed": 6,
    "dependency": 4,
    "flag": 3,
    "config": 2,
    "decoy in another service": 3,
    "decoy not deployed": 2,
    "decoy rolled back": 2,
    "no commit": 5,
}
_AUTHORS = ("amal", "bea", "chidi", "dov", "elif", "finn", "gita", "hugo", "ines", "jonas")
_TITLES = ("{title}", "[FIRING:2] {title} (prod-eu)", "P2 {title}", "{title} for 10 minutes", "Alert: {title}")


@dataclass(kw_only=True)
class Plan:
    """A commit to be made."""

    at: int
    repo: str
    subject: str
    path: str
    removed: str
    added: str
    author: str
    sha: str = ""


@dataclass(kw_only=True)
class Deploy:
    """A deploy of one service: what its repository held at `head_at`."""

    at: int
    service: str
    repo: str
    head_at: int
    name: str | None = None


@dataclass(kw_only=True)
class Incident:
    """An incident to be told."""

    kind: str
    at: int
    service: str
    title: str
    description: str
    culprits: list[Plan] = field(default_factory=list)


class World:
    """One domain's four months.

    Args:
        domain: its words.
        seed: the same gives the same world.
    """

    def __init__(self, domain: Domain, seed: int) -> None:
        self.domain, self.random = domain, random.Random(f"{seed} {domain.name}")
        self.plans: list[Plan] = []
        self.deploys: list[Deploy] = []
        self.switches: list[dict[str, Any]] = []
        self.incidents: list[Incident] = []
        #: Service -> spans in which nothing but what is planted is deployed.
        self._quiet: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._used: set[tuple[str, str]] = set()
        self._everyday()
        self._plant()
        self._deploy_daily()

    # -- everyday ----------------------------------------------------------------------------------------------------

    def _everyday(self) -> None:
        services = list(self.domain.services)
        for number in range(self.domain.commits):
            module, subject, line = self.random.choice(EVERYDAY)
            first = number < len(services)
            at = BEGIN + HOUR + (number if first else self.random.randrange((DAYS - 1) * DAY))
            service = services[number] if first else self.random.choice(services)
            self._commit(at, service, module, subject, "", line, self._words(service))

    def _deploy_daily(self) -> None:
        for service in self.domain.services:
            at = BEGIN + 2 * DAY
            while at < BEGIN + DAYS * DAY:
                at += self.random.randrange(10 * HOUR, 60 * HOUR)
                if not any(start <= at <= end for start, end in self._quiet[service]):
                    self._deploy(service, at)

    def _deploy(self, service: str, at: int, *, head_at: int = 0, name: str | None = None) -> None:
        repo = self.repo_of(service)
        self.deploys.append(Deploy(at=at, service=service, repo=repo, head_at=head_at or at, name=name))

    # -- incidents ---------------------------------------------------------------------------------------------------

    def _plant(self) -> None:
        kinds = [kind for kind, count in KINDS.items() for _ in range(count)]
        self.random.shuffle(kinds)
        step = (DAYS - 32) * DAY // len(kinds)
        for place, kind in enumerate(kinds):
            at = BEGIN + 31 * DAY + place * step + self.random.randrange(step // 2)
            self._planters[kind](self, kind, at)

    def _deployed(self, kind: str, at: int) -> Incident:
        """A commit of the affected service, deployed minutes before."""
        service, fault, words = self._case()
        culprit = self._break(at - self._hours(2, 30), service, fault, words)
        self._release(service, culprit.at, at)
        return self._tell(kind, at, service, fault, words, culprit)

    def _dependency(self, kind: str, at: int) -> Incident:
        """A commit of a service that the affected one calls."""
        caller, service, fault, words = self._pair()
        culprit = self._break(at - self._hours(2, 30), service, fault, words)
        self._release(service, culprit.at, at)
        self._quiet[caller].append((at - 6 * HOUR, at))
        return self._tell(kind, at, caller, fault, words, culprit, called=service)

    def _flag(self, kind: str, at: int) -> Incident:
        """A commit of weeks ago, behind a flag that was switched minutes before."""
        service, fault, words = self._case()
        noun = words["noun"]
        spelt = self.random.choice((f"{noun}-fast-lane", f"{noun}_second_look", f"{noun}-v2-flow", f"calm_{noun}_path"))
        code = re.sub(r"-", "_", spelt)
        culprit = self._break(at - self._hours(20 * 24, 60 * 24), service, fault, words, flag=code)
        self._release(service, at - 30 * HOUR, at, last=at - self._hours(20, 28))
        name = self.random.choice((spelt, f"ff_{code}", f"feature.{spelt}"))
        switch = {"kind": "flag", "at": at - self._minutes(4, 40), "service": service, "name": name}
        self.switches.append(switch)
        return self._tell(kind, at, service, fault, words, culprit)

    def _config(self, kind: str, at: int) -> Incident:
        """A setting that was changed in the repository and rolled out minutes before."""
        service, fault, words = self._case(only="config")
        culprit = self._break(at - self._minutes(50, 200), service, fault, words)
        key = fault.added.partition(":")[0]
        self._quiet[service].append((at - 8 * HOUR, at))
        switch = {"kind": "config", "at": at - self._minutes(5, 40), "service": service, "name": f"{service}.{key}"}
        self.switches.append(switch)
        return self._tell(kind, at, service, fault, words, culprit)

    def _decoy_elsewhere(self, kind: str, at: int) -> Incident:
        """Minutes before, a service that has nothing to do with it gets a commit with the alert's very words."""
        incident = self._deployed(kind, at)
        fault, words = self._last
        other = self.random.choice(
            [name for name in self.domain.services if name not in self._related(incident.service)]
        )
        self._decoy(at - self._minutes(4, 20), other, fault, words)
        self._deploy(other, at - 2 * MINUTE)
        return incident

    def _decoy_waiting(self, kind: str, at: int) -> Incident:
        """After the last deploy the affected service gets a commit with the alert's very words, which nobody deploys."""
        incident = self._deployed(kind, at)
        fault, words = self._last
        self._decoy(at - self._minutes(1, 4), incident.service, fault, words)
        return incident

    def _decoy_undone(self, kind: str, at: int) -> Incident:
        """A commit with the alert's words was deployed and rolled back half a day ago; a dependency's commit did it."""
        caller, service, fault, words = self._pair()
        start = at - 40 * HOUR
        self._quiet[caller].append((start, at + HOUR))
        self._deploy(caller, start)
        self._decoy(at - 22 * HOUR, caller, fault, words)
        self._deploy(caller, at - 20 * HOUR)
        self._deploy(caller, at - 10 * HOUR, head_at=start, name="rollback" if self.domain.deploys == "bare" else None)
        culprit = self._break(at - self._hours(3, 8), service, fault, words)
        self._release(service, culprit.at, at)
        return self._tell(kind, at, caller, fault, words, culprit, called=service)

    def _nobody(self, kind: str, at: int) -> Incident:
        """No commit did it."""
        service = self.random.choice(list(self.domain.services))
        title, text = (part.format(**self._words(service)) for part in self.random.choice(NO_COMMIT))
        self.incidents.append(Incident(kind=kind, at=at, service=service, title=title, description=text))
        return self.incidents[-1]

    _planters: ClassVar[dict[str, Callable[[World, str, int], Incident]]] = {
        "deployed": _deployed,
        "dependency": _dependency,
        "flag": _flag,
        "config": _config,
        "decoy in another service": _decoy_elsewhere,
        "decoy not deployed": _decoy_waiting,
        "decoy rolled back": _decoy_undone,
        "no commit": _nobody,
    }

    # -- parts -------------------------------------------------------------------------------------------------------

    def repo_of(self, service: str) -> str:
        """The repository of a service."""
        return service if self.domain.many_repos else self.domain.name

    def _path(self, service: str, module: str, words: dict[str, Any]) -> str:
        folder = "" if self.domain.many_repos else f"services/{service}/"
        if module == "config":
            return f"{folder}config/production.yaml"
        file = module.format(**words).replace("-", "_")
        return f"{folder}{file}" if "." in file else f"{folder}{'' if '/' in file else 'src/'}{file}.{self.domain.ext}"

    def _words(self, service: str) -> dict[str, Any]:
        nouns, calls = self.domain.services[service]
        noun = self.random.choice(nouns)
        dep = self.random.choice(calls or ("archive",))
        return {"svc": service, "noun": noun, "Noun": noun.capitalize(), "dep": dep, "n": self.random.randrange(2, 60)}

    def _commit(
        self, at: int, service: str, module: str, subject: str, removed: str, added: str, words: dict[str, Any]
    ) -> Plan:
        plan = Plan(
            at=at,
            repo=self.repo_of(service),
            subject=subject.format(**words),
            path=self._path(service, module, words),
            removed=removed.format(**words),
            added=added.format(**words),
            author=self.random.choice(_AUTHORS),
        )
        self.plans.append(plan)
        return plan

    def _break(self, at: int, service: str, fault: Fault, words: dict[str, Any], flag: str = "") -> Plan:
        """The commit that will break it, and hours after the incident the one that takes it back."""
        added = fault.added if not flag else f'    if switches.on("{flag}"): {fault.added.strip()}'
        removed = "" if flag else fault.removed
        return self._commit(at, service, fault.module, fault.subject, removed, added, words)

    def _decoy(self, at: int, service: str, fault: Fault, words: dict[str, Any]) -> None:
        self._commit(at, service, "monitoring", fault.decoy, "", fault.decoy_line, words)

    def _release(self, service: str, start: int, at: int, last: int = 0) -> None:
        """Deploy a service shortly before the incident, and not between its culprit and then."""
        self._quiet[service].append((start, at + HOUR))
        self._deploy(service, last or at - self._minutes(5, 90))

    def _case(self, only: str = "") -> tuple[str, Fault, dict[str, Any]]:
        """A service and a fault that have not met yet."""
        while True:
            service = self.random.choice(list(self.domain.services))
            fault = self.random.choice([fault for fault in FAULTS if not only or fault.module == only])
            words = self._words(service)
            needs_dep = "{dep}" in fault.module + fault.subject
            if (service, fault.subject) not in self._used and (not needs_dep or self.domain.services[service][1]):
                self._used.add((service, fault.subject))
                return service, fault, words

    def _pair(self) -> tuple[str, str, Fault, dict[str, Any]]:
        """A service, one that it calls, and a fault of the latter."""
        while True:
            service, fault, words = self._case()
            callers = self._callers(service)
            if callers:
                return self.random.choice(callers), service, fault, words
            self._used.discard((service, fault.subject))

    def _callers(self, service: str) -> list[str]:
        return [name for name, (_, calls) in self.domain.services.items() if service in calls]

    def _related(self, service: str) -> set[str]:
        """A service, all that it depends on and all that depend on it, through others too."""
        found = {service}
        for step in (lambda name: self.domain.services[name][1], self._callers):
            border = [service]
            while border:
                border = [other for name in border for other in step(name)]
                found.update(border)
        return found

    def _tell(
        self, kind: str, at: int, service: str, fault: Fault, words: dict[str, Any], culprit: Plan, called: str = ""
    ) -> Incident:
        """The incident as monitoring would write it: now vague, now with an error, now with a stack."""
        self._last = (fault, words)
        title, text = fault.title.format(**words), fault.symptom.format(**words)
        if called:
            title = f"{service}: error budget burns fast"
            text = f"Only where {words['noun']} data is needed. {text}" if self.random.random() < 0.5 else text
        detail = self.random.random()
        if detail > 0.35:
            text += f"\n{fault.error.format(**words)}"
        if detail > 0.75:
            text += f"\n  at {fault.frame.format(**words)} ({culprit.path}:{self.random.randrange(20, 90)})"
        title = self.random.choice(_TITLES).format(title=title)
        while run := shared_run(culprit.subject, f"{title}\n{text}"):
            text = re.sub(re.escape(run), "…", text, flags=re.IGNORECASE)
            title = re.sub(re.escape(run), "…", title, flags=re.IGNORECASE)
        self.incidents.append(
            Incident(kind=kind, at=at, service=service, title=title, description=text, culprits=[culprit])
        )
        return self.incidents[-1]

    def _hours(self, least: int, most: int) -> int:
        return self.random.randrange(least * HOUR, most * HOUR)

    def _minutes(self, least: int, most: int) -> int:
        return self.random.randrange(least * MINUTE, most * MINUTE)


def shared_run(subject: str, text: str, size: int = 3) -> str:
    """The first run of so many words that a subject shares with a text, as the text has it; else empty."""
    words = re.findall(r"\w+", subject.lower())
    for start in range(len(words) - size + 1):
        match = re.search(r"\W+".join(map(re.escape, words[start : start + size])), text, re.IGNORECASE)
        if match:
            return match[0]
    return ""


# -- writing ---------------------------------------------------------------------------------------------------------


def build(out: Path, seed: int, domains: tuple[Domain, ...] = DOMAINS) -> tuple[dict[str, Path], list[dict[str, Any]]]:
    """Write every domain's repositories under a folder.

    Returns:
        Repositories by name, and the incidents as Case lines with `culprits` and `kind`, by domain and time.
    """
    repos: dict[str, Path] = {}
    cases: list[dict[str, Any]] = []
    for domain in domains:
        world = World(domain, seed)
        own = {repo: out / "repos" / repo for repo in dict.fromkeys(plan.repo for plan in world.plans)}
        for repo, path in own.items():
            _write(path, repo, world)
        repos |= own
        told = sorted(world.incidents, key=lambda incident: incident.at)
        cases += [_case_line(world, incident, number, list(own)) for number, incident in enumerate(told, 1)]
    return repos, cases


def _case_line(world: World, incident: Incident, number: int, repos: list[str]) -> dict[str, Any]:
    named = world.random.random() < 0.75
    events = [_event(world, deploy) for deploy in world.deploys] if world.domain.deploys else []
    events += world.switches
    window = [event for event in events if incident.at - 14 * DAY <= event["at"] < incident.at]
    return {
        "id": f"{world.domain.name}-{number}",
        "title": incident.title,
        "description": incident.description,
        "created_at": incident.at,
        **({"service": incident.service} if named else {}),
        "repos": repos,
        "events": sorted(window, key=lambda event: event["at"]),
        "culprits": [plan.sha for plan in incident.culprits],
        "kind": incident.kind,
    }


def _event(world: World, deploy: Deploy) -> dict[str, Any]:
    head = _head(world, deploy)
    how = world.domain.deploys
    told: dict[str, Any] = {"kind": "deploy", "at": deploy.at, "service": deploy.service}
    if how in ("sha", "short"):
        told["sha"] = head.sha if how == "sha" else head.sha[:8]
    elif how == "tag":
        told["name"] = _tag(head)
    elif deploy.name:
        told["name"] = deploy.name
    return told


def _head(world: World, deploy: Deploy) -> Plan:
    return max((p for p in world.plans if p.repo == deploy.repo and p.at <= deploy.head_at), key=lambda p: p.at)


def _tag(head: Plan) -> str:
    return f"v1.{(head.at - BEGIN) // DAY}.{head.at % DAY}"


def _write(path: Path, repo: str, world: World) -> None:
    """One repository: a first commit with every file and the team's maps, then every planned commit by time."""
    plans = sorted((plan for plan in world.plans if plan.repo == repo), key=lambda plan: plan.at)
    files: dict[str, list[str]] = {}
    for plan in plans:
        base = files.setdefault(plan.path, [f"{plan.path} line {number}" for number in range(12)])
        base += [plan.removed] if plan.removed and plan.removed not in base else []
    first = {name: "\n".join(lines) + "\n" for name, lines in files.items()} | maps(world, repo)
    stream = [_commit_text(1, BEGIN, "amal", f"Start {repo}", first)]
    for mark, plan in enumerate(plans, 2):
        lines = files[plan.path]
        place = lines.index(plan.removed) if plan.removed in lines else world.random.randrange(len(lines))
        lines[place : place + (plan.removed in lines)] = plan.added.split("\n")
        stream.append(_commit_text(mark, plan.at, plan.author, plan.subject, {plan.path: "\n".join(lines) + "\n"}))
    marks = {plan.at: mark for mark, plan in enumerate(plans, 2)}
    if world.domain.deploys in ("tag", ""):
        own = [deploy for deploy in world.deploys if deploy.repo == repo]
        heads = {(head := _head(world, deploy)).at: (head, deploy) for deploy in sorted(own, key=lambda d: -d.at)}
        stream += [_tag_text(marks[at], _tag(head), deploy.at) for at, (head, deploy) in heads.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)
    listed = path / "suite.marks"
    fast_import = ["git", "-C", str(path), "fast-import", "--quiet", f"--export-marks={listed}"]
    subprocess.run(fast_import, input="".join(stream).encode(), check=True)
    by_mark = dict(line.split() for line in listed.read_text().splitlines())
    for mark, plan in enumerate(plans, 2):
        plan.sha = by_mark[f":{mark}"]


def _commit_text(mark: int, at: int, author: str, message: str, files: dict[str, str]) -> str:
    who = f"{author} <{author}@example.org> {at} +0000"
    changed = "".join(f'M 100644 inline "{name}"\n{_data(text)}' for name, text in files.items())
    return f"commit refs/heads/main\nmark :{mark}\nauthor {who}\ncommitter {who}\n{_data(message)}{changed}"


def _tag_text(mark: int, name: str, at: int) -> str:
    return f"tag {name}\nfrom :{mark}\ntagger ci <ci@example.org> {at} +0000\n{_data('Release')}"


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"


def maps(world: World, repo: str) -> dict[str, str]:
    """The files in which a team writes down its services."""
    import yaml

    services = world.domain.services
    here = [name for name in services if world.repo_of(name) == repo]
    if world.domain.maps == "owners":
        return {".github/CODEOWNERS": "".join(f"/services/{name}/ @acme/{name}-team\n" for name in here)}
    if world.domain.maps == "compose":
        built = {
            name: {"build": f"services/{name}", "depends_on": list(calls)} for name, (_, calls) in services.items()
        }
        return {"docker-compose.yml": yaml.safe_dump({"services": built})}
    if world.domain.maps == "catalog":
        spec = {"owner": f"team-{repo}", "dependsOn": [f"component:default/{name}" for name in services[repo][1]]}
        return {"catalog-info.yaml": yaml.safe_dump({"kind": "Component", "metadata": {"name": repo}, "spec": spec})}
    if world.domain.many_repos and here[0] != next(iter(services)):
        return {}
    place = {
        name: {"repos": [name]} if world.domain.many_repos else {"paths": [f"services/{name}/"]} for name in services
    }
    told = {name: {**place[name], "depends_on": list(calls)} for name, (_, calls) in services.items()}
    return {"services.yaml": yaml.safe_dump({"services": told})}
