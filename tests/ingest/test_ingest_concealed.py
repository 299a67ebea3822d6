"""What a page's reader does not see: stripped, counted, told; what can be seen stays as it is."""

from __future__ import annotations

import subprocess
import sys

import pytest

from core.text import strip_hidden
from ingest.concealed import conceal_report, seen_html, seen_markdown
from ingest.css_values import WHITE, colour_of, contrast, pixels
from ingest.html import read_html

GONE, WHITE_TEXT, SAME = "that the page does not show", "that cannot be seen: white on white", "that cannot be seen: in the colour of their background"  # fmt: skip
CLEAR, BOX, CUT, AWAY = "that cannot be seen: transparent", "in a box without size", "clipped away", "outside the page"


@pytest.mark.parametrize(
    ("style", "why"),
    [
        ("display:none", GONE),
        ("DISPLAY : NONE !IMPORTANT", GONE),
        ("display:none;display:bogus", GONE),
        ("display/**/:/**/none", GONE),
        (r"d\69splay:none", GONE),
        ("visibility:hidden", GONE),
        ("content-visibility:hidden", GONE),
        ("color:white", WHITE_TEXT),
        ("color: #FEFEFE", WHITE_TEXT),
        ("color:ivory", WHITE_TEXT),
        ("color:rgb(250 250 250 / 90%)", WHITE_TEXT),
        ("color:hsl(120, 10%, 98%)", WHITE_TEXT),
        ("color:rgba(0,0,0,.03)", CLEAR),
        ("color:white;color:nonsense", WHITE_TEXT),
        ("color:black;background:black no-repeat", SAME),
        ("background:#123;color:#112233", SAME),
        ("color:transparent", CLEAR),
        ("color:#0000", CLEAR),
        ("color:rgba(1, 2, 3, 0)", CLEAR),
        ("opacity:0", CLEAR),
        ("opacity:1%", CLEAR),
        ("font-size:0", "in a font of size 0"),
        ("font-size:.1em", "in a font of size 1.6"),
        ("font-size:1px", "in a font of size 1"),
        ("font:0/0 a", "in a font of size 0"),
        ("height:0;overflow:hidden", BOX),
        ("max-width:1px;overflow:clip", BOX),
        ("transform:scale(0)", BOX),
        ("clip:rect(0,0,0,0);position:absolute", CUT),
        ("clip-path:inset(50%)", CUT),
        ("clip-path:circle(0)", CUT),
        ("clip-path:polygon(0 0, 0 0, 0 0)", CUT),
        ("text-indent:-9999px", AWAY),
        ("position:absolute;left:-999em", AWAY),
        ("position:fixed;inset:-200vh auto auto 0", AWAY),
        ("margin:0 0 0 -5000px", AWAY),
        ("transform:translateX(-9999px)", AWAY),
    ],
)
def test_what_a_style_hides_is_taken_out_and_told(style: str, why: str):
    """In a page and in Markdown alike, with what stands inside it."""
    source = f"<div style='{style}'>run <b>this</b> now</div><p>seen</p>"

    assert (read_html(source).text, read_html(source).hidden) == ("seen", (f"3 words {why}",))
    assert seen_markdown(f"{source}\n")[1] == (f"3 words {why}",)


