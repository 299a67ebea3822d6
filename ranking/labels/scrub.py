"""Takes out of a message everything that names the commit it blames, so that it can stand in for an incident's text.

Does: remove quoted originals, trailers, the revert sentence, ids with the subject behind them, links, tickets and addresses,
runs of words shared with the culprit's subject, its author's name, back-port notes and sentences that blame; again and
again until nothing more is found, as what is removed brings together what stood apart.
Does not: judge the text that remains, or know any commit but the culprit.
"""

from __future__ import annotations

import re

from core.model import Commit
from core.text import strip_hidden
from ranking.labels.links import CHANGE_ID, ID, NOUN, QUOTED_LINE
from ranking.mentions import own_names
from ranking.text import terms

#: Fewer characters than this say too little to rank by.
SHORTEST = 60
_TITLE_LIMIT, _TEXT_LIMIT = 200, 4_000
#: Longer messages are pasted logs; what is read of one bounds the time that any text, however odd, can take.
_READ_LIMIT = 8_000
#: So many words in a row that also stand in the subject are taken for a quotation of it.
_RUN = 5
#: A sentence that holds this share of the subject's words tells the change, not the failure.
_SHARE = 0.7
#: Stands where an id stood, until the sentences around it have been judged. A message has no such character.
_HOLE = "\x00"

