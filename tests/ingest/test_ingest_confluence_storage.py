"""Confluence's storage format into Markdown."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.confluence_storage import Converted, storage_to_markdown

PAGE = """\
<p>When the <strong>broker</strong>&nbsp;is full, see <ac:link><ri:page ri:content-title="Kafka &amp; disks" ri:space-key="ENG" />\
<ac:plain-text-link-body><![CDATA[the other page]]></ac:plain-text-link-body></ac:link>.</p>
<ac:structured-macro ac:name="toc" ac:schema-version="1" />
<ac:structured-macro ac:name="warning"><ac:parameter ac:name="title">Careful</ac:parameter><ac:rich-text-body><p>Never by hand.</p>
<ac:structured-macro ac:name="code"><ac:parameter ac:name="language">bash</ac:parameter><ac:parameter ac:name="title">look</ac:parameter>\
<ac:plain-text-body><![CDATA[df -h   /data
echo "<b>&amp;" && exit]]></ac:plain-text-body></ac:structured-macro></ac:rich-text-body></ac:structured-macro>
<h2>Steps</h2>
<ac:task-list><ac:task><ac:task-id>1</ac:task-id><ac:task-status>complete</ac:task-status><ac:task-body>drain <code>broker-0</code>\
</ac:task-body></ac:task><ac:task><ac:task-status>incomplete</ac:task-status><ac:task-body>delete</ac:task-body></ac:task></ac:task-list>
<table class="wrapped"><colgroup><col /></colgroup><tbody><tr><th><p>State</p></th><th><p>Do</p></th></tr>
<tr><td><p><ac:structured-macro ac:name="status"><ac:parameter ac:name="colour">Red</ac:parameter>\
<ac:parameter ac:name="title">DOWN</ac:parameter></ac:structured-macro></p></td><td><ul><li>page</li><li>wait</li></ul></td></tr></tbody></table>
"""


def macro(name: str, body: str = "", rich: bool = True, **parameters: str) -> str:
    told = "".join(f'<ac:parameter ac:name="{key}">{value}</ac:parameter>' for key, value in parameters.items())
    kind = "rich-text-body" if rich else "plain-text-body"
    inner = f"<ac:{kind}>{body}</ac:{kind}>" if body else ""
    return f'<ac:structured-macro ac:name="{name}">{told}{inner}</ac:structured-macro>'


def text(storage: str) -> str:
    return storage_to_markdown(storage, site="https://wiki.example.org", space="OPS").text


def test_a_page_becomes_what_its_reader_sees():
    """Boxes, code to the letter, tasks, links by title, tables; no table of contents."""
    assert text(PAGE) == (
        """\
