"""What may be shown of what a model returned. The model is taken to be in an attacker's hand.

Does: read one JSON object of the task's schema, and keep the sentences that cite given evidence, say no more than it, carry no
link, mention or markup, name only commands that stand word for word in a runbook or wiki page, and tell nobody to act but by
such a page; list the others with their reasons.
Does not: repair a sentence, call a model, or choose how anything is displayed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from core.model import Confidence, Sentence, Tier
from core.redaction import redact
from core.text import strip_hidden
from prompts.grounding import forbidden_by, forbids, ungrounded
from prompts.orders import acts, urges
from prompts.passages import inline_code, passages
from prompts.schema import Cited, Step
from prompts.sources import GUIDING, Source
from prompts.tasks import LONGEST_COMMAND, LONGEST_SENTENCE, PARTS, Part, Task, schema_of
from prompts.terms import holds, shared, terms

#: An answer longer than this is not read at all.
LONGEST_ANSWER = 64_000
#: The share of a step's words that one passage of its page must hold.
_OF_ONE_PASSAGE = 2 / 3
#: Reasons kept for the record.
_MOST_REJECTED = 20
_FENCED = re.compile(r"\A\s*```(?:json)?\s*\n(?P<json>.*)\n\s*```\s*\Z", re.S | re.I)


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What survived, by section heading, and what did not, with reasons."""

    sections: Mapping[str, tuple[Sentence, ...]]
    rejected: tuple[str, ...]


def check(
    task: Task,
    answer: str,
    sources: Mapping[str, Source],
    *,
    confidence: Confidence = Confidence.INCONCLUSIVE,
    people: Iterable[str] = (),
) -> Checked:
    """Judge a model's answer.

    Args:
        answer: what it returned, byte for byte.
        sources: what it was given, by id; only these may be cited.
        confidence: what the ranking says of the first commit; a sentence may not say more.
        people: names of responders and authors: none is named as a cause.
    """
    try:
        output = read(task, answer)
    except ValueError as error:
        return Checked(sections={}, rejected=(str(error),))
    judge = _Judge(task=task, sources=sources, confidence=confidence, people=tuple(people))
    sections: dict[str, tuple[Sentence, ...]] = {}
    rejected: list[str] = []
    for part in PARTS[task]:
        kept: list[Sentence] = []
        for item in output.get(part.field, ()):
            reason, sentence = judge.sentence(part, item)
            if sentence is None:
                rejected.append(f"{reason}: {redact(strip_hidden(item.text))[:120]!r}")
            elif len(kept) >= part.most:
                rejected.append(f"more than {part.most} sentences: {sentence.text[:120]!r}")
            elif sentence.text not in {other.text for other in kept}:
                kept.append(sentence)
        if kept:
            sections[part.heading] = tuple(kept)
    return Checked(sections=sections, rejected=tuple(rejected[:_MOST_REJECTED]))


