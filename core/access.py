"""Who may read what: principals, and the audience of a channel.

Does: name the principals that documents list as readers, and decide whether all of an audience may read something.
Does not: ask Slack who is in a channel (`bot.audience`) or filter a search (`retrieval.chunk.Scope` does, by this).

A principal is a text: "*" is everyone; "user:anna@example.org" a person, by e-mail; "group:sre" a group; a Slack channel's id
everyone in that channel. All but channel ids are lower-case.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: Names everyone as a reader.
EVERYONE = "*"


def user(email: str) -> str:
    """The principal of the person with that e-mail address."""
    return f"user:{''.join(email.split()).lower()}"


def group(name: str) -> str:
    """The principal of everyone in the group of that name."""
    return f"group:{' '.join(name.split()).lower()}"


@dataclass(frozen=True, kw_only=True)
class Audience:
    """The people who will see a result: for each, every principal they are.

    An answer in a channel is a publication: what one of its members may not read must not stand in it.
    """

    #: One set a person; people with the same principals once. Empty: nobody is known, so nothing may be shown.
    people: frozenset[frozenset[str]]

    @classmethod
    def of(cls, *people: Iterable[str]) -> Audience:
        """An audience of these people, each given by their principals besides "*"."""
        return cls(people=frozenset(frozenset((EVERYONE, *principals)) for principals in people))

    def may_read(self, readers: Iterable[str]) -> bool:
        """Whether every one of them is among the readers. Nobody is among no readers, and no audience reads nothing."""
        allowed = frozenset(readers)
        return bool(self.people) and all(not allowed.isdisjoint(person) for person in self.people)


#: Somebody of whom nothing is known: reads what everyone may read.
PUBLIC = Audience.of(())
