"""How a passage becomes a sentence on a card, with nothing added.

Does: say which passages may be shown, put a passage's words and commands into one sentence, and make a draft of sentences.
Does not: choose passages.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.model import Draft, Section, Sentence
from prompts.checks import unfit, unfit_command
from prompts.passages import Passage
from prompts.sources import clean
from prompts.tasks import LONGEST_SENTENCE, Task

#: Who drafts when no model does.
AUTHOR = "extractive"
#: Lines of one command block that are shown.
_COMMANDS = 3
#: Characters of a name, a service or a subject.
_LONGEST_FIELD = 120


def showable(item: Passage) -> bool:
    """Whether a passage may stand on a card: fit, whole, and of a length that is read."""
    words = len(item.text.split())
    if unfit(item.text) or len(item.text) > LONGEST_SENTENCE or (item.cut and words < 6):
        return False
    return words >= 2 or bool(_fit_commands(item))


def quoted(item: Passage) -> str:
    """A passage as a sentence: its words, then its commands in a code block."""
    commands = _fit_commands(item)
    text = clean(item.text)
    if not commands:
        return full_stop(text)
    block = clean("\n".join(commands))
    return f"{(text or 'Run').rstrip('.: ')}:\n```\n{block}\n```"


def full_stop(text: str) -> str:
    """The text ending as a sentence does."""
    text = text.rstrip(" :;,-–—")
    return text if text.endswith((".", "!", "?", '."', "…")) else f"{text}."


def line(text: str | None) -> str:
    """A field from outside on one line, clean; "" for none."""
    return " ".join(clean(text or "").split())


def field(before: str, text: str | None, after: str = "") -> str:
    """A field from outside between words of ours, or nothing at all if it is empty or may not be shown."""
    shown = line(text)[:_LONGEST_FIELD]
    return f"{before}{shown}{after}" if shown and unfit(shown) is None else ""


def draft_of(task: Task, sections: Sequence[tuple[str, Sequence[Sentence]]], *, keep_empty: bool = False) -> Draft:
    """The extractive draft of a task.

    Args:
        keep_empty: whether a heading with nothing under it stays, as an open question.
    """
    kept = [Section(heading=heading, sentences=tuple(said)) for heading, said in sections if said or keep_empty]
    return Draft(task=task, sections=tuple(kept), author=AUTHOR)


def _fit_commands(item: Passage) -> tuple[str, ...]:
    return tuple(command for command in item.commands if unfit_command(command) is None)[:_COMMANDS]