def read(task: Task, answer: str) -> dict[str, list[Cited]]:
    """A model's answer as its schema's fields. Code fences around the JSON are the one thing forgiven.

    Raises:
        ValueError: it is too long, no JSON object, or has fields that its schema does not.
    """
    if len(answer) > LONGEST_ANSWER:
        raise ValueError(f"the answer has {len(answer):,} characters, more than {LONGEST_ANSWER:,}")
    fenced = _FENCED.match(answer)
    try:
        output = schema_of(task).model_validate_json(fenced["json"] if fenced else answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = redact(strip_hidden(".".join(str(step) for step in first["loc"])))[:80]
        raise ValueError(f"the answer is not of its schema: {place or 'JSON'}: {first['msg'][:120]}") from None
    return {name: list(getattr(output, name)) for name in type(output).model_fields}


def unfit(text: str) -> str | None:
    """Why a text may not be shown as a sentence, whoever wrote it; None if it may.

    Links, mentions, broadcasts, blocks, orders to an AI: none has a place in a sentence. Code adds links.
    """
    bare = _CODE.sub(" ", text)
    if any(pattern.search(text) for pattern in (_ADDRESS, _ANGLE)):
        return "a link or Slack markup"
    if _DOMAIN.search(bare):
        return "a link"
    if _MENTION.search(bare):
        return "a mention"
    if _BLOCKS.search(text):
        return "markup for blocks or tools"
    if _ORDERS.search(text):
        return "orders to an AI"
    return None


def unfit_command(command: str) -> str | None:
    """Why a command may not be shown, however well sourced; None if it may. Addresses of this machine are let through."""
    if _ADDRESS.search(_LOOPBACK.sub(" ", command)) or _ANGLE.search(command):
        return "a link in a command"
    if "```" in command or len(command) > LONGEST_COMMAND:
        return "a command that cannot be shown"
    return None


def names_command(text: str) -> bool:
    """Whether a text tells a reader to run something, in code or out of it."""
    return bool(_COMMAND.search(text.replace("`", " ")))


def advises(text: str) -> bool:
    """Whether a text tells a reader to change a system: what only a runbook or wiki page may support."""
    return names_command(text) or urges(text)


def commands_of(source: Source) -> frozenset[str]:
    """Every command a reviewed source gives, blanks made one; none for other tiers."""
    if source.tier not in GUIDING:
        return frozenset()
    typed = {_flat(command) for item in passages(source.text, source.section) for command in item.commands}
    return frozenset(typed) | inline_code(source.text)


_CODE = re.compile(r"`[^`]*`")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]{0,20}:/{2}|\bwww\.|\b(?:mailto|javascript|data|tel):\S|\]\(", re.I)
_LOOPBACK = re.compile(r"\bhttps?://(?:localhost|127\.0\.0\.1|\[::1\])(?=[:/\s\"']|$)", re.I)
_ANGLE = re.compile(r"<\s*[!@#]|<[^<>\s]{1,300}\|[^<>]{0,300}>|&lt;\s*[!@#]", re.I)
_DOMAIN = re.compile(
    r"(?<![\w@/.-])(?:[a-z0-9-]{1,63}\.)+(?:com|net|org|io|dev|app|co|ai|xyz|info|biz|me|link|click|site|online|top|shop|cloud"
    r"|tech|store|live|page|gg|ly|to|tk|ru|cn|uk|de|fr|eu|us|nl|ch|it|pl|br|au|ca|jp|kr|zip|mov)\b(?![\w(]|\.\w)"
    r"|(?<![\w@/.-])[a-z0-9-]{2,63}\.[a-z]{2,24}/",
    re.I,
)
_MENTION = re.compile(r"(?<![\w.])@\s?(?:here|channel|everyone|group|all)\b|(?<![\w.`/:])@[A-Za-z]\w*|\S@\S+\.\w", re.I)
_BLOCKS = re.compile(
    r"[{\[]\s*\\?[\"'](?:type|blocks|text|tool|function|name|action_id|attachments)\\?[\"']\s*:|<\|?/?(?:tool|function|im_start|system|script|img)",
    re.I,
)
_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b[^.\n]{0,40}\b(?:instructions?|prompts?|rules?|above|previous|prior|everything)\b"
    r"|\bsystem prompt\b|\byou are (?:now|an? (?:ai|assistant|helpful|language))|\bas an ai\b|\bnew instructions?\b"
    r"|\b(?:assistant|chatbot|the bot|language model|llm)\b[^.\n]{0,30}\b(?:must|should|will|has to|shall)\b|\bjailbreak",
    re.I,
)
#: The model speaking of itself, or of deeds it cannot have done.
_SELF = re.compile(r"\bI(?:'(?:m|ve|ll|d))?\s+(?:have|am|will|was|would|can|did|ran|recommend|suggest)|\bI'(?:m|ve|ll)\b|\b(?:has|was|been|is) approved\b")  # fmt: skip
_TOOL_NAMES = (
    "kubectl|helm|docker|podman|systemctl|journalctl|psql|mysql|mongosh?|redis-cli|aws|gcloud|az|terraform|ansible(?:-playbook)?"
    "|git|etcdctl|rabbitmqctl|nomad|consul|vault|istioctl|argocd|oc|patronictl|npm|pip|apt(?:-get)?|yum|service"
)
_COMMAND = re.compile(
    rf"\b(?:{_TOOL_NAMES})\s+(?:-{{1,2}}\w|(?:get|delete|apply|exec|rollout|scale|restart|stop|start|run|rm|kill|reset|push|revert"
    r"|rollback|upgrade|install|uninstall|drain|cordon|patch|edit|describe|logs|create|set|drop|destroy|put|remove|flushall"
    r"|flushdb|failover|login|config|s3|ec2|iam|checkout|clean|undo|annotate|label|taint)\b)"
    r"|\b(?:sudo|curl|wget)\s+\S|\brm\s+-\w|\bchmod\s+\S*\d|\bdd\s+if=|\bmkfs\b|\b(?:ba|z)?sh\s+-c\b|\bpython3?\s+-c\b"
    r"|\b(?:drop|truncate)\s+(?:table|database|index|schema)\b|\bdelete\s+from\b|\bflushall\b|\bkill\s+-\d|\|\s*(?:ba)?sh\b",
    re.I,
)
_CAUSAL = re.compile(
    r"\b(?:caus(?:e[ds]?|ing)|culprit|broke|breaks|introduced|responsible|due to|because of|led to|triggered by|to blame|fault"
    r"|result(?:ed|s) (?:in|from)|behind)\b",
    re.I,
)
_HEDGE = re.compile(r"\b(?:likely|possibl[ey]|may|might|could|suspect(?:ed)?|candidate|ranked|not|none|no)\b", re.I)
_SURE = re.compile(r"\b(?:likely|probabl[ey]|certain(?:ly)?|clearly|definite(?:ly)?|confirmed)\b", re.I)
_BLAME = re.compile(
    r"\b(?:mistakes?|fault|error by|human error|forgot|careless(?:ly)?|neglig\w+|should(?:n't| not)? have|failed to|blame[ds]?|broke"
    r"|caus(?:ed|ing)|because of|due to|responsible|sloppy|incompeten\w+)\b",
    re.I,
)


