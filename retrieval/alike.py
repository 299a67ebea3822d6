"""What two incidents have in common, in words that a person can check.

Does: compare alerts, error texts, names and culprit areas literally, after numbers and hosts are split off; say each likeness.
Does not: search, or guess a likeness that neither text holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from core.words import split_identifiers
from retrieval.sparse import identifiers

#: More of a text is not compared.
_MAX_CHARS, _ASKED_CHARS = 20_000, 4_000
_LONGEST, _SHOWN = 8, 2

_BADGES = re.compile(
    r"^\s*(?:\[\s*(?:firing|resolved|alerting|ok|triggered|critical|warning|error|info|page|sev\W?\d|p\d|#\d+)\b[^\]]*\]\s*)+",
    re.I,
)
_LABELLED = re.compile(
    r"\b(?P<label>alert_?name|alert|monitor_?name|rule_?name)\b[\"']?\s*[:=]\s*[\"']?(?P<name>[A-Za-z][\w.:-]{2,120}\w)",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"[^\s,;:()\[\]{}<>\"'`=|…]+")
_SEGMENT = re.compile(r"[.!?](?=\s|$)|[\n;:()\[\]{}\"'`|…]|,\s")
_STATUS = re.compile(r"[1-5]xx", re.I)
_VARIES = re.compile(
    r"[#+~≈><=-]*\d.*"  # a number, a quantity, a time, an address, an abbreviated commit
    r"|[0-9a-f]{7,}"
    r"|(?=[a-z0-9.-]*\d)[a-z0-9]+(?:[-.][a-z0-9]+)+"  # web-3, a pod, an address by name
    r"|[a-z]{2,}\d+"  # db1034
    r"|(?:[a-z0-9-]+\.)+(?:com|net|org|io|dev|internal|local|cluster|svc|corp|lan|cloud|example|test|invalid)"
)
_STOP_WORDS = """
    a an and are as at be been before but by for from had has have i in into is it its no not of off on or our out over since
    so that the their then there these they this to too up was we were when which while with you after during due because"""
_STOP = frozenset(_STOP_WORDS.split())
_FAILS = re.compile(
    r"error|exception|fail|time ?out|timed|refus|exhaust|denied|unreach|unavail|oom|kill|deadlock|crash|full$|expir|reset|overflow"
    r"|leak|corrupt|stuck|lost|reject|abort|panic|throttl|saturat|invalid|unauthor|forbidden|exceed|stall|mismatch|backoff|evict"
    r"|cannot|too$|missing|broken|dropp|lock"
)
#: Errors that are told by several plain words.
_TELLS = re.compile(r"\b(?:no space|out of memory|no such|too many open|no route|no healthy)\b")
_DENIES = frozenset({"no", "not", "out", "too"})
#: Words that every other alert has: two of them say nothing.
_GENERIC_WORDS = """
    alert alerts answer answers connection connections critical degraded down error errors fail failed failing failure
    failures fails high incident increased issue issues latency low many more most number outage page percent problem rate
    rates ratio request requests response responses seconds service services slow some spike status timed timeout timeouts too
    total unavailable users warning"""
_GENERIC = frozenset(_GENERIC_WORDS.split())
#: Names of an alert's own fields, which every alert of one sender has.
_FIELDS_WORDS = """
    runbook_url dashboard_url panel_url silence_url generatorurl generator_url external_url num_firing num_resolved alert_name
    alertname custom_details starts_at ends_at"""
_FIELDS = frozenset(_FIELDS_WORDS.split())
#: Parts of a rule's name that tell of trouble, beside what fails.
_TROUBLE_WORDS = "burn critical degraded down full high latency low no not outage slow spike"
_TROUBLE = frozenset(_TROUBLE_WORDS.split())
#: What products, exceptions and answers of a protocol end in, which any two incidents may share: no rule's name.
_NO_RULE = re.compile(r"(?:exception|error|requests?|memory|manager|detector|over|out|plan)$", re.IGNORECASE)
_NAME = re.compile(r"(?<![\w.-])(?=\w*[a-z0-9][A-Z])[A-Za-z][A-Za-z0-9]{5,}(?![\w-])")
#: A name of so many parts is a sentence, and no product's.
_SENTENCE_PARTS = 4
_MONTH = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
_DATE = re.compile(
    rf"\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b,?|\b\d{{1,2}}(?:st|nd|rd|th)?[ .-]+{_MONTH}|\b{_MONTH}[ -]+\d{{1,4}}(?:st|nd|rd|th)?\b",
    re.IGNORECASE,
)
_PATH = re.compile(r"(?<![\w.-])[\w.-]+(?:/[\w.-]+)+")


def bare(text: str) -> list[str]:
    """The words of a text as spelled, without numbers, hosts, ids and what differs from one alert of a rule to the next."""
    words = (token.strip(".!?*_\\") for token in _TOKEN.findall(text[:_MAX_CHARS]))
    return [word for word in words if word and (_STATUS.fullmatch(word) or not _VARIES.fullmatch(word))]


def alert_key(title: str) -> str:
    """What stays the same in the title of one alert whenever it fires; "" if that says nothing.

    "[FIRING:2] Checkout answers 500 on web-3" gives "checkout answers", and so does "Checkout answers 500 (Monday, 4 May)".
    """
    words = bare(_DATE.sub(" ", _BADGES.sub("", title)))
    while words and words[-1].casefold() in _STOP:
        words.pop()
    says = len(words) > 1 or any(len(split_identifiers(word)) > 1 for word in words)
    return " ".join(words).casefold() if says and any(word.casefold() not in _GENERIC | _STOP for word in words) else ""


def alert_name(text: str) -> str | None:
    """The rule that an alert's text names as its own: `alertname="KubePodCrashLooping"`."""
    for found in _LABELLED.finditer(text[:_MAX_CHARS]):
        # "Alert: nothing works" is prose.
        if found["label"].casefold() != "alert" or identifiers(found["name"]):
            return found["name"]
    return None


