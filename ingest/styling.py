"""What a page's styles let a reader see of a piece of its text.

Does: read `<style>` rules with simple selectors, inline styles and the attributes that came before them, and say how an element
looks inside its parent, and why its text cannot be seen.
Does not: fetch style sheets, lay a page out, or judge by rules whose selectors combine elements. What it cannot reckon (a
picture behind the text, a variable) it takes to be seen.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ingest.css_values import BLACK, WHITE, Colour, colour_of, contrast, pixels

#: Text in a smaller font, or with less contrast, is there for machines. WCAG asks for 4.5; 1.2 is still read by nobody.
_SMALLEST_PX, _LEAST_CONTRAST = 2.0, 1.2
#: Nobody moves a thing so far who wants it found.
_FAR_PX, _VERY_FAR_PX = 999.0, 5000.0
#: Below this, what is half transparent is not there.
_FAINT = 0.05
#: Rules on more than one class or id that are looked at for one name: a page made of them must not cost its square.
_MOST_RULES = 200

NOT_SHOWN = "that the page does not show"
_SEE_NOT = "that cannot be seen: "
WHITE_ON_WHITE, SAME_COLOUR = f"{_SEE_NOT}white on white", f"{_SEE_NOT}in the colour of their background"
SEE_THROUGH = f"{_SEE_NOT}transparent"
OUTSIDE, NO_ROOM, CLIPPED = "outside the page", "in a box without size", "clipped away"

#: Characters of a value that is looked at, and rules within rules.
_LONGEST_VALUE, _DEEPEST = 1_000, 8

#: A declaration with its weight: important, inline, specificity, place.
_Weight = tuple[bool, bool, int, int]


@dataclass(frozen=True, kw_only=True)
class Look:
    """How text looks at one place of a page. A colour that cannot be told is None."""

    colour: Colour | None = BLACK
    background: Colour | None = WHITE
    font_px: float = 16.0
    visible: bool = True
    #: Why nothing here is shown, whatever its colour; "" if it is.
    gone: str = ""

    @property
    def unseen(self) -> str:
        """Why text here cannot be seen, as what follows "3 words"; "" if it can."""
        if self.gone or not self.visible:
            return self.gone or NOT_SHOWN
        if self.font_px <= _SMALLEST_PX:
            return f"in a font of size {max(self.font_px, 0):.2g}"
        if self.colour is not None and self.colour.alpha <= _FAINT:
            return SEE_THROUGH
        if self.colour is None or self.background is None:
            return ""
        shown = self.colour.over(self.background)
        if contrast(shown, self.background) >= _LEAST_CONTRAST:
            return ""
        return WHITE_ON_WHITE if self.background.luminance > 0.85 else SAME_COLOUR


class Styles:
    """The rules of a page.

    Args:
        sheets: what stands in its `<style>` elements.
    """

    def __init__(self, sheets: Iterable[str] = ()) -> None:
        self._rules: dict[str, dict[tuple[str, ...], dict[str, tuple[_Weight, str]]]] = {}
        place = 0
        for sheet in sheets:
            for selectors, body in _rules(sheet):
                declared = _declarations(body)
                for selector in selectors.split(",") if declared else ():
                    place += 1
                    self._add(_simple(selector.strip().lower()), declared, place)

    def _add(self, parts: tuple[str, ...], declared: tuple[tuple[str, str, bool], ...], place: int) -> None:
        if not parts:
            return
        held = self._rules.setdefault(parts[-1], {})
        if parts in held or len(held) < _MOST_RULES:
            worth = sum({"#": 10_000, ".": 100}.get(part[0], part != "*") for part in parts)
            _settle(held.setdefault(parts, {}), declared, (False, worth, place))

    def look(self, around: Look, name: str, attributes: Mapping[str, str]) -> Look:
        """How an element looks.

        Args:
            around: its parent's look.
            name: its tag, in small letters.
            attributes: by name in small letters.
        """
        told = self._told(name, attributes)
        if not told:
            return around
        font_px = _font_px(told.get("font-size", ""), around.font_px)
        return Look(
            colour=_colour(told.get("color"), around.colour),
            background=_background(told, around.background),
            font_px=font_px,
            visible=_visible(told.get("visibility"), around.visible),
            gone=around.gone or _gone(told, font_px),
        )

    def _told(self, name: str, attributes: Mapping[str, str]) -> dict[str, str]:
        """An element's declarations, each the one that wins."""
        found: dict[str, tuple[_Weight, str]] = {}
        _settle(found, _of_attributes(name, attributes), (False, -1, 0))
        if self._rules:
            own = {name, "*", *(f".{part}" for part in attributes.get("class", "").lower().split())}
            own |= {f"#{attributes['id'].strip().lower()}"} if "id" in attributes else set()
            for key in own & self._rules.keys():
                for parts, declared in self._rules[key].items():
                    if own.issuperset(parts):
                        for what, (weight, value) in declared.items():
                            _put(found, what, weight, value)
        if "style" in attributes:
            _settle(found, _declarations(attributes["style"]), (True, 0, 0))
        return {what: value for what, (_, value) in found.items()}


