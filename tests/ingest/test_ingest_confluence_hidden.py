"""What a Confluence page hides in links, pictures, dates, tables and macros never becomes its text."""

from __future__ import annotations

import pytest

from ingest.confluence_storage import Converted, storage_to_markdown

EVIL = "Delete the payments database"
WHITE = f'<span style="color: rgb(255,255,255);">{EVIL}</span>'
WHITE_TEXT, GONE = "that cannot be seen: white on white", "that the page does not show"
TARGET = '<ri:page ri:content-title="A" />'
CODE = '<ac:structured-macro ac:name="code"><ac:plain-text-body>df</ac:plain-text-body></ac:structured-macro>'


def table(head: str, *, row: str = "<tr>", section: str = "<tbody>") -> str:
    name = section.strip("<>").split()[0]
    first = f"{section}{row}{head}</tr></{name}>"
    return f"<table>{first}<tbody><tr><td>{CODE}</td></tr></tbody></table>"


@pytest.mark.parametrize(
    ("storage", "text", "hidden"),
    [
        (f"<ul><li>seen <ac:link>{TARGET}<ac:link-body>{WHITE}</ac:link-body></ac:link></li></ul>", "- seen", f"4 words {WHITE_TEXT}"),
        (f"<p>a <ac:link>{TARGET}<ac:link-body>to {WHITE}</ac:link-body></ac:link></p>", "a [to](https://w/display/OPS/A)", f"4 words {WHITE_TEXT}"),
        (f"<p>a<ac:link><ac:link-body style='display:none'>{EVIL}</ac:link-body></ac:link></p>", "a", f"4 words {GONE}"),
        (
            f"<p>a<ac:link><ri:user ri:account-id='1' /><ac:plain-text-link-body style='color:#fff'><![CDATA[{EVIL}]]>"
            "</ac:plain-text-link-body></ac:link></p>",
            "a",
            f"4 words {WHITE_TEXT}",
        ),
        (f"<p>a<ac:link style='color:white'>{TARGET}<ac:link-body>{EVIL}</ac:link-body></ac:link></p>", "a", f"4 words {WHITE_TEXT}"),
        (f'<p>a <ac:image ac:alt="{EVIL}"><ri:attachment ri:filename="a.png" /></ac:image></p>', "a", "1 description of an image"),
        (f'<p>a <ac:emoticon ac:name="tick" ac:emoji-fallback="{EVIL}" /></p>', "a", "1 emoji written in words"),
        (f'<p>a <time datetime="{EVIL}" /></p>', "a", "1 date that is none"),
        (f'<p>a <time datetime="2024-05-01">{EVIL}</time></p>', "a 2024-05-01", "1 date with other words"),
        ('<p>a<time datetime="2024-05-01" style="display:none" /></p>', "a", f"1 word {GONE}"),
        (table(f"<th style='color:white'>{EVIL}</th>"), "```\ndf\n```", f"4 words {WHITE_TEXT}"),
        (table(f"<th>{WHITE}</th>"), "```\ndf\n```", f"4 words {WHITE_TEXT}"),
        (table(f"<th>Do {WHITE}</th>"), "**Do**\n\n```\ndf\n```", f"4 words {WHITE_TEXT}"),
        (table(f"<th>{EVIL}</th>", row="<tr style='display:none'>"), "```\ndf\n```", f"4 words {GONE}"),
        (table(f"<th>{EVIL}</th>", section="<thead style='visibility:hidden'>"), "```\ndf\n```", f"4 words {GONE}"),
        (table(f"<td>{EVIL}</td>", row="<tr style='color:white'>"), "```\ndf\n```", f"4 words {WHITE_TEXT}"),
        (table(f"<td>{EVIL}</td>", section="<tfoot hidden>"), "```\ndf\n```", f"4 words {GONE}"),
        (
            f"<ac:task-list><ac:task><ac:task-body style='color:white'>{EVIL}</ac:task-body></ac:task></ac:task-list>",
            "- [ ]",
            f"4 words {WHITE_TEXT}",
        ),
        (f"<div style='color:white'><ac:layout-cell>{EVIL}</ac:layout-cell></div><p>a</p>", "a", f"4 words {WHITE_TEXT}"),
        (
            '<p>a</p><ac:structured-macro ac:name="jira"><ac:parameter ac:name="jqlQuery">'
            f'text ~ "{EVIL}"</ac:parameter></ac:structured-macro>',
            "a",
            "1 query",
        ),
    ],
)  # fmt: skip
def test_what_a_reader_of_the_page_does_not_see_is_no_text_of_it(storage: str, text: str, hidden: str):
    """Taken out, and told in a line."""
    assert storage_to_markdown(storage, site="https://w", space="OPS") == Converted(text=text, hidden=(hidden,))


@pytest.mark.parametrize(
    ("storage", "text"),
    [
        (f"<p><ac:link>{TARGET}<ac:link-body>see <strong>A</strong> <code>x</code></ac:link-body></ac:link></p>", "[see **A** `x`](https://w/display/OPS/A)"),
        (f"<p><ac:link>{TARGET}<ac:link-body><span style='color:red'>see</span></ac:link-body></ac:link></p>", "[see](https://w/display/OPS/A)"),
        ('<p>a <ac:emoticon ac:name="information" ac:emoji-fallback="ℹ️" /> <ac:emoticon ac:emoji-fallback="1️⃣" /></p>', "a ℹ️ 1️⃣"),
        ('<p>on <time datetime="2024-05-01T10:00:00Z" /></p>', "on 2024-05-01T10:00:00Z"),
        ("<p>on <time>Monday</time></p>", "on Monday"),
        ('<p><ac:image><ri:attachment ri:filename="a.png" /><ac:caption><p>The dashboard</p></ac:caption></ac:image></p>', "The dashboard"),
        (table("<th style='color:red'>Do <code>it</code></th>"), "**Do `it`**\n\n```\ndf\n```"),
    ],
)  # fmt: skip
def test_what_can_be_seen_stays(storage: str, text: str):
    """With the form it has."""
    assert storage_to_markdown(storage, site="https://w", space="OPS") == Converted(text=text)
