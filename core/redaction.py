"""Secrets out, everything an engineer needs kept: the one redaction in front of index, model, logs and training rows.

Does: find secrets by their looks (`core.secret_rules`), by the name they are assigned to ("db_password: …", YAML, JSON, env,
command line, XML, prose), as PEM bodies, and inside base64, hex and percent encoding; replace each by "[redacted:kind]".
Keeps commit ids, UUIDs, trace ids, image digests, pod names, addresses, ARNs and metric names.
Does not: know who may read what, or guess by entropy alone: a random string without a secret's name or looks stays
(CONTRACTS.md 3.5: entropy alone erased every culprit's commit id).

Running it twice changes nothing more. Time is linear in the text, about 0.3 s a MB.
"""

from __future__ import annotations

import base64
import binascii
import bisect
import logging
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from core.secret_rules import RULES


@dataclass(frozen=True, kw_only=True)
class Found:
    """A secret's place in a text: `text[start:end]`."""

    kind: str
    start: int
    end: int


def redact(text: str) -> str:
    """The text with every secret replaced by "[redacted:kind]". Redacting a redacted text changes nothing."""
    while found := find_secrets(text):
        parts, position = [], 0
        for item in found:
            parts += [text[position : item.start], f"[redacted:{item.kind}]"]
            position = item.end
        text = "".join(parts) + text[position:]
    return text


def find_secrets(text: str) -> list[Found]:
    """Every secret in a text, in order, without overlaps. What is already redacted is not found again."""
    done = [match.span() for match in _PLACEHOLDER.finditer(text)]
    kept: list[Found] = []
    for item in sorted((_clear_of(found, done) for found in _all(text)), key=lambda found: found.start):
        if not _PLACEHOLDER.sub("", text[item.start : item.end]).strip():
            continue
        if kept and item.start < kept[-1].end:
            kept[-1] = replace(kept[-1], end=max(kept[-1].end, item.end))
        else:
            kept.append(item)
    return kept


def _clear_of(item: Found, done: list[tuple[int, int]]) -> Found:
    """The same span, never cutting a placeholder in two: so each pass leaves fewer characters to look at, and ends."""
    start, end = item.start, item.end
    for edge in (start, end):
        place = bisect.bisect_right(done, (edge, 0)) - 1
        if place >= 0 and done[place][0] < edge < done[place][1]:
            start, end = (done[place][1], end) if edge == start else (start, done[place][0])
    return Found(kind=item.kind, start=start, end=max(start, end))


def redact_json(value: Any) -> Any:
    """JSON values with every secret replaced, at any depth; a string under or beside a secret's name is judged by it."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(item, str) for item in value):
        return [redact(value[0]), _named(value[0], value[1])]
    if isinstance(value, list | tuple):
        return [redact_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    pair = value.get("name") or value.get("key")
    return {
        redact(str(name)): _named(pair if name == "value" and isinstance(pair, str) else str(name), item)
        for name, item in value.items()
    }


def _named(name: str, item: Any) -> Any:
    plain = isinstance(item, str) or (isinstance(item, int) and not isinstance(item, bool))
    if plain and (found := find_secrets(f'"{name}": "{item}"')) and found[-1].start >= len(name) + 5:
        return f"[redacted:{found[-1].kind}]" if found[-1].start == len(name) + 5 else redact(str(item))
    return redact_json(item)


class RedactSecrets(logging.Filter):
    """A filter for handlers (a logger's own filter does not see its children's records): no secret reaches a log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the message, its arguments and its traceback; never drop the record."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):  # never fail the caller; without its place a secret cannot be judged
            message = f"{record.msg} (its arguments do not fit and are left out)"
        record.msg, record.args = redact(message), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True


_PLACEHOLDER = re.compile(r"\[redacted:[a-z_]{1,40}\]")


def _all(text: str) -> Iterator[Found]:
    # Order matters: of two that begin together the first yielded names the kind.
    yield from _plain(text)
    yield from _encoded(text)


# -- by looks --------------------------------------------------------------------------------------------------------


