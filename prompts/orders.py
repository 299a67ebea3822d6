"""Whether a text tells its reader to do something: what only a reviewed source may.

Does: know a step by its verb, and advice by the act it names and how it urges it.
Does not: judge whether the advice is good, or know commands (`prompts.checks`).
"""

from __future__ import annotations

import re

from prompts.terms import terms

_VERB = re.compile(
    r"^(?:then |first,? |next,? |finally,? |if [^,]{1,80}, |once [^,]{1,80}, )?(?:please )?(?:add|adjust|apply|ask|avoid|back|block|call"
    r"|change|check|clear|compare|confirm|contact|cordon|decrease|delete|deploy|determine|disable|do not|don't|drain|enable"
    r"|ensure|escalate|evict|examine|expand|fail ?over|find|fix|flush|follow|force|free|identify|increase|inspect|investigate"
    r"|kill|limit|list|locate|log|look|lower|make sure|monitor|move|never|note|open|page|pause|promote|purge|put|raise|reboot"
    r"|recreate|reduce|remove|repair|replace|reset|resize|restart|restore|resume|retry|revert|review|roll|rotate|run|scale|search|see"
    r"|set|shift|silence|stop|suspend|switch|take|tell|terminate|test|throttle|try|turn|undo|update|upgrade|use|validate|verify"
    r"|wait|watch)\b",
    re.I,
)
#: What changes a system, as one is told to do it.
_ACT = (
    r"(?:apply|bounce|clear|cordon|cycle|decrease|delete|deploy|destroy|disable|downgrade|drain|drop|enable|erase|evict|execute"
    r"|fail ?over|flush|force|increase|kill|lower|patch|power|purge|raise|reboot|recreate|redeploy|remove|replace|reset|resize|restart|restore|revert"
    r"|roll ?back|roll|rotate|run|scale|set|shut|silence|stop|suspend|switch|terminate|truncate|turn|undo|uninstall|unmount|upgrade|wipe)"
)
_DOING = (
    r"(?:applying|bouncing|clearing|deleting|deploying|destroying|disabling|draining|dropping|enabling|erasing|evicting|executing|failing over"
    r"|flushing|killing|lowering|patching|purging|raising|rebooting|recreating|removing|resetting|restarting|restoring|reverting|rolling"
    r"|running|scaling|setting|shutting|silencing|stopping|switching|terminating|truncating|turning|undoing|upgrading|wiping)"
)
#: What follows where the word is none of an order: "Drop rate above 2%", "Restart loops in checkout".
_NOUN = (
    r"(?![-\w])(?!\s+(?:of|is|was|are|were|has|had|failed|fails|exceeds?|exceeded|above|below|attempts?|counts?|errors?|failures?|latency|loops?"
    r"|queues?|rates?|signals?|sizes?|supply|times?)\b)"
)
_URGES = re.compile(
    # An order: at the start, or where a new part of the sentence begins.
    rf"(?:^|[.;:!?,–—\"“'(]\s*|\s-\s|\b(?:and|then|so|or|now|just|please|simply|always|quickly)\s+){_ACT}\b{_NOUN}"
    rf"|\b(?:you|we|one|somebody|everyone|people)\s+(?:can|could|may|might|should|must|need to|have to)\s+(?:\w+ly\s+|just\s+)?{_ACT}\b"
    rf"|\b(?:should|must|let's|try|why not|(?:is|need|needs|has|have|ought|best|try|sure|remember|safe|asked|told|advised)\s+to)\s+(?:\w+ly\s+|just\s+)?{_ACT}\b"
    rf"|\b(?:should|must|needs? to|has to|have to|can safely)\s+be\s+\w+(?:ed|un|et|ut)\b"
    rf"|^to\s[^.]{{2,80}}?\s{_ACT}\b{_NOUN}"
    # A cure: said of no time, so of the next one too.
    rf"|\b{_DOING}\b[^.]{{0,80}}\b(?<!not )(?<!n't )(?:fix(?:es)?|helps?|heals?|solves?|resolves?|cures?|works?|will)\b"
    rf"|\b(?:try|by|recommend(?:ed)?|suggest(?:ed)?|consider)\s+{_DOING}\b",
    re.I,
)


def asks(text: str) -> bool:
    """Whether a text asks the reader to do something, at its start or after a condition."""
    return any(_VERB.match(part) for part in re.split(r"(?<=[.:])\s+|\s+[-–—=]>?\s+", text))


def urges(text: str) -> bool:
    """Whether a text advises an act on a system: an order, a duty, or a cure. What was done, told as past, is none."""
    return _URGES.search(" ".join(text.replace("`", " ").split())) is not None


def acts(text: str) -> frozenset[str]:
    """What a text has one do to a system, as terms; whatever form the verbs have."""
    return frozenset(term for found in _ANY_ACT.findall(text) for term in terms(found) if term != "back")


_ANY_ACT = re.compile(rf"\b(?:{_ACT}|{_DOING})\b", re.I)
