"""Values as CSS writes them: colours and lengths, as far as they decide whether text can be seen.

Does: read colours (names, hex, rgb, hsl) and lengths, lay one colour over another, and measure their contrast.
Does not: know properties, rules or pages; what it cannot read is None, never a guess.
"""

from __future__ import annotations

import colorsys
import functools
import re
from dataclasses import dataclass

#: A value longer than this is no colour and no length.
_LONGEST = 200
#: Pixels of one unit; those of the font and of the window are reckoned with their usual sizes.
_PIXELS = {"": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "in": 96.0, "cm": 37.8, "mm": 3.78, "q": 0.945, "rem": 16.0}
_PIXELS |= {"vw": 12.8, "vh": 7.2, "vmin": 7.2, "vmax": 12.8}
_OF_FONT = {"em": 1.0, "ex": 0.5, "ch": 0.5, "%": 0.01}
_LENGTH = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(px|pt|pc|in|cm|mm|q|rem|em|ex|ch|vw|vh|vmin|vmax|%)?")
_FUNCTION = re.compile(r"(rgb|hsl)a?\(([^()]*)\)")


@dataclass(frozen=True, kw_only=True)
class Colour:
    """Red, green, blue and how much covers what is behind, each in [0, 1]."""

    red: float
    green: float
    blue: float
    alpha: float = 1.0

    def over(self, behind: Colour) -> Colour:
        """What is seen of it in front of another that covers."""
        part = self.alpha
        red, green, blue = (
            front * part + back * (1 - part)
            for front, back in ((self.red, behind.red), (self.green, behind.green), (self.blue, behind.blue))
        )
        return Colour(red=red, green=green, blue=blue)

    @property
    def luminance(self) -> float:
        """Relative luminance in [0, 1]: https://www.w3.org/TR/WCAG21/#dfn-relative-luminance."""
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
            for part in (self.red, self.green, self.blue)
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


BLACK, WHITE = Colour(red=0, green=0, blue=0), Colour(red=1, green=1, blue=1)
TRANSPARENT = Colour(red=0, green=0, blue=0, alpha=0)


def contrast(one: Colour, other: Colour) -> float:
    """From 1, the same, to 21, black on white: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio."""
    darker, lighter = sorted((one.luminance, other.luminance))
    return (lighter + 0.05) / (darker + 0.05)


@functools.lru_cache(maxsize=1024)
def colour_of(value: str) -> Colour | None:
    """The colour a value names; None if it names none, or one that only a browser can reckon."""
    value = value.strip().lower()
    if value == "transparent":
        return TRANSPARENT
    if len(value) > _LONGEST:
        return None
    if value in _named():
        value = _named()[value]
    if match := re.fullmatch(r"#([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})", value):
        digits = match[1] if len(match[1]) > 4 else "".join(digit * 2 for digit in match[1])
        red, green, blue, alpha = (int(f"{digits}ff"[at : at + 2], 16) / 255 for at in (0, 2, 4, 6))
        return Colour(red=red, green=green, blue=blue, alpha=alpha)
    match = _FUNCTION.fullmatch(value)
    return _of_function(match[1], re.split(r"[\s,/]+", match[2].strip())) if match else None


def _of_function(kind: str, parts: list[str]) -> Colour | None:
    try:
        alpha = _share(parts[3], 1) if len(parts) == 4 else 1.0
        if kind == "rgb":
            red, green, blue = (_share(part, 255) for part in parts[:3])
        else:
            hue = float(re.sub(r"deg$", "", parts[0])) / 360 % 1
            saturation, light = (_share(part, 100) for part in parts[1:3])
            red, green, blue = colorsys.hls_to_rgb(hue, light, saturation)
    except (ValueError, IndexError):
        return None
    return Colour(red=red, green=green, blue=blue, alpha=alpha)


def _share(part: str, whole: float) -> float:
    """A part as a share in [0, 1]: a percentage, or a number up to the whole."""
    share = float(part[:-1]) / 100 if part.endswith("%") else float(part) / whole
    return min(1.0, max(0.0, share))


def pixels(value: str, *, font_px: float = 16.0) -> float | None:
    """A length in pixels; None if it is none. Percentages are of the font."""
    match = _LENGTH.fullmatch(value.strip().lower()) if len(value) <= _LONGEST else None
    if match is None:
        return None
    unit = match[2] or ""
    return float(match[1]) * (_OF_FONT[unit] * font_px if unit in _OF_FONT else _PIXELS[unit])