def _by_looks(text: str) -> Iterator[Found]:
    for rule in RULES:
        for hint in rule.hints:
            position = text.find(hint)
            while position >= 0:
                after = position + len(hint)
                found = rule.pattern.match(text, position - rule.back) if position >= rule.back else None
                if found:
                    group = "secret" if "secret" in rule.pattern.groupindex else 0
                    start, end = found.span(group)
                    after = max(after, end)
                    if group == 0 or not _placeholder(text[start:end]):
                        yield Found(kind=rule.kind, start=start, end=end)
                position = text.find(hint, after)


_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,30}-----|Private-MAC: ?[0-9a-f]+")
#: What a body cut off before its END still looks like: lines of base64 and their headers.
_PEM_REST = re.compile(
    r"(?:(?:\\[nr]|[\s\"'+>|])+(?:(?:Proc-Type|DEK-Info|Comment|Version)[^\n\\]{0,100}|[A-Za-z0-9+/]{20,}={0,2}|[A-Za-z0-9+/]+={1,2}))*"
)
_PEM_LONGEST = 16_384


def _pem(text: str) -> Iterator[Found]:
    position = 0
    while begin := _PEM_BEGIN.search(text, position):
        end = None
        for marker in ("-----END ", "Private-MAC:"):
            place = text.find(marker, begin.end(), begin.end() + _PEM_LONGEST)
            end = end or (_PEM_END.match(text, place) if place >= 0 else None)
        end = end or _PEM_REST.match(text, begin.end())
        position = end.end() if end else begin.end()
        yield Found(kind="private_key", start=begin.start(), end=position)


# -- by the scheme of an Authorization header or a command's flag ------------------------------------------------------

_HERE = r"(?:\b|(?<=\\[nrt]))"
_SCHEMES = (
    ("bearer_token", re.compile(_HERE + r"bearer[ \t:=]{1,4}(?P<secret>[\w.~+/=-]{12,})", re.I | re.A)),
    ("basic_auth", re.compile(_HERE + r"basic[ \t]{1,4}(?P<secret>[A-Za-z0-9+/_-]{8,}={0,2})", re.I | re.A)),
    ("api_token", re.compile(r"\btoken[ \t]+token=[\"']?(?P<secret>[^\s\"',]{8,})", re.I | re.A)),
    ("api_token", re.compile(r"\b(?:genie|api)key[ \t]{1,4}(?P<secret>[\w-]{16,})", re.I | re.A)),
    ("api_token", re.compile(r"\bauthorization[\"']?[ \t]*[:=,][ \t]*[\"']?(?:token|splunk|apikey|key)[ \t]{1,4}(?P<secret>[^\s\"',]{8,})", re.I | re.A)),
    ("password", re.compile(r"(?<![\w-])(?:-u|--user)[ =]?[\"']?[^\s:\"'/]{1,64}:(?!//|\d{1,5}(?![^\s\"']))(?P<secret>[^\s\"'@/]{3,})", re.A)),
    ("password", re.compile(r"\bsshpass[ \t]+-p[ \t]*[\"']?(?P<secret>[^\s\"']{2,})", re.A)),
    ("password", re.compile(r"\bmysql(?:dump|admin)?\b[^\n]{0,100}?[ \t]-p[\"']?(?P<secret>[^\s\"'-][^\s\"']{2,})", re.A)),
    ("password", re.compile(r"\bredis-cli\b[^\n]{0,100}?[ \t](?:-a|--pass)[ \t]+[\"']?(?P<secret>[^\s\"']{3,})", re.A)),
    ("password", re.compile(r"\bdocker[ \t]+login\b[^\n]{0,100}?[ \t]-p[ \t]+[\"']?(?P<secret>[^\s\"']{3,})", re.A)),
    ("password", re.compile(r"\bpass(?:word|code|phrase)(?:[ \t]for[ \t][\w.@-]{1,64})?[ \t]+(?:is|was|to)[ \t]*:?[ \t]+[\"'`]?(?P<secret>[^\s\"'`]{6,})", re.I | re.A)),
)  # fmt: skip


def _by_scheme(text: str) -> Iterator[Found]:
    for kind, pattern in _SCHEMES:
        for match in pattern.finditer(text):
            value = match["secret"].rstrip(".,;:)!?") if kind == "password" else match["secret"].rstrip(".")
            credentials = kind != "basic_auth" or ":" in _from_base64(value)
            if credentials and not _placeholder(value) and _random(value, shortest=6):
                start = match.start("secret")
                yield Found(kind=kind, start=start, end=start + len(value))