def blames(text: str, people: Iterable[str]) -> bool:
    """Whether a text names a person as a cause."""
    if not _BLAME.search(text):
        return False
    lowered = text.casefold()
    parts = {part for name in people for part in (name.casefold(), *name.casefold().split()) if len(part) > 2}
    return any(re.search(rf"(?<!\w){re.escape(part)}(?!\w)", lowered) for part in parts)


@dataclass(frozen=True, kw_only=True)
class _Judge:
    task: Task
    sources: Mapping[str, Source]
    confidence: Confidence
    people: tuple[str, ...]

    def sentence(self, part: Part, item: Cited) -> tuple[str, Sentence | None]:
        """The sentence as it may be shown, or why not."""
        text = redact(_tidy(item.text))
        command = redact(_flat(strip_hidden(item.command))) if isinstance(item, Step) else ""
        ids = tuple(dict.fromkeys(item.evidence))
        reason = self._form(text, command) or self._citations(ids)
        if reason is None:
            cited = [self.sources[name] for name in ids]
            reason = self._content(text, cited) or self._commands(text, command, cited) or self._task(part, text, cited)
        if reason is not None:
            return reason, None
        shown = f"{text.rstrip('.:')}:\n```\n{command}\n```" if command else text
        return "", Sentence(text=shown, evidence=ids)

    def _form(self, text: str, command: str) -> str | None:
        if not re.search(r"\w{2}", text):
            return "no words"
        if len(text) > LONGEST_SENTENCE:
            return f"longer than {LONGEST_SENTENCE} characters"
        if _SELF.search(text):
            return "the model speaks of itself"
        return unfit(text) or (unfit_command(command) if command else None)

    def _citations(self, ids: tuple[str, ...]) -> str | None:
        if not ids:
            return "no evidence cited"
        unknown = [name for name in ids if name not in self.sources]
        return f"cites {', '.join(unknown)[:80]}, which was not given" if unknown else None

    def _content(self, text: str, cited: list[Source]) -> str | None:
        reason = ungrounded(text, [source.everything for source in cited])
        if reason is None and blames(text, self.people):
            return "names a person as a cause"
        return reason or self._overclaims(text, cited)

    def _overclaims(self, text: str, cited: list[Source]) -> str | None:
        if not any(source.id.startswith("C") for source in cited) or not _CAUSAL.search(text):
            return None
        if self.confidence is Confidence.INCONCLUSIVE:
            return "names a cause where the ranking names none"
        if not _HEDGE.search(text) or (self.confidence is Confidence.POSSIBLE and _SURE.search(text)):
            return f"is surer of the cause than the ranking, which says {self.confidence.value}"
        return None

    def _commands(self, text: str, command: str, cited: list[Source]) -> str | None:
        known = frozenset[str]().union(*(commands_of(source) for source in cited))
        if command and command not in known:
            return "a command that no cited runbook or wiki page gives"
        spans = [_flat(span.strip("`")) for span in _CODE.findall(text)]
        if any(names_command(span) and span not in known for span in spans):
            return "a command that no cited runbook or wiki page gives"
        return "a command outside its field" if names_command(_CODE.sub(" ", text)) else None

    def _task(self, part: Part, text: str, cited: list[Source]) -> str | None:
        if part.field == "last_time":
            return self._last_time(text, cited)
        if part.field == "steps" or (part.field != "follow_ups" and advises(_unnamed(text, cited))):
            return self._step("a step" if part.field == "steps" else "advice", text, cited)
        return None

    def _step(self, what: str, text: str, cited: list[Source]) -> str | None:
        """Why a text that tells somebody to act rests on no reviewed source. However many others agree, they do not count."""
        guides = [source for source in cited if source.tier in GUIDING]
        if not guides:
            return f"{what} that no runbook or wiki page supports"
        if reason := ungrounded(text, [source.everything for source in guides]):
            return f"not in the runbook or wiki page: {reason}"
        if forbidden := forbidden_by(text, [source.text for source in guides]):
            return f"its source forbids it ({forbidden[:80]!r})"
        return (
            None
            if any(_gives(source, text) for source in guides)
            else f"not in the runbook or wiki page: {what} to do that"
        )

    def _last_time(self, text: str, cited: list[Source]) -> str | None:
        past = [source for source in cited if source.tier is Tier.PAST_INCIDENT]
        if not past:
            return "what worked last time, from no past incident"
        if names_command(text):
            return "a command from a past incident"
        if urges(text):
            return "an instruction from a past incident"
        reason = ungrounded(text, [source.everything for source in past])
        return f"not in the past incident: {reason}" if reason else None