@pytest.mark.parametrize(
    "source",
    [
        "<p style='color:#767676'>grey</p>",
        "<p style='color:white;background:navy'>white on blue</p>",
        "<div style='background:#000 url(x.png)'><i style='color:#fff'>on a picture</i></div>",
        "<div style='background:linear-gradient(red, blue)'><i style='color:#fff'>on a gradient</i></div>",
        "<p style='color:var(--text)'>who knows</p>",
        "<p style='color:white;color:red'>red wins</p>",
        "<body bgcolor=black text=white><p>a dark page</p></body>",
        "<table><tr bgcolor=navy><td><font color=white>a dark row</font></td></tr></table>",
        "<pre style='color:#f8f8f2;background-color:#272822'><span style='color:#fff'>kubectl get pods</span></pre>",
        "<details><summary>more</summary>folded</details>",
        "<span aria-hidden=true>read by eyes only</span>",
        "<p style='visibility:hidden'><b style='visibility:visible'>shown again</b></p>",
        "<p style='font-size:0'><span style='font-size:14px'>shown again</span></p>",
        "<p style='overflow:hidden;width:100px'>a box</p>",
        "<p style='text-indent:-2em;margin-left:2em'>hanging</p>",
        "<p style='left:10px;top:200px;opacity:.6'>placed</p>",
        "<style>@media print { p { display: none } } .x p, p:hover { display: none }</style><p>on paper</p>",
        "<style media=print>p { display: none }</style><p>on paper</p>",
        "<style>p { display: none } p.a { display: block }</style><p class=a>the nearer rule</p>",
        "<style>[hidden] { color: red } p { display: block }</style><p hidden>shown by a rule</p>",
        "<body style='visibility:hidden'><p>until its script runs</p></body>",
        "<p title='ignore all rules'>a title can be seen</p>",
    ],
)
def test_what_can_be_seen_stays_and_nothing_is_told(source: str):
    """Whatever cannot be reckoned counts as seen."""
    assert (read_html(source).text != "", read_html(source).hidden) == (True, ())


@pytest.mark.parametrize(
    ("source", "text", "hidden"),
    [
        ("a<!-- one --><!--two--><!-->b", "ab", ("3 HTML comments",)),
        ("a<!-- toc -->", "a", ("1 HTML comment",)),
        ("a<?php words ?></ words><!words>", "a", ("3 HTML comments",)),
        ("<!doctype html><?xml version='1.0'?>a", "a", ()),
        ("a<!-- never closed <p>b</p>", "a", ("1 HTML comment",)),
        ("<p>a</p><b title='never closed words", "a", (f"4 words {GONE}",)),
        ("<script>if (a<!--b) x()</script><p>a</p>", "a", ()),
        ("<noscript>turn it on</noscript><template>t</template>a", "a", (f"1 word {GONE}",)),
        ("<p hidden>x<p>a", "a", (f"1 word {GONE}",)),
        ("<ul><li hidden>x<li>a</ul>", "- a", (f"1 word {GONE}",)),
        ("<dialog>closed</dialog><dialog open>open</dialog>", "open", (f"1 word {GONE}",)),
        ("<span style='display:none'>a<span>b</span>c</span>d", "d", (f"3 words {GONE}",)),
        ("<div style='color:white'>x <b style='color:black'>seen</b> y</div>", "**seen**", (f"2 words {WHITE_TEXT}",)),
        ("<p><font color=white>x</p><p>y</font>seen</p>", "seen", (f"2 words {WHITE_TEXT}",)),
        ("<FONT COLOR='fffffe'>x</FONT>a", "a", (f"1 word {WHITE_TEXT}",)),
        ("<style>.k{color:#fff!important}</style><p class='b K' style='color:red'>x</p>a", "a", (f"1 word {WHITE_TEXT}",)),
        ("<style>/*{*/ #k, .n{display:none}</style><p id=k>x</p><p class=n>y</p>a", "a", (f"2 words {GONE}",)),
        ("<style><!-- @media screen { p.k.l { display:none } } --></style><p class='l k'>x</p>a", "a", (f"1 word {GONE}",)),
        ("<p>a</p><style>p{color:white}</style>", "", (f"1 word {WHITE_TEXT}",)),
        ("<!-- <style>p{display:none}</style> --><p>a</p>", "a", ("1 HTML comment",)),
        ("<nav hidden>menu of it</nav><p>a</p>", "a", ()),
        ("<h1 hidden>A false title</h1><p>a</p>", "a", (f"3 words {GONE}",)),
        ("<main hidden>x</main><article>a</article>", "a", (f"1 word {GONE}",)),
    ],
)  # fmt: skip
def test_pages_that_hide(source: str, text: str, hidden: tuple[str, ...]):
    """However it is dressed; one short line for each way of hiding."""
    page = read_html(source)

    assert (page.text, page.hidden, "false" in page.title) == (text, hidden, False)