@functools.cache
def _named() -> dict[str, str]:
    """CSS's colours by name: https://www.w3.org/TR/css-color-4/#named-colors."""
    return {name: f"#{digits}" for name, _, digits in (pair.partition(":") for pair in _NAMES.split())}


_NAMES = """
aliceblue:f0f8ff antiquewhite:faebd7 aqua:00ffff aquamarine:7fffd4 azure:f0ffff beige:f5f5dc bisque:ffe4c4
black:000000 blanchedalmond:ffebcd blue:0000ff blueviolet:8a2be2 brown:a52a2a burlywood:deb887 cadetblue:5f9ea0
chartreuse:7fff00 chocolate:d2691e coral:ff7f50 cornflowerblue:6495ed cornsilk:fff8dc crimson:dc143c cyan:00ffff
darkblue:00008b darkcyan:008b8b darkgoldenrod:b8860b darkgray:a9a9a9 darkgreen:006400 darkgrey:a9a9a9 darkkhaki:bdb76b
darkmagenta:8b008b darkolivegreen:556b2f darkorange:ff8c00 darkorchid:9932cc darkred:8b0000 darksalmon:e9967a
darkseagreen:8fbc8f darkslateblue:483d8b darkslategray:2f4f4f darkslategrey:2f4f4f darkturquoise:00ced1
darkviolet:9400d3 deeppink:ff1493 deepskyblue:00bfff dimgray:696969 dimgrey:696969 dodgerblue:1e90ff firebrick:b22222
floralwhite:fffaf0 forestgreen:228b22 fuchsia:ff00ff gainsboro:dcdcdc ghostwhite:f8f8ff gold:ffd700 goldenrod:daa520
gray:808080 green:008000 greenyellow:adff2f grey:808080 honeydew:f0fff0 hotpink:ff69b4 indianred:cd5c5c indigo:4b0082
ivory:fffff0 khaki:f0e68c lavender:e6e6fa lavenderblush:fff0f5 lawngreen:7cfc00 lemonchiffon:fffacd lightblue:add8e6
lightcoral:f08080 lightcyan:e0ffff lightgoldenrodyellow:fafad2 lightgray:d3d3d3 lightgreen:90ee90 lightgrey:d3d3d3
lightpink:ffb6c1 lightsalmon:ffa07a lightseagreen:20b2aa lightskyblue:87cefa lightslategray:778899
lightslategrey:778899 lightsteelblue:b0c4de lightyellow:ffffe0 lime:00ff00 limegreen:32cd32 linen:faf0e6
magenta:ff00ff maroon:800000 mediumaquamarine:66cdaa mediumblue:0000cd mediumorchid:ba55d3 mediumpurple:9370db
mediumseagreen:3cb371 mediumslateblue:7b68ee mediumspringgreen:00fa9a mediumturquoise:48d1cc mediumvioletred:c71585
midnightblue:191970 mintcream:f5fffa mistyrose:ffe4e1 moccasin:ffe4b5 navajowhite:ffdead navy:000080 oldlace:fdf5e6
olive:808000 olivedrab:6b8e23 orange:ffa500 orangered:ff4500 orchid:da70d6 palegoldenrod:eee8aa palegreen:98fb98
paleturquoise:afeeee palevioletred:db7093 papayawhip:ffefd5 peachpuff:ffdab9 peru:cd853f pink:ffc0cb plum:dda0dd
powderblue:b0e0e6 purple:800080 rebeccapurple:663399 red:ff0000 rosybrown:bc8f8f royalblue:4169e1 saddlebrown:8b4513
salmon:fa8072 sandybrown:f4a460 seagreen:2e8b57 seashell:fff5ee sienna:a0522d silver:c0c0c0 skyblue:87ceeb
slateblue:6a5acd slategray:708090 slategrey:708090 snow:fffafa springgreen:00ff7f steelblue:4682b4 tan:d2b48c
teal:008080 thistle:d8bfd8 tomato:ff6347 turquoise:40e0d0 violet:ee82ee wheat:f5deb3 white:ffffff whitesmoke:f5f5f5
yellow:ffff00 yellowgreen:9acd32
"""
