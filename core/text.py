"""What may be seen of a text: the one place that removes what a reader cannot see.

Does: drop hidden characters, by which text is smuggled past people (CONTRACTS.md 3.3). Linear in the text.
Does not: escape for any surface, redact secrets, or shorten.
"""

from __future__ import annotations

import re

#: Terminal escape sequences: colours, cursor moves, window titles and hyperlinks.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])|\x9b[0-?]*[ -/]*[@-~]")
_LINE_ENDS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_HIDDEN = re.compile(
    "["
    # Unicode's control and format characters (zero-width, bidi, interlinear, tags) and lone surrogates, by block.
    "\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ud800-\udfff\ufeff\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    # Letters and marks that show nothing all the same: the grapheme joiner, Hangul and Khmer fillers, variation selectors, the
    # empty Braille cell.
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "]+"
)


def strip_hidden(text: str) -> str:
    """The text without what cannot be seen: escape sequences, control, zero-width, bidi and tag characters, lone surrogates.

    Newlines and tabs stay; every other end of line becomes a newline.
    """
    return _HIDDEN.sub("", _LINE_ENDS.sub("\n", _ANSI.sub("", text)))