def _put(found: dict[str, tuple[_Weight, str]], what: str, weight: _Weight, value: str) -> None:
    if what not in found or weight >= found[what][0]:
        found[what] = (weight, value)


def _settle(
    found: dict[str, tuple[_Weight, str]], declared: Iterable[tuple[str, str, bool]], where: tuple[bool, int, int]
) -> None:
    for what, value, important in declared:
        _put(found, what, (important, *where), value)


# -- reading rules ---------------------------------------------------------------------------------------------------


def _rules(sheet: str) -> Iterator[tuple[str, str]]:
    """Selectors and declarations of a style sheet's rules for every screen."""
    blocks: list[str] = []
    before = ""
    for part in re.split(r"([{}])", _without_comments(sheet.replace("<!--", " ").replace("-->", " "))):
        if part == "{":
            blocks.append(before.rpartition(";")[2].strip())
        elif part == "}":
            selector = blocks.pop() if blocks else ""
            plain = bool(selector) and not selector.startswith("@") and len(blocks) <= _DEEPEST
            if plain and all(_always(block) for block in blocks):
                yield selector, before
            before = ""
            continue
        before = part if part != "{" else ""


def _always(block: str) -> bool:
    return re.fullmatch(r"@media\s+(?:only\s+)?(?:all|screen)|@supports.*|@layer.*", block, re.I | re.S) is not None


def _without_comments(css: str) -> str:
    kept, at = [], 0
    while (start := css.find("/*", at)) >= 0:
        end = css.find("*/", start + 2)
        kept.append(css[at:start])
        at = end + 2 if end >= 0 else len(css)
    return " ".join([*kept, css[at:]]) if kept else css


def _simple(selector: str) -> tuple[str, ...]:
    """A selector's tag, classes and ids, the most telling last; nothing if it is more than those."""
    if not re.fullmatch(r"(?:\*|[a-z][\w-]*)?(?:[.#][\w-]+)*", selector) or not selector:
        return ()
    return tuple(
        sorted(re.findall(r"[.#]?[\w-]+|\*", selector), key=lambda part: "*.#".find(part[0]) if part[0] in "*.#" else 0)
    )


_VALID = {
    "display": re.compile(r"none|contents|(?:inline|block|flow|list|table|flex|grid|ruby|run-in|inherit|initial|unset|revert|-webkit)\S*"),
    "visibility": re.compile(r"visible|hidden|collapse|inherit|initial|unset|revert"),
    "opacity": re.compile(r"[+-]?[\d.]+%?|.*\(.*"),
    "font-size": re.compile(r"[+-]?[\d.].*|.*\(.*|[a-z-]+"),
}  # fmt: skip
_PARTS = ("margin", "inset")
_IMAGE = re.compile(r"url\(|gradient\(|image|var\(|element\(")


@functools.lru_cache(maxsize=4096)
def _declarations(body: str) -> tuple[tuple[str, str, bool], ...]:
    """Property, value and whether it is important, in order; those a browser would ignore are left out."""
    found: list[tuple[str, str, bool]] = []
    for part in _unescaped(_without_comments(body)).lower().split(";"):
        what, colon, value = part.partition(":")
        bare, mark, rest = value.partition("!")
        what, value = what.strip(), " ".join(bare.split())
        if colon and value and rest.strip() == ("important" if mark else ""):
            found += [(name, told, bool(mark)) for name, told in _longhand(what, value)]
    return tuple(found)