def rule_in(title: str) -> str | None:
    """The rule that a title names, where its text gives none: "HighErrorRate" of "4 March: HighErrorRate on web-3".

    Products are spelled like rules ("JupyterHub"), so a short name that tells of no trouble is none; exceptions are too
    ("NullPointerException"), and two incidents that threw one have nothing else in common.
    """
    for word in _NAME.findall(title):
        if _NO_RULE.search(word):
            continue
        parts = split_identifiers(word)[1:]
        if len(parts) >= _SENTENCE_PARTS or any(part in _TROUBLE or _FAILS.search(part) for part in parts):
            return str(word)
    return None


def names_word(text: str, word: str) -> bool:
    """Whether a text holds a name as a whole word, in any case."""
    return bool(word) and re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text, re.IGNORECASE) is not None


def shared_errors(asked: str, past: str, *, known: Sequence[str] = ()) -> tuple[str, ...]:
    """The longest runs of words that both texts hold and that tell of a failure, longest first.

    Args:
        asked, past: two texts; a run never crosses the end of a sentence, a line, or a bracket.
        known: texts that a run must say more than: a service's name, an alert's title.
    """
    held = "\n".join(f" {' '.join(segment).casefold()} " for segment in _runs(past))
    words = frozenset(held.split())
    familiar = _GENERIC | _STOP | {word.casefold() for text in known for word in bare(text)}
    found: dict[tuple[str, ...], str] = {}
    for segment in _runs(asked[:_ASKED_CHARS]):
        lower = [word.casefold() for word in segment]
        for start, end in _places(len(segment)):
            run = tuple(lower[start:end])
            if words.issuperset(run) and _says(run, familiar) and f" {' '.join(run)} " in held:
                found.setdefault(run, " ".join(segment[start:end]))
    longest = sorted(found, key=lambda run: -len(run))
    kept = [run for place, run in enumerate(longest) if not any(_within(run, other) for other in longest[:place])]
    return tuple(found[run] for run in kept[:_SHOWN])


def shared_names(asked: str, past: str, *, known: Iterable[str] = ()) -> tuple[str, ...]:
    """Metrics, tables and exceptions that both texts name: `pg_stat_activity`, `SocketTimeoutException`; none that is known.

    No hosts, and no products: half of a team's reports say `JupyterHub`.
    """
    familiar = _FIELDS | {word for text in known for word in identifiers(text)}
    names = {name for name in identifiers(asked) & identifiers(past) if "_" in name or _FAILS.search(name)} - familiar
    return tuple(
        sorted((name for name in names if not _VARIES.fullmatch(name)), key=lambda name: (-len(name), name))[:_SHOWN]
    )


def areas_in(text: str) -> tuple[str, ...]:
    """Folders that a text names by a file in them: "shop/db" for `shop/db/pool.py:41`."""
    folders = (path.rpartition("/")[0] for path in _PATH.findall(text[:_MAX_CHARS]) if "." in path.rpartition("/")[2])
    return tuple(dict.fromkeys(folder for folder in folders if "/" in folder and "." not in folder.split("/")[0]))


def shared_areas(areas: Iterable[str], past: str) -> tuple[str, ...]:
    """Those of some folders that a text names, whole."""
    found = (
        area
        for area in areas
        if "/" in area and re.search(rf"(?<![\w./-]){re.escape(area)}(?![\w-])", past[:_MAX_CHARS])
    )
    return tuple(dict.fromkeys(found))[:_SHOWN]


def _runs(text: str) -> list[list[str]]:
    return [words for segment in _SEGMENT.split(text[:_MAX_CHARS]) if len(words := bare(segment)) > 1]


def _places(length: int) -> Iterable[tuple[int, int]]:
    return ((start, end) for start in range(length - 1) for end in range(start + 2, min(start + _LONGEST, length) + 1))


def _says(run: Sequence[str], familiar: frozenset[str] | set[str]) -> bool:
    """Whether a run tells of a failure and of what failed, beyond what every other alert says: "pool exhausted", no "http errors"."""
    if run[0] in _STOP - _DENIES or run[-1] in _STOP:
        return False
    fresh = sum(word not in familiar for word in run)
    if _TELLS.search(" ".join(run)):
        return fresh > 0
    return fresh > 1 and any(_FAILS.search(word) for word in run)


def _within(run: Sequence[str], other: Sequence[str]) -> bool:
    return any(tuple(other[start : start + len(run)]) == tuple(run) for start in range(len(other) - len(run) + 1))