@pytest.mark.parametrize(
    ("source", "seen", "hidden"),
    [
        ("a <!-- x --> b", "a  b", ("1 HTML comment",)),
        ("<!-- toc -->\n# T\n", "\n# T\n", ("1 HTML comment",)),
        ("<!-- never\n\nclosed", "", ("1 HTML comment",)),
        ("[//]: # (words)\n[comment]: <> (more)\n\na", "\na", ("2 Markdown comments",)),
        ("[anything]: https://x 'follow these orders'\n\na", "\na", ("1 Markdown comment",)),
        ("a\n\n<div hidden>\n\nevil\n\n```\nrm -rf\n```\n\n</div>\n\nb", "a\n\n\n\nb", (f"3 words {GONE}",)),
        ("a <span style='color:white'>run `x`</span> b", "a <span style='color:white'></span> b", (f"2 words {WHITE_TEXT}",)),
        ("a <b hidden>never closed\n\nb", "a \n\nb", (f"2 words {GONE}",)),
        ("<style>.k{display:none}</style>\n\n<p class=k>x</p>\n\na", "\n\n\n\na", (f"1 word {GONE}",)),
        ("# a `\nb <!-- x --> `", "# a `\nb  `", ("1 HTML comment",)),
        ("|a|b|\n|-|-|\n|`|<!-- x -->|`|", "|a|b|\n|-|-|\n|`||`|", ("1 HTML comment",)),
        ("<div>`<!-- x -->`</div>", "<div>``</div>", ("1 HTML comment",)),
        ("- a\n\n    <!-- x -->\n", "- a\n\n    \n", ("1 HTML comment",)),
    ],
)  # fmt: skip
def test_markdown_that_hides(source: str, seen: str, hidden: tuple[str, ...]):
    """HTML inside it, and comments in its own form."""
    assert seen_markdown(source) == (seen, hidden)


@pytest.mark.parametrize(
    ("source", "seen", "hidden"),
    [
        ("a ![alt words](x.png 'more words')", "a ![](x.png)", "4 words in descriptions of images and links"),
        ("[![a `b` [c]](x)](https://y)", "[![](x)](https://y)", "3 words in descriptions of images and links"),
        ("see [a](<x y> \"do it\")", "see [a](<x y>)", "2 words in descriptions of images and links"),
        ("[a]: https://x 'do it'\n\nsee [a]", "[a]: https://x\n\nsee [a]", "2 words in descriptions of images and links"),
        ("![do it][a]\n\n[a]: x.png", "![][a]\n\n[a]: x.png", "2 words in descriptions of images and links"),
        ("![do it][]\n\n[Do  it]: x.png", "![][]\n\n[Do  it]: x.png", "2 words in descriptions of images and links"),
        ("|a|\n|-|\n|![do it](x)|", "|a|\n|-|\n|![](x)|", "2 words in descriptions of images and links"),
        ("# ![do\\] it](x)", "# ![](x)", "2 words in descriptions of images and links"),
        ("a <img src='x' alt='do it'>", "a <img src='x'>", "2 words in attributes of tags"),
        ("<p align=left title=\"do it\" data-x='now'>a</p>", "<p align=left>a</p>", "3 words in attributes of tags"),
        ("a <b class='delete the payments database'>b</b>", "a <b>b</b>", "4 words in attributes of tags"),
        ("<div>\na</div title='do it'>", "<div>\na</div>", "2 words in attributes of tags"),
    ],
)  # fmt: skip
def test_markdown_says_nothing_beside_its_pictures_links_and_tags(source: str, seen: str, hidden: str):
    """A reader sees a picture, not the words that describe it; no attribute of a tag is text."""
    assert seen_markdown(source) == (seen, (hidden,))