# -- by the name of the key --------------------------------------------------------------------------------------------

#: Where a secret's name may begin or end, in lower case; found by plain search, then judged by `_CORE`.
_SEEDS = ("pass", "pwd", "secret", "credential", "key", "token", "auth", "cookie", "signature", "_pat", "-pat", "dsn")
_CORE = re.compile(
    r"(?P<password>passw(?:or)?d|passphrase|passcode|pwd|(?<=[_-])pass|(?<=[a-z])Pass)"
    r"|(?P<secret>secret(?:[ _-]?access)?(?:[ _-]?key)?|credentials?)"
    r"|(?P<key>key)"
    r"|(?P<token>token|authorization|(?<![a-z])auth|cookie|signature|[_-]pat|(?<![a-z])dsn)",
    re.I | re.A,
)
#: "key" alone is no secret's name: these words before it make it one.
_KEY_OF = re.compile(
    r"(?:api|app|application|access|account|shared|secret|private|encrypt|encryption|decryption|signing|signature|auth"
    r"|authentication|authorization|master|root|admin|service|license|client|consumer|subscription|integration|routing|ssh"
    r"|hmac|jwt|webhook|deploy|storage|session|crypt|ingest|pagerduty|datadog)(?:[ _-]?access)?[ _-]?$",
    re.I | re.A,
)
#: From the end of the name to the value: a suffix that leaves it a secret, quotes, an assignment.
_TO_VALUE = re.compile(
    r"(?:[_-]?(?:base64|b64|base|value|string|text|plain|prod|production|staging|stage|dev|live|test|old|new|current|previous|primary|secondary|default|rw|ro|[0-9]{1,2}))?"
    r"(?:[ \t]\([^()\n]{1,30}\))?"
    r"(?P<quote>\\?[\"'`])?\]?"
    r"(?:[ \t]{0,8}(?::=|=>|==?|:|>(?=[^<\s]{1,256}</))[ \t]{0,8}(?:\n[ \t]{0,32}(?=[\"']))?"
    r"|[\s,]{1,40}\\?[\"']?value\\?[\"']?[ \t]{0,4}[:=][ \t]{0,4}"
    r"|,[ \t]{0,4}(?=[\"']))"
    r"(?:[|>][+-]?[ \t]{0,4}\n[ \t]{1,32})?",
    re.I | re.A,
)
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_FLAG = re.compile(r"[ \t]+(?=[^\s-])")
_QUOTED = re.compile(r"(?P<open>\\?[\"'`])(?P<value>(?:(?!(?P=open))[^\n]){1,4096})(?:(?P=open)|$|\n)", re.A)
#: A comma, semicolon or ampersand ends a value only before a blank, a quote or the next assignment.
_BARE = re.compile(
    r"(?:[^\s\"'`<,;&\\]|\\(?![nrt\"'])|[,;&](?![\s\"']|$|[\w.-]{1,40}[=:]))+", re.A
)  # fmt: skip
_NAME_BEFORE = re.compile(r"[\w.$-]{0,60}$", re.A)
#: Names that end like a secret's and are none.
_BENIGN_NAME = re.compile(
    r"(?:page|next|prev|continuation|resume|sync|cursor|fencing|cancellation|lock|public|pagination|no|without|invalid|reset|change|forgot)[._-]?$",
    re.I | re.A,
)


def _by_name(text: str) -> Iterator[Found]:
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters grow when lowered, and would move every place after them
        lowered = text.translate(_ASCII_LOWER)
    for seed in _SEEDS:
        position = lowered.find(seed)
        while position >= 0:
            core = _CORE.match(text, position)
            found = _assigned(text, core) if core else None
            if found is not None:
                yield found
            position = lowered.find(seed, max(position + len(seed), found.end if found else 0))


