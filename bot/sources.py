"""From evidence ids to what a reader can open: the citations of every message.

Does: render "E1", "C1", "I", "T1" as links to the evidence's own address, or by name where there is none to open.
Does not: accept an address from anywhere but the evidence, the commit or the incident itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.card import source_kind
from bot.kit import Block, context
from bot.mrkdwn import code, link, plain, safe_url
from core.model import Commit, Evidence, Incident, Ranking, Section

_PAGES = ("https",)


class Sources:
    """What the ids in one message stand for. Remembers which it has named, so that a name is written out once.

    Args:
        evidence: what "E1"… mean.
        ranking: what "C1"… mean, by place.
        incident: what "I" means.
        legend: names are given once, by `legend`; every mark stays short.
        linked: whether marks are links; else they are names alone.
    """

    def __init__(
        self,
        evidence: Sequence[Evidence],
        ranking: Ranking | None,
        incident: Incident | None = None,
        *,
        legend: bool = False,
        linked: bool = True,
    ) -> None:
        self._evidence = {item.id: item for item in evidence}
        self._commits = {
            f"C{place}": culprit.commit for place, culprit in enumerate(ranking.culprits if ranking else (), 1)
        }
        self._incident, self._linked = incident, linked
        self._named = set(self._evidence) if legend else set()

    def sentence(self, words: str, ids: Iterable[str], *, named: bool = False) -> str:
        """A sentence and, after it, what it rests on.

        Args:
            words: mrkdwn.
            ids: the evidence's ids.
            named: write the source's name at its first mention, even where a link would do.
        """
        marks = " ".join(self.mark(item, named=named) for item in ids)
        # After the words, and before a code block that ends them: nothing is read as part of a command.
        head, fence, rest = words.partition("\n```\n") if words.endswith("\n```") else (words, "", "")
        return f"{head} {marks}{fence}{rest}" if marks else words

    def mark(self, item: str, *, named: bool = False) -> str:
        """One citation: "[E1]" as a link, or "[runbook: Title › Section]" for what cannot be opened."""
        if item == "I":
            return self._incident_mark()
        found = self._evidence.get(item)
        if found:
            spell_out = item not in self._named and (named or not safe_url(found.url, schemes=_PAGES))
            self._named |= {item} if spell_out else set()
            return self._link(found.url, f"[{item} {evidence_name(found)}]" if spell_out else f"[{item}]")
        commit = self._commits.get(item)
        return self._link(commit.url, f"[{commit.short}]") if commit else plain(f"[{item}]", 12)

    def legend(self, sections: Iterable[Section]) -> list[Block]:
        """A line that names every piece of evidence the sections cite, in order of id."""
        ids = dict.fromkeys(
            item for section in sections for sentence in section.sentences for item in sentence.evidence
        )
        found = sorted(
            (self._evidence[item] for item in ids if item in self._evidence), key=lambda item: _order(item.id)
        )
        names = [link(item.url, f"{item.id} {evidence_name(item)}", 110, schemes=_PAGES) for item in found]
        return context([f"Sources: {names[0]}", *names[1:]]) if names else []

    def _incident_mark(self) -> str:
        if self._incident is None:
            return "[incident]"
        source = "PagerDuty" if self._incident.id.startswith("pd:") else "alert"
        return self._link(self._incident.url, f"[{source}]")

    def _link(self, url: str | None, name: str) -> str:
        return link(url if self._linked else None, name, 110, schemes=_PAGES)


def evidence_name(item: Evidence, limit: int = 80) -> str:
    """What a reader calls it: "runbook: Checkout › Pool exhausted"."""
    place = f"{item.title} › {item.section[-1]}" if item.section and item.section[-1] != item.title else item.title
    name = f"{source_kind(item.kind)}: {place.strip() or item.doc_id or 'untitled'}"
    return name if len(name) <= limit else f"{name[: limit - 1].rstrip()}…"


def commit_link(commit: Commit) -> str:
    """A commit's short id, linked to its page where it has one."""
    return link(commit.url, commit.short) if safe_url(commit.url) else code(commit.short)


def _order(item: str) -> tuple[str, int]:
    return item[:1], int(item[1:]) if item[1:].isdigit() else 0