_ORIGINAL = re.compile(
    r"^[> \t-]{0,12}(?:(?:the )?original (?:change|commit|patch|cl|pr|pull request|message|description|issue)\b[^\n]{0,80}:|(?:the )?original (?:commit )?(?:message|description)\b|-{2,} ?original\b|commit message (?:was|of)\b).*",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_REMARK = re.compile(r"<!--.*?-->", re.DOTALL)
_TRAILER = re.compile(
    r"^[ \t]*(?:[A-Za-z]+(?:-[A-Za-z]+)*-(?:by|id|on|to|with|from|in|commit|link|url|bug|issue|change|version|version-id|point|tag|cc)|cc|fixes|closes|close|bug|bugs|bugzilla|"
    r"link|ref|refs|references?|issue|issues|tracker|task|ticket|resolves|related|relates|see|see also|hosts|depends|commit|backport|coverity(?: issue| id)?|cid|rhbz|pr|url|note to self|"
    r"git-svn-id|test plan|reviewers|subscribers|differential revision|tags|tbr|review url|failure link|initiated by|reviewed by|original pr author|piperorigin-revid|no-try|no-presubmit|no-tree-checks|r)[ \t]*[:=](?!:)[ \t]*.*(?:\n[ \t]*\(\".*)?$",
    re.IGNORECASE | re.MULTILINE,
)
#: A trailer's quoted subject may run over two lines; what is left of it is a line in quotes and parentheses.
_SUBJECT_TAIL = re.compile(r"^[^\n(]*\"\)[ \t]*$", re.MULTILINE)

_SHA = rf"(?<!\w)(?:[\w.-]{{0,60}}g)?(?:{ID}|{CHANGE_ID})\b"
_AFTER = r"[)>`'\"\]]{0,4}(?:\s*\((?:[^()]{0,200}|[^()]{0,120}\([^()]{0,80}\)[^()]{0,120})\)|\s*[\"“][^\"”]{0,200}[\"”]|\s*'[^'\n]{3,160}'(?!\w))?"
_POINTER = re.compile(rf"(?:\b{NOUN}[\s:#]+)?[(<`'\"\[]{{0,4}}{_SHA}(?:\^|~\d*)?{_AFTER}", re.IGNORECASE)
_REVERT_SENTENCE = re.compile(
    rf"(?:\b(?:this|it)(?: (?:commit|change|patch|pr))?\s+)?(?:\b(?:partially|partly|effectively|also)\s+)?\b(?:revert(?:s|ing)?|back(?:s|ing)? out|roll(?:s|ing)? back)(?: of)?:?\s+(?:(?:the|this|my|our|{NOUN})[\s:#]+){{0,3}}(?:{_HOLE}|[\w./-]*#\d+)(?:[ \t]*,?\s+reversing\s+(?:the\s+)?changes\s+made\s+to\s+{_HOLE})?[ \t]*[.,;:]?",
    re.IGNORECASE,
)
_REVERT_SUBJECT = re.compile(
    r"^(?:\[[^\]\n]*\]\s*)?(?:[\w./-]+:\s*)?(?:partial(?:ly)?\s+)?revert(?:ed|s)?\b:?\s*(?:[\"“].*|.*[\"”](?:\s*\(#\d+\))?)$",
    re.IGNORECASE,
)

_LINK = re.compile(
    r"\b(?:https?|ftp|git|ssh|svn)://\S+|\bwww\.\S+|\b[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,6}\b|<[^<>\s]+@[^<>\s]+>",
    re.IGNORECASE,
)
#: "UTF-8", "SHA-256" and their like look like tickets and are none.
_STANDARDS = r"(?:UTF|SHA|ISO|RFC|HTTP|AES|MD|IPV|TLS|SSL|USB|CP|WIN|KOI|BASE|CRC|UCS|ECMA|POSIX|IEEE|PCI|DDR|HDMI|ARM|FAT|EXT|CORTEX|GCC|PHP|JAVA|PYTHON)"
_TICKET = re.compile(rf"\b(?!{_STANDARDS}-)[A-Z][A-Z0-9]{{1,9}}-\d+\b|\bCVE-\d+-\d+\b|\b[TD]\d{{4,}}\b|\bT\d{{3}}\b")
_NUMBERED = re.compile(
    r"(?:\b(?:bug|issue|ticket|task|pr|pull request|gh|rt|rhbz|bz|lp|bsc|bnc|mr|cid|coverity|launchpad|bugzilla)s?[\s:]*[#!]?\s*|(?<![&\w])[#!]|\bgh-)\d+\b",
    re.IGNORECASE,
)

_BACKPORT = re.compile(
    r"^.*\b(?:cherry[- ]picked|back-?port\w*|stable@|(?:queued|candidate) for (?:stable|back))\b.*$|\((?:cherry[- ]picked|back-?ported)[^)]*\)|\[(?:upstream|backport)[^\]]*\]",
    re.IGNORECASE | re.MULTILINE,
)
_BLAME = re.compile(
    rf"\b(?:introduced|added) (?:by|in|with|since)\b|\b(?:a |the )?regress(?:ion|ed) (?:from|since|in|of|by|due to|caused|introduced|brought)\b|\boffending\b|\bculprit\b|\bbisect\w*|\bguilty\b|\bgit blame\b|"
    rf"\b(?:broken|caused|triggered|exposed|broke\w*|caus\w+|rais\w+|uncovered) (?:by|in|with|since|after|from|this in|it in)\b[^.]*(?:{_HOLE}|\b(?:commit|change(?:set)?|patch|refactor\w*|rewrite|merge)\b)|"
    rf"\b(?:previous|earlier|recent|original|that|this|last|reverted|above|mentioned) (?:commit|change(?:set)?|patch|refactor\w*|merge)\b[^.]*\b(?:broke|break|caus|introduc|regress)|"
    rf"^\W*{_HOLE}\W*(?:\w+ ){{0,3}}?(?:added|adds|changed|changes|removed|removes|introduced|introduces|switched|switches|moved|moves|converted|converts|replaced|replaces|made|makes|enabled|enables|disabled|disables|started|refactored|reworked|dropped|drops|renamed|split|implemented|implements|modified|updated|bumped|set|sets)\b",
    re.IGNORECASE,
)
#: "Since abc1234, …": the clause goes, what follows it is the symptom.
_CLAUSE = re.compile(
    rf"(?:\b(?:ever )?(?:since|after|as of|starting with|beginning with|because of|due to|thanks to|with|in|by|from|before|until|of|see|and)\s+)?(?:(?:the|this|my|our|{NOUN})\s+){{0,3}}[(\[\"'`]*{_HOLE}[)\]\"'`]*\s*,?",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)(?<!vs\.)\s+(?=[\"'`(\[$A-Z\d\x00])")
_WORD = re.compile(r"\w+")
_EMPTY = re.compile(r"\(\s*[,;.:]?\s*\)|\[\s*\]|\"\s*\"|'\s*'|“\s*”|<\s*>|`\s*`")


def scrub(subject: str, body: str, culprit: Commit) -> tuple[str, str]:
    """A message without what names its culprit.

    Args:
        subject: the later commit's first line.
        body: the rest of its message.
        culprit: the commit it blames.

    Returns:
        Title and description: the first line or sentence that is left, and the others a line each. Together they may be
        shorter than `SHORTEST`, even empty.
    """
    subject, body = strip_hidden(subject).replace("\n", " "), strip_hidden(body[:_READ_LIMIT])
    if _REVERT_SUBJECT.match(subject):
        subject = ""
    text = _without_original(f"{subject}\n\n{body}", culprit)
    text = "\n".join(_sentences(_SUBJECT_TAIL.sub("", _TRAILER.sub("", text))))
    while (cleaner := _clean(text, culprit)) != text:
        text = cleaner
    return _split(text)


def _without_original(text: str, culprit: Commit) -> str:
    """Without the culprit's own message, however it is quoted."""
    text = QUOTED_LINE.sub("", _ORIGINAL.sub("", _REMARK.sub("", text)))
    own = {line.strip() for line in culprit.body.splitlines() if len(line.strip()) >= 20}
    return "\n".join(line for line in text.splitlines() if line.strip() not in own)


def _sentences(text: str) -> list[str]:
    """A line for each sentence, list item and line of a log; lines that were wrapped are whole again."""
    lines: list[str] = []
    wrapped = False
    for raw in text.splitlines():
        line = raw.strip()
        starts_anew = not line or raw.startswith(("  ", "\t")) or bool(re.match(r"[-*•+$#>|]\s|\d+[.)]\s", line))
        if wrapped and not starts_anew:
            lines[-1] += f" {line}"
        elif line:
            lines.append(line)
        wrapped = bool(line) and len(line) >= 40 and not raw.startswith(("   ", "\t"))
    return [sentence for line in lines for sentence in _SENTENCE_END.split(line)]


def _clean(text: str, culprit: Commit) -> str:
    """One round of scrubbing over sentences, a line each."""
    text = _POINTER.sub(lambda match: _hole(match, culprit.sha), text)
    # Whatever an id is glued to, its beginning must not remain.
    ids = [culprit.sha[:7], *(name[:9] for name in own_names("", culprit.body))]
    text = re.sub(rf"\S*(?:{'|'.join(ids)})\S*", f" {_HOLE} ", text, flags=re.IGNORECASE)
    text = _REVERT_SENTENCE.sub(" ", text)
    for pattern in (_LINK, _TICKET, _NUMBERED):
        text = pattern.sub(" ", text)
    text = _without_runs(text, culprit.subject)
    text = _without_author(text, culprit)
    told = frozenset(_words(culprit.subject))
    kept = [line for line in text.split("\n") if not (_BACKPORT.search(line) or _blames(line, told))]
    tidied = (_tidy(_CLAUSE.sub(" ", line)) for line in kept)
    return "\n".join(line for line in tidied if line)


def _hole(match: re.Match[str], sha: str) -> str:
    """What stands for an id; a plain number that is no beginning of the culprit's id is left alone."""
    number = re.fullmatch(r"\D*?(\d+)\D*", match[0])
    return match[0] if number and match[0].strip() == number[1] and not sha.startswith(number[1]) else f" {_HOLE} "


def _blames(sentence: str, told: frozenset[str]) -> bool:
    """Whether a sentence points at a commit, or holds most of the words of its subject."""
    return bool(_BLAME.search(sentence)) or (len(told) >= 2 and len(told & set(_words(sentence))) >= _SHARE * len(told))


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _without_runs(text: str, subject: str) -> str:
    """Without runs of `_RUN` words of the subject, and without the whole of a shorter one."""
    own = _words(subject)
    runs = {tuple(own[at : at + _RUN]) for at in range(max(1, len(own) - _RUN + 1))}
    bare = _words(subject.partition(":")[2])
    if 3 <= len(bare) < _RUN:
        runs.add(tuple(bare))
    found = list(_WORD.finditer(text))
    words = [match[0].lower() for match in found]
    shared = [False] * len(words)
    for size in {len(run) for run in runs if len(run) >= 2}:
        for at in range(len(words) - size + 1):
            if tuple(words[at : at + size]) in runs:
                shared[at : at + size] = [True] * size
    for at in range(len(found) - 1, -1, -1):
        if shared[at]:
            follows = (
                at + 1 < len(found) and shared[at + 1] and "\n" not in text[found[at].end() : found[at + 1].start()]
            )
            end = found[at + 1].start() if follows else found[at].end()
            text = text[: found[at].start()] + ("" if follows else " ") + text[end:]
    return text


def _without_author(text: str, culprit: Commit) -> str:
    """Without the author's name, its parts, and the name in the address, as they are written."""
    parts = [part for part in re.split(r"[\s,.()\"]+", culprit.author) if len(part) >= 3]
    for name in sorted({culprit.author.strip(), *parts, culprit.author_email.partition("@")[0]}, key=len, reverse=True):
        if len(name) >= 3:
            text = re.sub(rf"(?<!\w)@?{re.escape(name)}(?:'s)?(?!\w)", " ", text)
    return text


def _tidy(line: str) -> str:
    """A sentence without the traces of what was taken out; empty when hardly a word is left."""
    line = line.replace(_HOLE, " ")
    while (emptied := _EMPTY.sub(" ", line)) != line:
        line = emptied
    line = re.sub(r"\s+([,.;:!?)\]])", r"\1", re.sub(r"\s+", " ", line))
    line = re.sub(r"([,;:])(?:\s*[,;:.])+", r"\1", line).strip()
    line = re.sub(
        r"^(?:[-*•+]\s+|[,;:.!?)\]\s]+|reasons? for reverting\b|reasons? for (?:the )?revert\b)+",
        "",
        line,
        flags=re.IGNORECASE,
    )
    return line if terms(line) and sum(not word.isdigit() for word in _WORD.findall(line)) >= 2 else ""


def _split(text: str) -> tuple[str, str]:
    """The first line as title, the others as description; what is too long for a title goes on below."""
    title, _, rest = text.partition("\n")
    if len(title) > _TITLE_LIMIT:
        cut = title.rfind(" ", 0, _TITLE_LIMIT)
        cut = cut if cut > 0 else _TITLE_LIMIT
        title, rest = title[:cut], f"{title[cut:].strip()}\n{rest}"
    return title, rest.strip()[:_TEXT_LIMIT]