def _assigned(text: str, core: re.Match[str]) -> Found | None:
    flag = "--" in text[max(0, core.start() - 40) : core.start()]
    link = _TO_VALUE.match(text, core.end()) or (_FLAG.match(text, core.end()) if flag else None)
    if link is None:
        return None
    before = _NAME_BEFORE.search(text, max(0, core.start() - 60), core.start())
    name, kind = before[0] if before else "", core.lastgroup or "secret"
    if link[0] == ":" and text[core.start() - 1 : core.start()] == ":":  # a path such as an ARN's
        return None
    if _BENIGN_NAME.search(name) or (
        kind == "key" and not _KEY_OF.search(text, max(0, core.start() - 30), core.start())
    ):
        return None
    quoted = _QUOTED.match(text, link.end())
    value, start = (quoted["value"], quoted.start("value")) if quoted else _bare(text, link.end())
    end = start + len(value)
    assigned = bool(
        quoted or "--" in name or link[0].strip() in ("=", ":=") or _line_form(text, core.start() - len(name), end)
    )
    if not _secret_value(kind, name + core[0], value, assigned=assigned):
        return None
    return Found(kind={"key": "api_key", "token": "api_token"}.get(kind, kind), start=start, end=end)


def _bare(text: str, position: int) -> tuple[str, int]:
    match = _BARE.match(text, position, position + 4096)
    value = match[0] if match else ""
    while value and value[-1] in ".,;:)]}>" and not ("(" in value and value[-1] == ")"):
        if value.endswith("]") and _PLACEHOLDER.search(value):
            break
        value = value[:-1]
    return value, position


def _line_form(text: str, start: int, end: int) -> bool:
    """Whether the assignment is a line of its own, as in YAML or an env file."""
    line = (
        text.rfind("\n", max(0, start - 80), start) + 1
        if "\n" in text[max(0, start - 80) : start]
        else max(0, start - 80)
    )
    head = text[line:start].strip(" \t-\"'{")
    tail = text[end : end + 3].split("\n", maxsplit=1)[0].strip(" \t\"',}")
    return head in ("", "export", "set", "env", "ENV", "ARG", "name:") and (tail == "" or tail.startswith("#"))


# -- judging a value -----------------------------------------------------------------------------------------------------

_REFERENCE = re.compile(
    r"""\$|\{\{|<|\[|%[({]|@|\*+$|/[\w./-]+$|~/|\.{1,2}/|file:|vault:|op://|ssm:|sm://|secret://|arn:|os\.|process\.|env[.\[(]|getenv|settings\.|config\.|self\.|https?://[^:@\s]+$
    |(?:str|string|bytes|int|bool|object|any|none|null|nil|undefined|true|false|yes|no|on|off|optional|required|unset|empty|hidden|masked|redacted|n/?a|todo|tbd|valuefrom|secretkeyref|secretstr)\b[\]),;]*$
    |(?:str|string|optional|secretstr)[\[|?]
    |0x[0-9a-f]{1,16}$|[x•.#_-]+$|your[_-]|my[_-]|<|\.\.\.|…""",
    re.I | re.X,
)
_CALL = re.compile(r"[A-Za-z_][\w.]{1,80}[(\[]")
_DOTTED = re.compile(r"[a-z_]{1,40}(?:\.[a-z_]{1,40})+$")
_STATUS_WORD = re.compile(
    r"(?:absent|access|auth|authentication|authorization|bad|basic|bearer|bucket|cannot|could|credentials|denied|digest"
    r"|disabled|does|enabled|error|expire[ds]?|failed|failure|for|good|has|have|incorrect|invalid|is|key|malformed|may"
    r"|mismatch|missing|must|needs|none|not|ok|password|present|refresh|refused|rejected|required|revoked|ring|rotate[d]?"
    r"|rotation|secret|see|should|signature|the|token|unauthorized|unchanged|unknown|valid|was|wrong)$",
    re.I,
)
_UNIT = re.compile(r"\d+(?:\.\d+)*(?:ms|s|m|h|d|w|mb|gb|kb|ki|mi|gi|%|k)?$", re.I)
_DNS_NAME = re.compile(r"(?=.*[a-z]{3})[a-z0-9]+(?:[.-][a-z0-9]+)+(?::\d+)?(?:/[\w.-]+)*$")
_DIGEST = re.compile(r"(?:sha\d+|md5|v?\d+(?:\.\d+)+)[:=-]", re.I)


