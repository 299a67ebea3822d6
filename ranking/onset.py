"""When an incident's words say that the trouble began: "since 13:40 UTC", "three nights in a row", "was fine until Monday".

Does: give the latest instant that the words allow, since whatever came clearly later cannot be the cause.
Does not: guess. A wrong onset takes the true culprit away, so what might tell of a window, a deploy, a process's start or a recovery
is left out, and so are logs, and a clock whose time zone is not told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone

#: Characters of an incident that are looked at: behind them are logs.
_READ = 4_000
#: A clock's time further back than this belongs to another day than the reader would take it for.
_CLOCK_REACH = timedelta(hours=18)
#: An older onset tells nothing apart: no candidate is.
_OLDEST = timedelta(days=60)
#: Hours east of UTC that a writer may live at, and from which hour of their day on they speak of "yesterday".
_LIVED_AT, _AWAKE = range(-11, 15), 6
#: Hours east of UTC where a date without a zone ends last, of the places most teams are in.
_WEST = -8

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
#: Hours east of UTC; all of them where the letters mean several zones, or are taken for those of the other half of the year.
_ZONES: dict[str, tuple[float, ...]] = {
    **dict.fromkeys(("utc", "gmt", "z"), (0,)),
    "bst": (1,),
    **dict.fromkeys(("cet", "cest"), (1, 2)),
    **dict.fromkeys(("eet", "eest"), (2, 3)),
    "msk": (3,),
    "ist": (1, 2, 5.5),
    **dict.fromkeys(("sgt", "hkt"), (8,)),
    **dict.fromkeys(("jst", "kst"), (9,)),
    **dict.fromkeys(("aest", "aedt"), (10, 11)),
    **dict.fromkeys(("est", "edt", "et", "eastern"), (-5, -4)),
    "cst": (-6, -5, 8),
    **dict.fromkeys(("cdt", "ct"), (-6, -5)),
    **dict.fromkeys(("mst", "mdt", "mt"), (-7, -6)),
    **dict.fromkeys(("pst", "pdt", "pt", "pacific"), (-8, -7)),
}
_NUMBERS = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
}
_ORDINALS = {"second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7}
_NUMBER = rf"(?:\d{{1,3}}|an?|{'|'.join(_NUMBERS)})"

_ZONE = rf"(?:[+-]\d\d:?\d\d|(?:{'|'.join(_ZONES)})\b)"
_CLOCK = (
    r"(?:\d{1,2}:\d\d(?::\d\d)?(?:\.\d+)?\s?(?:[ap]m\b)?|\d{1,2}\s?[ap]m\b|\d{4}(?=\s?(?:utc|gmt|z)\b)|midnight|noon)"
)
_MONTH = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
_DATE = rf"(?:\d{{4}}-\d\d-\d\d|(?:{_MONTH}\.?\s\d{{1,2}}(?:st|nd|rd|th)?|\d{{1,2}}(?:st|nd|rd|th)?\s{_MONTH})\b(?!,?\s\d{{4}}\b))"
_WEEKDAY = rf"(?:{'|'.join(f'{day}|{day[:3]}' for day in _DAYS)})\b"
_DAY = rf"(?:yesterday|(?:{_WEEKDAY},?\s(?:the\s)?)?{_DATE}|(?:last\s)?{_WEEKDAY})"
_ABOUT = r"(?:(?:about|around|roughly|approximately|approx\.?|circa|ca\.?|at|on|~|exactly|early|late)\s?)*"
_UNIT = r"(?:m|mins?|minutes?|h|hrs?|hours?|d|days?|weeks?)\b"
#: A day, a clock's time or both, in either order. A clock that is no more than a part of a longer number is none.
_WHEN = rf"""(?:
    (?P<day>{_DAY})(?:(?:'s)?(?:\s(?:night|morning|afternoon|evening))?[,\sT]\s?(?:at\s)?{_ABOUT}(?P<day_clock>{_CLOCK})\s?(?P<day_zone>{_ZONE})?)?
    | (?P<clock>{_CLOCK})\s?(?P<zone>{_ZONE})?(?:,?\s(?:on\s)?(?P<clock_day>{_DAY}))?
)(?!\w|:|[+-]\d)"""
_SPAN = rf"(?P<half>half\san\s)?(?P<count>{_NUMBER})?\s?(?P<unit>{_UNIT})"
#: Words that make of what follows a reason: "since Monday is a holiday".
_NO_REASON = r"(?!\s(?:is|was|are|were|isn't|has|have|will|may|can|would|should|does|before|after|earlier|timeout|window|limit|sla)\b)"
#: What trouble is called, and what it does.
_TROUBLE = r"""it|this|that|all|which|everything|errors?|failures?|alerts?|alarms?|pages?|issues?|problems?|trouble|incident|outage|symptoms?|timeouts?|latency
    |spikes?|[45]xx|[45]\d\ds?|crash\w*|drops?|degradation|complaints?|reports?|slowness|slowdown|lag|loss|disruption|bounces?|rejections?|growth|leak"""
_FAILING = r"""(?:failing|timing\sout|crash(?:ing|looping)|erroring|flapping|growing|rising|climbing|increasing|hanging|looping|missing|lagging|burning
    |firing|dropping|bouncing|rejecting|throwing|returning|seeing|happening|occurring|alerting|paging|complaining|to\s(?:fail|throw|time|crash|drop|rise|climb|grow|return|hang))"""
_STARTED = rf"""(?<![-\w])(?:
    (?:started|began|begun)(?=\s{_FAILING}\b) | (?P<bare>started|began|begun)(?!:)
    | broke | first\s(?:seen|noticed|observed|reported|failed|fired|appeared|occurred|happened)
    | stopped\s(?:working|responding|arriving|reporting|processing|receiving|sending|loading|delivering)
    | dropped | jumped | spiked | went\s(?:down|to\s(?:zero|0)))"""
_STEPS = r"(?:\s(?!(?:ago|last|since|until|before|after|less|under|within|fewer|most)\b)[\w%'./-]+){0,4}?"
#: Signs of a state in which nothing was wrong, and of a change: the time told with them is no onset.
_WELL_STATES = r"flat|fine|ok|okay|normal(?:ly)?|healthy|stable|green|quiet|good|clean|working|worked"
_GOOD = r"passed|passing|success\w*|succeeded|recover\w*|resolved|fixed|mitigated|silent|gone|first|worst|most|(?:high|low|large|long|bigg|fast|slow)est"
_CHANGED = r"""(?:re)?deploy\w*|releas\w*|roll\w*|merg\w*|shipp\w*|live|enabled|disabled|switched|running|runs|uptime|unchanged|known|versions?
    |v\d[\w.]*|upgrad\w*|maintenance|freeze|frozen|launch\w*|introduced|added|changed?|changes|reverted|installed|migrat\w*|retrain\w*|configured
    |supported|available|open|idle|deprecated|unused|cached|stored|exists?|existed|created|registered|joined|employed|using|used|valid|active|uses?
    |pr|review|canary|flags?|toggl\w*|experiments?|variants?|shifted|moved|replaced|rotat\w*|renew\w*|rebooted|restarted|fail(?:ed)?[-\s]?over|call|duty|vacation|holiday|sick|away|off
    |sales?|campaigns?|promo\w*|paused|scaled|drained|depooled|cordoned|muted|silenced|acknowledged|had"""
_NO_TROUBLE = r"(?:no|without|zero|any)\s(?:\w+\s)?(?:errors?|failures?|alerts?|restarts?|crash\w*|problems?|issues?|incidents?|recurrence)"
_NOT_SEEN = r"(?:not|n't|never)\s(?:been\s)?(?:seen|happened|occurred|recurred|failed|crashed|restarted)"
#: Things counted over a time that is a window, not an onset; "500 errors" are none.
_COUNTED = rf"""(?:(?![45]\d\d\s)\d[\d,.]*k?|{"|".join(_NUMBERS)}|several|many|few)\s(?:\w+\s){{0,2}}?(?:times|errors?|failures?|restarts?|crash\w*|alerts?
    |events?|complaints?|tickets?|reports?|cases|orders|requests|users|customers|occurrences|timeouts) | (?<!at\s)once | twice"""
_MEASURED = r"""rate|ratio|averag\w*|avg|mean|median|p\d\d+|percentiles?|quantile|total|count|sum|max|min|window|interval|graph|metrics?|logs?
    |times|ttl|timeout|retry|retries|every|per|threshold|sla|slo|budget|wait\w*|h[eo]ld\w*|retain\w*|kept|scheduled|suspended|blocked
    |locked|banned"""
#: What starts without any trouble.
_STARTS = r"""pods?|containers?|process\w*|services?|workers?|servers?|jobs?|runs?|builds?|pipelines?|tests?|backups?|instances?|nodes?|hosts?|vms?
    |imports?|syncs?|restart\w*|scripts?|quer(?:y|ies)|transactions?|events?|match|show|we|i|i've|he|she|they|you|somebody|someone"""


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.VERBOSE)


_WHENS = tuple(
    _compiled(pattern)
    for pattern in (
        rf"(?<![-\w])since\s{_ABOUT}{_WHEN}{_NO_REASON}",
        rf"(?<=\w\s)from\s{_ABOUT}{_WHEN}\s(?:onwards?\b|on(?=\s*(?:[.,;:!)\n]|$)))",
    )
)
_WHENS_STARTED = (
    _compiled(
        rf"(?P<verb>{_STARTED}){_STEPS}[:\s]\s?(?:(?:at|on|around|about|from|since|abruptly|suddenly|~)\s?)*{_WHEN}{_NO_REASON}"
    ),
)
_WHENS_GOOD = (
    _compiled(
        rf"\b(?:was|were|been|looked|looks|look|ran|worked)\s(?:\w+\s){{0,3}}?(?:(?:before|until|till|up\sto)\s)(?:{_ABOUT}){_WHEN}"
    ),
)
_SPANS = tuple(
    _compiled(pattern)
    for pattern in (
        rf"(?<![-\w])since\s{_ABOUT}(?:the\s(?:last|past)\s)?{_SPAN}(?:\sago)?{_NO_REASON}",
        rf"\b(?:been|down|offline|broken|slow|stuck|delayed|degraded|unavailable|unreachable|fail(?:s|ed)?|unable|{_FAILING}){_STEPS}\sfor\s{_ABOUT}(?:over\s|more\sthan\s)?(?:the\s(?:last|past)\s)?{_SPAN}{_NO_REASON}",
        rf"\bfor\s{_ABOUT}(?:over\s)?{_SPAN}\snow\b",
    )
)
_SPANS_STARTED = (_compiled(rf"(?P<verb>{_STARTED}){_STEPS}[:\s]\s?{_ABOUT}{_SPAN}\sago\b"),)
_IN_A_ROW = _compiled(
    rf"""\b(?:(?P<count>{_NUMBER})\s(?P<unit>nights|days|weeks)\s(?:in\sa\srow|running)
    | (?P<nth>\d(?=(?:nd|rd|th)\b)|{"|".join(_ORDINALS)})(?:nd|rd|th)?\s(?P<nth_unit>night|day|week)\s(?:in\sa\srow|running)
    | (?P<nth_c>\d(?=(?:nd|rd|th)\b)|{"|".join(_ORDINALS)})(?:nd|rd|th)?\sconsecutive\s(?P<nth_c_unit>night|day|week)\b
    | (?P<count_c>{_NUMBER})\sconsecutive\s(?P<count_c_unit>nights|days|weeks)\b)"""
)
_DENY = _compiled(
    rf"(?<![\w-])(?:{_CHANGED}|{_WELL_STATES}|{_GOOD}|{_COUNTED})(?!\w)|\b{_NO_TROUBLE}\b|{_NOT_SEEN}\b|\bwill\b|\bplanned\b"
)
_UP = _compiled(r"\bup$")
_DENY_SPAN = _compiled(rf"\b(?:{_MEASURED})\b")
_DENY_STARTED = _compiled(rf"\b(?:{_STARTS})\b")
_WELL = _compiled(rf"\b(?:{_WELL_STATES}|zero)\b")
_NOT = _compiled(r"\b(?:not|never|no|will|keep|kept|can|cannot|should|must|would)\b|n't\b")
_TROUBLE_STARTED = _compiled(rf"(?:^|\b(?:{_TROUBLE})\s)(?:(?:all|has|have|had|just|only|suddenly|first)\s)*$")
_RETURNED = _compiled(r"\blast\sseen\b|\bregress\w*|\bescalat\w*")
_AGAIN = _compiled(r"\bagain\b|\bsecond\stime\b")
_CLAUSE = re.compile(r"[,;!?()\n|]|\.\s|\.$|\s[-–—]+\s|\b(?:but|while|whereas)\b", re.IGNORECASE)
_SENTENCE = re.compile(r"[;!?\n]|\.\s")
_LOG_LINE = re.compile(
    r"^[^\w\n]*(?:\d{4}-\d\d-\d\d[T ]\d\d:|\w{3}\s+\d+ \d\d:\d\d:\d\d|\d\d:\d\d:\d\d|[IWEF]\d{4} \d\d:|\d+\.\d+\.\d+\.\d+ ).*$",
    re.MULTILINE,
)


def told_onset(text: str, moment: datetime) -> datetime | None:
    """The latest instant by which, by an incident's words, its trouble had begun.

    Args:
        text: its title and description; the first 4,000 characters are read, lines of logs left out.
        moment: the incident's time, aware.

    Returns:
        An aware time before `moment`; of several the latest. None where the words tell none, or one that cannot be placed.
    """
    read = _LOG_LINE.sub("", text[:_READ])
    latest: datetime | None = None
    for onset in _onsets(read, moment.astimezone(UTC)):
        if onset is None:
            return None  # it may have been later than the others
        latest = max(latest or onset, onset)
    return latest if latest is not None and moment - _OLDEST <= latest < moment else None


def _onsets(text: str, moment: datetime) -> Iterator[datetime | None]:
    for match in _matches(text, _WHENS):
        yield _instant(match, moment)
    for match in _matches(text, _WHENS_STARTED):
        if not _starts_something(text, match):
            yield _instant(match, moment)
    for pattern in _WHENS_GOOD:
        for match in pattern.finditer(text):
            clause = _before(text, match, _CLAUSE) + match[0]
            if _WELL.search(clause) and not _NOT.search(clause):
                yield _instant(match, moment)
    for match in _matches(text, _SPANS):
        if not _DENY_SPAN.search(_before(text, match, _CLAUSE) + match[0]):
            yield _ago(match, moment)
    for match in _matches(text, _SPANS_STARTED):
        if not _starts_something(text, match):
            yield _ago(match, moment)
    for match in _matches(text, (_IN_A_ROW,)):
        yield _first_of_row(match, moment)


def _matches(text: str, patterns: Iterable[re.Pattern[str]]) -> Iterator[re.Match[str]]:
    """What the patterns find, unless its clause speaks of a change, of a count or of all being well."""
    for pattern in patterns:
        for match in pattern.finditer(text):
            before = _before(text, match, _CLAUSE).strip()
            # "Since Monday, deploys go elsewhere": what begins a sentence belongs to its next clause.
            after = (_CLAUSE if before else _SENTENCE).split(text[match.end() : match.end() + 120], maxsplit=1)[0]
            if not any(_DENY.search(said) for said in (before, _told_between(match), after)) and not _UP.search(before):
                yield match


def _before(text: str, match: re.Match[str], border: re.Pattern[str]) -> str:
    """What stands before a match in its clause or sentence."""
    return border.split(text[: match.start()])[-1][-200:]


def _told_between(match: re.Match[str]) -> str:
    """What a match says beside its own words, some of which would speak of a change elsewhere: "first seen", "nights running"."""
    if match.re is _IN_A_ROW:
        return ""  # "three nights running"
    start = match.end("verb") if match.groupdict().get("verb") else match.start()
    return match.string[start : match.end()]


def _starts_something(text: str, match: re.Match[str]) -> bool:
    """Whether "started" may speak of a process or a person, here or, behind "it", in the sentence before, or of one of several times."""
    said = _before(text, match, _CLAUSE).lstrip()
    rest = _SENTENCE.split(text[match.end() : match.end() + 120], maxsplit=1)[0]
    if _AGAIN.search(rest) or _DENY_STARTED.search(said):
        return True
    if match["verb"].lower().startswith("first"):
        return bool(_RETURNED.search(text))
    if match["bare"] is None:
        return False
    if said.lower().split() in (["it"], ["this"], ["that"], ["which"]):
        earlier = " ".join(_SENTENCE.split(text[: match.start()])[-2:])[-200:]
        return bool(_DENY_STARTED.search(earlier) or _DENY.search(earlier))
    return not _TROUBLE_STARTED.search(said)


def _instant(match: re.Match[str], moment: datetime) -> datetime | None:
    """The latest instant that a day, a clock's time or both may mean; None where that cannot be said."""
    day = match["day"] or match["clock_day"]
    clock, zone = match["day_clock"] or match["clock"], match["day_zone"] or match["zone"]
    if clock is None:
        return _end_of(day, moment) if day else None
    times = list(_times(clock))
    if day is None:
        return _at_clock(times, zone, moment) if zone else None
    # The day is the writer's, wherever that is; the clock's zone is told, or is the writer's.
    read = [
        datetime.combine(date_, time_, timezone(timedelta(hours=hours)))
        for writer in _LIVED_AT
        for date_ in [_date(day, (moment + timedelta(hours=writer)).date())]
        if date_ is not None
        for time_ in times
        for hours in (_hours_east(zone) if zone else ((writer,) if _relative(day) else (_WEST,)))
    ]
    if not _relative(day):
        return max(read, default=None)
    return max((instant for instant in read if instant <= moment), default=None)


def _at_clock(times: Iterable[time], zone: str, moment: datetime) -> datetime | None:
    found = []
    for hours in _hours_east(zone):
        where = timezone(timedelta(hours=hours))
        for time_ in times:
            instant = datetime.combine(moment.astimezone(where).date(), time_, where)
            found.append(instant if instant <= moment else instant - timedelta(days=1))
    latest = max(found, default=None)
    return latest if latest is not None and moment - latest <= _CLOCK_REACH else None


def _end_of(day: str, moment: datetime) -> datetime | None:
    """The end of a named day, wherever the writer may be awake by then; after the incident where it may be today."""
    if not _relative(day):
        date_ = _date(day, moment.date())
        if date_ is None:
            return None
        return datetime.combine(date_, time(), timezone(timedelta(hours=_WEST))) + timedelta(days=1)
    ends = []
    for hours in _LIVED_AT:
        here = moment.astimezone(timezone(timedelta(hours=hours)))
        date_ = _date(day, here.date())
        if here.hour >= _AWAKE and date_:
            ends.append(datetime.combine(date_, time(), here.tzinfo) + timedelta(days=1))
    return max(ends, default=None)


def _relative(day: str) -> bool:
    return not re.search(r"\d", day)


def _date(day: str, today: date) -> date | None:
    """The latest date, not after today, that a day's name or a date may mean."""
    name = day.lower().removeprefix("last ").strip()
    if name == "yesterday":
        return today - timedelta(days=1)
    for number, weekday in enumerate(_DAYS):
        if name in (weekday, weekday[:3]):
            return today - timedelta(days=(today.weekday() - number) % 7)
    try:
        if iso := re.search(r"\d{4}-\d\d-\d\d", name):
            return date.fromisoformat(iso[0])
        month = next(number for number, short in enumerate(_MONTHS, 1) if short in name)
        number = int(re.search(r"\d+", name)[0])  # type: ignore[index]
        found = date(today.year, month, number)
        return found if found <= today else date(today.year - 1, month, number)
    except ValueError:  # no such day
        return None


def _times(clock: str) -> Iterator[time]:
    """What a clock's time may mean: "1:40" morning and afternoon, "01:40" and "13:40" one each; nothing for what no clock shows."""
    said = clock.lower().strip()
    if said in ("midnight", "noon"):
        yield time(12 if said == "noon" else 0)
        return
    numbers = re.findall(r"\d+", said)
    if len(numbers) == 1 and len(numbers[0]) == 4:
        numbers = [numbers[0][:2], numbers[0][2:]]
    hour, minute = int(numbers[0]), int(numbers[1]) if len(numbers) > 1 else 0
    if said.endswith("m"):
        hours = [hour % 12 + (12 if said.endswith("pm") else 0)]
    else:
        hours = [hour, hour + 12] if len(numbers[0]) == 1 and hour else [hour]
    for hour in hours:
        if hour < 24 and minute < 60:
            yield time(hour, minute)


def _hours_east(zone: str) -> tuple[float, ...]:
    if zone[0] in "+-":
        hours = int(zone[1:3]) + int(zone[-2:]) / 60
        return (-hours if zone[0] == "-" else hours,) if hours <= 14 else ()
    return _ZONES[zone.lower()]


def _ago(match: re.Match[str], moment: datetime) -> datetime | None:
    """The latest instant that so long before may mean: people round, and count the day they speak on."""
    unit = match["unit"].lower()
    if match["half"]:
        count = 0.5
    elif match["count"]:
        count = float(_count(match["count"]))
    elif "ago" in match[0] or unit[0] == "m" or len(unit) < 2:
        return None
    else:
        count = 1.0  # "for the last hour"
    if unit[0] == "m":
        return moment - timedelta(minutes=0.75 * count)
    if unit[0] == "h":
        return moment - timedelta(hours=max(count - 0.5, 0.5 * count))
    if unit[0] == "d":
        return moment - timedelta(days=max(count - 1.5, 0.5))
    return moment - timedelta(weeks=max(count - 1, 0.5))


def _first_of_row(match: re.Match[str], moment: datetime) -> datetime | None:
    """When the first of some nights, days or weeks in a row had passed at the latest, if the last may be this one."""
    found = match.groupdict()
    kind = next(kind for kind in ("count", "nth", "nth_c", "count_c") if found[kind])
    unit = found["unit" if kind == "count" else f"{kind}_unit"].lower()
    count = _ORDINALS.get(found[kind].lower()) or _count(found[kind])
    if count < 2:
        return None
    if unit[0] == "w":
        return moment - timedelta(weeks=count - 1) + timedelta(days=6)
    # The same job may fail early in one night and late in the next; a day is a whole day.
    return moment - timedelta(days=count - 1) + timedelta(hours=12 if unit[0] == "n" else 23)


def _count(said: str) -> int:
    word = said.lower()
    return int(word) if word.isdigit() else _NUMBERS.get(word, 1)