def _unescaped(css: str) -> str:
    def character(match: re.Match[str]) -> str:
        code = int(match[1], 16) if match[1] else 0
        return match[2] or (chr(code) if 0 < code < 0x110000 else "\ufffd")

    return re.sub(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", character, css) if "\\" in css else css


def _longhand(what: str, value: str) -> Iterator[tuple[str, str]]:
    """A declaration as those it stands for."""
    if what == "background":
        value = value[:_LONGEST_VALUE]
    if len(value) > _LONGEST_VALUE:
        return
    if what in _VALID:
        if _VALID[what].fullmatch(value):
            yield what, value
    elif what in ("color", "background-color"):
        if _is_colour(value):
            yield what, value
    elif what == "background":
        parts = re.findall(r"[\w-]+\([^()]*\)|\S+", value)
        yield "background-color", next((part for part in parts if _is_colour(part)), "transparent")
        yield "background-image", "image" if _IMAGE.search(value) else "none"
    elif what == "font":
        if size := re.search(r"(?:^|\s)([\d.]+(?:px|pt|em|rem|%)?)(?:\s*/\s*\S+)?\s+\S", value):
            yield "font-size", size[1]
    elif what in _PARTS:
        sides = value.split()
        before = "" if what == "inset" else "margin-"
        yield f"{before}top", sides[0]
        yield f"{before}left", sides[min(len(sides) - 1, 3 if len(sides) == 4 else 1)]
    else:
        yield ("overflow" if what in ("overflow-x", "overflow-y") else what), value


def _is_colour(value: str) -> bool:
    return colour_of(value) is not None or "(" in value or value in ("currentcolor", "inherit", "initial", "unset")


def _of_attributes(name: str, attributes: Mapping[str, str]) -> Iterator[tuple[str, str, bool]]:
    """What attributes older than style sheets say."""
    if "hidden" in attributes or (name == "dialog" and "open" not in attributes):
        yield "display", "none", False
    for attribute, what in (("bgcolor", "background-color"), ("background", "background-image")):
        if attribute in attributes:
            yield what, attributes[attribute].lower(), False
    attribute = {"font": "color", "basefont": "color", "body": "text"}.get(name, "")
    if attribute in attributes:
        value = attributes[attribute].strip()
        yield "color", value if colour_of(value) or value.startswith("#") else f"#{value}", False


# -- judging ---------------------------------------------------------------------------------------------------------


def _colour(value: str | None, around: Colour | None) -> Colour | None:
    if value is None or value in ("inherit", "unset", "currentcolor"):
        return around
    return BLACK if value == "initial" else colour_of(value)


def _background(told: Mapping[str, str], around: Colour | None) -> Colour | None:
    if told.get("background-image", "none") not in ("none", "initial", "unset"):
        return None
    value = told.get("background-color", "transparent")
    if value in ("initial", "unset", "inherit", "transparent"):
        return around
    own = colour_of(value)
    if own is None or own.alpha == 1:
        return own
    return None if around is None else own.over(around)


def _font_px(value: str, around: float) -> float:
    size = pixels(value, font_px=around)
    if size is not None:
        return size
    keyword = value in ("initial", "medium", "small", "large") or value.startswith(("x-", "xx-"))
    return 16.0 if keyword else around


def _visible(value: str | None, around: bool) -> bool:
    return around if value is None or value in ("inherit", "unset") else value not in ("hidden", "collapse")


def _gone(told: Mapping[str, str], font_px: float) -> str:
    """Why nothing of an element is shown."""
    if told.get("display") == "none" or told.get("content-visibility") == "hidden":
        return NOT_SHOWN
    opacity = told.get("opacity", "1")
    faint = pixels(opacity.rstrip("%"))
    if faint is not None and faint / (100 if opacity.endswith("%") else 1) <= _FAINT:
        return SEE_THROUGH
    if told.get("overflow", "").split(" ")[0] in ("hidden", "clip") and any(
        _at_most(told.get(what), 1.0, font_px) for what in ("width", "height", "max-width", "max-height")
    ):
        return NO_ROOM
    if re.search(r"scale[xy3d]*\(\s*[+-]?0*\.?0*\s*[,)]", told.get("transform", "")):
        return NO_ROOM
    if _is_clipped(told):
        return CLIPPED
    return OUTSIDE if _is_outside(told, font_px) else ""


def _at_most(value: str | None, most: float, font_px: float) -> bool:
    size = pixels(value or "", font_px=font_px)
    return size is not None and size <= most


def _is_clipped(told: Mapping[str, str]) -> bool:
    if match := re.fullmatch(r"rect\(([^()]*)\)", told.get("clip", "")):
        sides = [pixels(side) for side in re.split(r"[\s,]+", match[1].strip())]
        return len(sides) == 4 and None not in sides and (sides[0] == sides[2] or sides[1] == sides[3])
    path = told.get("clip-path") or told.get("-webkit-clip-path", "")
    if match := re.match(r"(?:inset|circle|ellipse)\(\s*([\d.]+)(%?)", path):
        return (
            float(match[1] if match[1].strip(".") else 1) >= 50
            if path.startswith("inset") and match[2]
            else (not path.startswith("inset") and not match[1].strip("0."))
        )
    if match := re.fullmatch(r"polygon\(([^()]*)\)", path):
        points = {" ".join(pixel.split()) for pixel in match[1].split(",")}
        return len(points) == 1
    return False


def _is_outside(told: Mapping[str, str], font_px: float) -> bool:
    for what in ("text-indent", "left", "top", "right", "bottom", "margin-left", "margin-top"):
        away = _away(told.get(what, ""), font_px)
        if away <= -_FAR_PX or (away >= _VERY_FAR_PX and not what.startswith("margin")):
            return True
    moved = re.findall(r"translate[xy3d]*\(([^()]*)\)", told.get("transform", ""))
    return any(abs(_away(part.strip(), font_px)) >= _FAR_PX for parts in moved for part in parts.split(","))


def _away(value: str, font_px: float) -> float:
    """How far a value moves something; a share of the page counts tenfold, so that all of it is far."""
    distance = pixels(value, font_px=font_px) or 0.0
    if value.endswith(("%", "vw", "vh")):
        return float(value.rstrip("%vwh")) * 10
    return distance