def _gives(guide: Source, text: str) -> bool:
    """Whether one passage of a page has every act of a step and most of its words: words from all over it make no step of its."""
    wanted, done = terms(text), acts(text)
    for item in passages(guide.text, guide.section):
        held = frozenset(terms(" ".join((guide.title, *item.section, item.text, *item.commands))))
        allowed = not forbids(item.text) or forbids(text)
        if allowed and all(holds(held, act) for act in done) and shared(wanted, held) >= _OF_ONE_PASSAGE:
            return True
    return False


def _unnamed(text: str, cited: list[Source]) -> str:
    """The text without the subjects of commits it cites: by custom they are orders, and here they are names."""
    names = [source.title for source in cited if source.tier is Tier.COMMIT and not names_command(source.title)]
    for name in names:
        text = text.replace(f'"{name}"', " ")
    return text


_EMPHASIS = re.compile(r"(\*\*|__|(?<!\w)[*_](?=\S))(.{1,200}?)(?<=\S)\1(?!\w)")
_SHORTCODE = re.compile(r"(?<![\w:]):(?:[a-z][a-z_+-]{1,40}):(?![\w:])")
_LEAD = re.compile(r"^(?:[-*•]|\d{1,2}[.)]|#{1,6})\s+")


def _tidy(text: str) -> str:
    """One line, without emphasis, emoji codes or list marks, ending in a full stop."""
    line = _LEAD.sub("", " ".join(strip_hidden(text).split()))
    line = _SHORTCODE.sub("", _EMPHASIS.sub(r"\2", line)).strip()
    return line if not line or line[-1] in ".!?:`" else f"{line}."


def _flat(command: str) -> str:
    return " ".join(command.split())