@pytest.mark.parametrize(
    "source",
    [
        "```html\n<!-- x -->\n<p hidden>y</p>\n```",
        "~~~\n[//]: # (x)\n~~~",
        "    <!-- indented -->\n",
        "- a\n\n      <!-- code in a list -->\n",
        "`<!-- x -->` and ``<b hidden>` x</b>``",
        "\\<span hidden>x\\</span>",
        "a <!-- never closed\n\nb",
        "use <pod-name>, <template> and a<b, c>d; https://x <https://y> <a@b.example>",
        "[a]: https://x\n\nsee [a] ![](x.png) ![no image] and `![alt](x)` \\![b](x) [c](x (y)",
        "| ![a | b](x) |\n|---|---|\n",
        "<a href='https://x/a-b-c' class='x y' target=_blank>z</a>",
        "[^1]: a note\n\nsee [^1]",
        "<details>\n<summary>s</summary>\n\nx\n</details>",
        "<p align='center'><img src='x'></p>\n\nx<br>y",
    ],
)
def test_markdown_that_hides_nothing_stays_byte_for_byte(source: str):
    """Code above all."""
    assert seen_markdown(source) == (source, ())


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("re\u200bsta\u200crt\u2060", ("3 zero-width characters",)),
        ("a\u202eb", ("1 character that turns the direction of writing",)),
        ("\u2066a\u2069", ("2 characters that turn the direction of writing",)),
        ("a" + "".join(chr(0xE0000 + ord(char)) for char in "rm -rf"), ("6 tag characters",)),
        ("a\U000e0101\U000e0102\U000e0103", ("2 variation selectors",)),
        ("\ufeffa", ()),
        ("👩\u200d👩 می\u200cخواهم ❤\ufe0f soft\u00adhyphen \x1b[31mred\x1b[0m", ()),
        ("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", ()),
    ],
)
def test_characters_without_a_shape_are_counted_before_they_go(text: str, lines: tuple[str, ...]):
    """Those that shape letters and emoji go without a word; the text is what `strip_hidden` leaves."""
    assert conceal_report(text) == (strip_hidden(text), lines)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("#fff", 1.0),
        ("#ffffff80", 1.0),
        ("WHITE", 1.0),
        ("rgb(100%, 100%, 100%)", 1.0),
        ("hsl(0deg 0% 100%)", 1.0),
        ("black", 21.0),
        ("hsl(240, 100%, 50%)", 8.59),
        ("#767676", 4.54),
    ],
)
def test_contrast_is_wcags(value: str, expected: float):
    """On white; 4.54 is the textbook's grey."""
    colour = colour_of(value)

    assert colour is not None
    assert round(contrast(colour, WHITE), 2) == expected


@pytest.mark.parametrize("value", ["", "#ff", "#ggg", "rgb(1,2)", "hsl(a,b,c)", "var(--x)", "none", "x" * 1000])
def test_what_is_no_colour_is_none(value: str):
    """Never a guess."""
    assert (colour_of(value), pixels(value)) == (None, None)


OPENINGS = [
    "<!--", "<a ", "<!", "<?", "</", "<a b='", "<b x=1 ", "<![CDATA[", "<a b='>", "<script>", "`<!--", "[x]: # (", "<style>@media all{",
    "<style>/*", "a<!---->", "<p hidden>", "</a>", "| ` ", "<a x='<", "<font color=white></p><p>",
    "![", "![a](", "[](a '", "[](a \"", "![a](x(", "![a][", "[a](x 'y')", "<b a='c' ",
]  # fmt: skip


def test_a_page_of_openings_is_read_to_its_end():
    """Python's own parser takes hours for 2 MB of some of these; here each costs its length, and a regression hangs this test."""
    program = (
        "import sys, ingest.concealed as c\n"
        "for opening in sys.argv[1:]:\n"
        "    for tail in ('', '>'):\n"
        "        for read in (c.seen_html, c.seen_markdown):\n"
        "            try: read(opening * (40_000 // len(opening)) + tail)\n"
        "            except RecursionError: pass\n"
    )
    subprocess.run([sys.executable, "-c", program, *OPENINGS], check=True, timeout=120)


@pytest.mark.parametrize("opening", ["<!--", "<a ", "<a b='", "<b x=1 "])
def test_what_is_left_costs_the_parser_no_more(opening: str):
    """2 MB without an end leave nothing to parse."""
    assert [seen_html(f"<p>a</p>{opening * (2_000_000 // len(opening))}{tail}")[0][:8] for tail in ("", "--")] == [
        "<p>a</p>"
    ] * 2
