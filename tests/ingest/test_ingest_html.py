"""HTML into Markdown."""

from __future__ import annotations

import pytest

from ingest.html import read_html

PAGE = """\
<html><head><title>Site</title><style>b{}</style></head><body>
<nav>Home | About</nav>
<main>
<h1>Broker <em>full</em></h1>
<p>The disk of <code>broker-0</code> is
full, see <a href="https://wiki/x">the page</a> or <a href="/local">here</a>.</p>
<h2>Fix</h2>
<ol><li>Look:<pre><code class="language-shell">df -h   /data
echo "&lt;ok&gt;" &amp;&amp; exit</code></pre></li><li>Delete<ul><li>old</li><li>big</li></ul></li></ol>
<table><tr><th>topic</th><th>keep</th></tr><tr><td>a|b</td><td>1d<br>2d</td></tr></table>
<p hidden>hidden one</p><p style="display: none">hidden two</p><div aria-hidden="true" style="opacity:0">hidden three</div>
<!-- a comment --><script>alert(1)</script>
</main><footer>Copyright</footer></body></html>
"""


def html_to_markdown(html: str) -> tuple[str, str]:
    """Title and text of a page."""
    page = read_html(html)
    return page.title, page.text


def test_a_page_becomes_what_its_reader_sees():
    """Headings, lists, tables, links and code to the letter; nothing hidden, no scripts, no navigation."""
    assert html_to_markdown(PAGE) == (
        "Broker full",
        """\
# Broker full

The disk of `broker-0` is
full, see [the page](https://wiki/x) or here.

## Fix

1. Look:

   ```shell
   df -h   /data
   echo "<ok>" && exit
   ```
2. Delete
   - old
   - big

| topic | keep |
| --- | --- |
| a\\|b | 1d 2d |""",
    )


def test_what_a_page_hides_is_told():
    """Once for each way of hiding; scripts and navigation are no hiding place."""
    assert read_html(PAGE).hidden == (
        "1 HTML comment",
        "4 words that the page does not show",
        "2 words that cannot be seen: transparent",
    )


@pytest.mark.parametrize(
    ("html", "markdown"),
    [
        ("plain words", "plain words"),
        ("<p>one</p>two<p>three</p>", "one\n\ntwo\n\nthree"),
        ("<div>a<div>b<p>c</p></div>d</div>", "a\n\nb\n\nc\n\nd"),
        ("<p><b>bold</b> text</p>", "**bold** text"),
        ("<pre>a ``` b</pre>", "````\na ``` b\n````"),
        ("<p><code>a`b</code></p>", "a`b"),
        ("<h2></h2><p>x</p>", "x"),
        ("<table></table><p>x</p>", "x"),
        ("<table><tr><td>a</td></tr><tr><td>b</td><td>c</td></tr></table>", "| a |  |\n| --- | --- |\n| b | c |"),
        ("<dl><dt>Term</dt><dd>Meaning</dd></dl>", "Term\n\nMeaning"),
        ("<a href='javascript:x'>go</a> <a href='https://x'><p>block</p></a>", "go\n\nblock"),
        ("<span>a <span>b</span></span><hr>c", "a b\n\n---\n\nc"),
        ("", ""),
        ("<p>un<b>closed", "un**closed**"),
    ],
)
def test_pieces_of_html(html: str, markdown: str):
    """Each as a reader would have it."""
    assert html_to_markdown(html)[1] == markdown