def _placeholder(value: str) -> bool:
    """Whether a value stands in for a secret: a variable, a mask, a reference, a type."""
    bare = value.strip()
    return not bare or bool(_REFERENCE.match(bare)) or bool(_PLACEHOLDER.fullmatch(bare)) or bool(_CALL.match(bare))


def _secret_value(kind: str, name: str, value: str, *, assigned: bool) -> bool:
    if _placeholder(value) or _STATUS_WORD.match(value) or _DOTTED.match(value) or _echoes(value.lower()):
        return False
    if kind == "password":
        return len(value) >= 3 and (assigned or _random(value, shortest=6))
    if kind == "key" and re.search(r"routing[ _-]?key$", name, re.I):
        return re.fullmatch(r"[0-9A-Za-z]{32}", value) is not None
    if _UNIT.match(value) or _DNS_NAME.match(value) or _DIGEST.match(value):
        return _hexadecimal(value)
    if assigned and kind in ("secret", "key") and " " not in value:
        return len(value) >= 8 and bool(re.search(r"[\d_+/=~!@#%^*-]|[a-z][A-Z]|\w{12}", value))
    return _random(value, shortest=8 if assigned else 12)


def _echoes(value: str) -> bool:
    """Whether a value only repeats its name, as code does: password=password, token=db_token."""
    letters = re.sub(r"[^a-z]", "", value)
    return letters == value.replace("_", "") and bool(_CORE.fullmatch(value.rsplit("_", 1)[-1])) and "_" in value + "_"


def _hexadecimal(value: str) -> bool:
    return re.fullmatch(r"[0-9a-fA-F]{16,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value) is not None


def _random(value: str, *, shortest: int) -> bool:
    """Whether a value looks made by chance or chosen as a password rather than a word: mixed kinds of characters, or entropy."""
    if len(value) < shortest or " " in value.strip():
        return False
    if _UNIT.match(value) or (_DNS_NAME.match(value) and not _hexadecimal(value)):
        return False
    kinds = sum(bool(re.search(pattern, value)) for pattern in ("[a-z]", "[A-Z]", r"\d", r"[^\w]"))
    mixed = bool(re.search(r"\d", value)) and bool(re.search("[A-Za-z]", value))
    if mixed or (kinds >= 3):
        return True
    return len(value) >= 20 and _entropy(value) >= 3.5


def _entropy(value: str) -> float:
    """Shannon's, in bits a character."""
    total = len(value)
    return -sum(count / total * math.log2(count / total) for count in Counter(value).values())


# -- encoded ---------------------------------------------------------------------------------------------------------------

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}", re.A)
_HEX = re.compile(r"[0-9a-fA-F]{40,}", re.A)
_TOKEN = re.compile(r"[^\s\"'<>]{8,}")


def _encoded(text: str) -> Iterator[Found]:
    yield from _decoded(text, _BASE64, _from_base64)
    yield from _decoded(text, _HEX, _from_hex)
    if "%" in text:
        yield from _decoded(text, _TOKEN, lambda token: unquote(token) if "%" in token else "")


def _decoded(text: str, pattern: re.Pattern[str], decode: Callable[[str], str]) -> Iterator[Found]:
    for match in pattern.finditer(text):
        plain = decode(match[0])
        for found in _plain(plain) if plain else ():
            secret = plain[found.start : found.end]
            place = match[0].find(secret)  # percent encoding leaves most of a secret as it is
            start, length = (match.start() + place, len(secret)) if place >= 0 else (match.start(), len(match[0]))
            yield Found(kind=found.kind if place >= 0 else "encoded_secret", start=start, end=start + length)


def _plain(text: str) -> Iterator[Found]:
    yield from _pem(text)
    yield from _by_looks(text)
    yield from _by_scheme(text)
    yield from _by_name(text)


def _from_base64(value: str) -> str:
    body = value.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _printable(base64.b64decode(body[: len(body) - (len(body) % 4 == 1)] + "=" * (-len(body) % 4 % 3)))
    except (binascii.Error, ValueError):
        return ""


def _from_hex(value: str) -> str:
    return _printable(bytes.fromhex(value[: len(value) // 2 * 2]))


def _printable(value: bytes) -> str:
    """The text those bytes spell, or nothing when they spell none."""
    return value.decode("ascii") if value.isascii() and all(byte > 8 for byte in value) else ""