When the **broker** is full, see [the other page](https://wiki.example.org/display/ENG/Kafka+%26+disks).

**Warning: Careful**

Never by hand.

**look**

```bash
df -h   /data
echo "<b>&amp;" && exit
```

## Steps

- [x] drain `broker-0`
- [ ] delete

| State | Do |
| --- | --- |
| **DOWN** | page wait |"""
    )


@pytest.mark.parametrize(
    ("storage", "markdown"),
    [
        ("plain words", "plain words"),
        (macro("info", "<p>a</p>"), "**Info**\n\na"),
        (macro("note", "<p>a</p>"), "**Note**\n\na"),
        (macro("tip", "<p>a</p>"), "**Tip**\n\na"),
        (macro("panel", "<p>a</p>", title="Box"), "**Box**\n\na"),
        (macro("panel", "<p>a</p>"), "a"),
        (macro("expand", macro("panel", macro("info", "<p>a</p>"), title="B"), title="More"), "**More**\n\n**B**\n\n**Info**\n\na"),
        (macro("column", "<p>a</p>"), "a"),
        (macro("unheard-of", "<p>a</p>", title="T"), "**T**\n\na"),
        (macro("unheard-of", "a *b*", rich=False), "```\na *b*\n```"),
        (macro("children") + "<p>a</p>" + macro("anchor", **{"": "top"}), "a"),
        (macro("noformat", "<![CDATA[  a\n\n\tb ]]>", rich=False), "```\n  a\n\n\tb \n```"),
        (macro("code", "<![CDATA[]]>", rich=False) + "a", "a"),
        (macro("code", "<![CDATA[a ``` b]]>", rich=False, language="sql"), "````sql\na ``` b\n````"),
        (macro("code", "<![CDATA[if [[ $a ]]]]><![CDATA[> b]]>", rich=False), "```\nif [[ $a ]]> b\n```"),
        (macro("code", "a &lt;b&gt; &amp;amp;", rich=False), "```\na <b> &amp;\n```"),
        (macro("html", "<![CDATA[<p>a <b>b</b></p>]]>", rich=False), "a **b**"),
        (macro("jira", key="OPS-12"), "OPS-12"),
        (macro("jira", jqlQuery="project = OPS") + "a", "a"),
        (f"<p>{macro('status', title='UP')} now</p>", "**UP** now"),
        (f"<p>{macro('status', colour='Green')}</p>", "**Green**"),
        (macro("excerpt", "<p>a</p>"), "a"),
        ('<ac:macro ac:name="info"><ac:rich-text-body><p>old</p></ac:rich-text-body></ac:macro>', "**Info**\n\nold"),
        (
            '<ac:structured-macro ac:name="include"><ac:parameter ac:name=""><ac:link><ri:page ri:content-title="A/B" /></ac:link>'
            "</ac:parameter></ac:structured-macro>",
            "Included page: [A/B](https://wiki.example.org/display/OPS/A%2FB)",
        ),
        ('<p><ac:link><ri:page ri:content-title="A" /></ac:link></p>', "[A](https://wiki.example.org/display/OPS/A)"),
        ('<p><ac:link><ri:space ri:space-key="~anna" /></ac:link></p>', "[~anna](https://wiki.example.org/display/~anna)"),
        (
            '<p><ac:link><ri:page ri:content-title="A" /><ac:link-body>see <em>A</em></ac:link-body></ac:link></p>',
            "[see A](https://wiki.example.org/display/OPS/A)",
        ),
        ('<p>ask <ac:link><ri:user ri:account-id="1" /></ac:link></p>', "ask @somebody"),
        ('<p><ac:link><ri:attachment ri:filename="a.pdf" /></ac:link></p>', "a.pdf"),
        ('<p>a<ac:link ac:anchor="x"><ac:plain-text-link-body><![CDATA[up]]></ac:plain-text-link-body></ac:link></p>', "aup"),
        ('<p><a href="https://x.org/y">y</a></p>', "[y](https://x.org/y)"),
        ('<p>on <time datetime="2024-05-01" />, a</p>', "on 2024-05-01, a"),
        ('<p>a <ac:emoticon ac:name="tick" ac:emoji-fallback="✅" /></p>', "a ✅"),
        ('<p>a<ac:image><ri:attachment ri:filename="a.png" /></ac:image>b</p>', "ab"),
        ('<p>a <ac:inline-comment-marker ac:ref="1">b</ac:inline-comment-marker> c</p>', "a b c"),
        (
            "<ac:layout><ac:layout-section><ac:layout-cell><p>a</p></ac:layout-cell>"
            "<ac:layout-cell><p>b</p></ac:layout-cell></ac:layout-section></ac:layout>",
            "a\n\nb",
        ),
        (
            "<ac:adf-extension><ac:adf-node type='panel'><ac:adf-attribute key='x'>note</ac:adf-attribute>"
            "<ac:adf-content><p>a</p></ac:adf-content></ac:adf-node><ac:adf-fallback><p>a</p></ac:adf-fallback></ac:adf-extension>",
            "a",
        ),
        ("<ac:task-list></ac:task-list><p>a</p>", "a"),
        ("<ac:task-list><ac:task></ac:task></ac:task-list>", "- [ ]"),
        ("<p>un<b>closed", "un**closed**"),
        ('<ac:structured-macro ac:name="info"><ac:rich-text-body><p>a', "**Info**\n\na"),
        ("<p>a</p><![CDATA[<b>loose</b>]]>", "a\n\n<b>loose</b>"),
        ("<![CDATA[ no end", "<![CDATA[ no end"),
        ("", ""),
    ],
)  # fmt: skip
def test_pieces_of_storage_format(storage: str, markdown: str):
    """Each as a reader would have it."""
    assert text(storage) == markdown


def test_a_table_with_code_is_told_row_by_row():
    """A line of Markdown's table has no room for it, and commands are never joined."""
    code = macro("code", "<![CDATA[kubectl drain a \\\n  --force]]>", rich=False)
    table = f"<table><tbody><tr><th>Step</th><th>Command</th></tr><tr><td>1</td><td>{code}</td></tr></tbody></table>"

    assert text(table) == "**Step**\n\n1\n\n**Command**\n\n```\nkubectl drain a \\\n  --force\n```"


def test_a_table_inside_a_table_keeps_its_form():
    """Tables are used for layout."""
    inner = "<table><tbody><tr><th>a</th></tr><tr><td>1</td></tr></tbody></table>"

    assert (
        text(f"<table><tbody><tr><td><p>x</p></td><td>{inner}</td></tr></tbody></table>")
        == "x\n\n| a |\n| --- |\n| 1 |"
    )


def test_what_a_table_hides_stays_hidden():
    """However it is told."""
    table = "<table><tbody><tr><td><pre>a</pre></td><td style='display: none'>secret</td></tr></tbody></table>"

    assert text(table) == "```\na\n```"


def test_links_stay_words_where_no_site_is_known():
    """Half an address leads nowhere."""
    assert storage_to_markdown('<p><ac:link><ri:page ri:content-title="A" /></ac:link></p>').text == "A"


def test_what_no_reader_sees_is_left_out_and_counted():
    """Hints for the author, and hidden excerpts and properties: places to hide words in."""
    storage = (
        "<p>seen</p><ac:placeholder>type here</ac:placeholder><ac:placeholder> </ac:placeholder>"
        + macro("excerpt", "<p>one</p>", hidden="true") * 2
        + macro("details", "<p>two</p>", hidden="true")
    )

    assert storage_to_markdown(storage) == Converted(
        text="seen", hidden=("1 hidden details", "2 hidden excerpts", "1 placeholder")
    )


def test_deep_nesting_is_refused_and_not_crashed_on():
    """Nobody writes such a page by hand."""
    with pytest.raises(RecursionError):
        text(macro("panel", "") + "<ac:structured-macro ac:name='panel'><ac:rich-text-body>" * 3000)


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("]>[<&;`\n\t"), max_size=60))
def test_code_is_kept_to_the_letter(code: str):
    """Whatever it holds: markup, entities, ends of sections, fences."""
    held = code.replace("]]>", "]]]]><![CDATA[>")
    told = text(macro("code", f"<![CDATA[{held}]]>", rich=False))
    lines = told.split("\n")

    assert "\n".join(lines[1:-1]) == code.strip("\n") if code.strip() else told == ""


@settings(max_examples=50)
@given(st.lists(st.sampled_from(["<p>", "</p>", "<ac:link>", "<ri:page/>", "<table>", "<td>", "</table>", "<![CDATA[", "]]>", "x", "<ac:structured-macro ac:name='code'>", "<ac:plain-text-body>", "<time/>", "<!--", "&amp", "<li>", "<ac:task-list>", "<ac:task>"]), max_size=30))  # fmt: skip
def test_no_markup_breaks_it(pieces: list[str]):
    """Broken pages are read as far as they go."""
    assert isinstance(text("".join(pieces)), str)
