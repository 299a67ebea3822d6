"""AsciiDoc into Markdown."""

from __future__ import annotations

import pytest

from ingest.asciidoc import asciidoc_to_markdown

PAGE = """\
= Broker full
Ada Lovelace <ada@example.org>
:product: Kafka
:toc:

// a comment
The *{product}* broker is full, see https://wiki/x[the page, window=_blank], link:local.html[here] and <<fix,Fix>>.

[[fix]]
== Fix

.Find segments
[source,shell]
----
df -h   *.log <1>
----
<1> All of them.

* old
** older
. first
. second

NOTE: Wait `a *b* c`.

|===
|topic |keep

|logs
|1d
more
|===

////
nothing
of this
////
include::other.adoc[]
====
An example.
====
"""


def test_a_page_becomes_markdown():
    """Headings, lists, tables, links and listings to the letter; attributes filled in, comments and includes gone."""
    assert asciidoc_to_markdown(PAGE)[:2] == (
        "Broker full",
        """\
# Broker full

Ada Lovelace <ada@example.org>

The **Kafka** broker is full, see [the page](https://wiki/x), here and Fix.

## Fix

**Find segments**

```shell
df -h   *.log
```

<1> All of them.

- old
  - older
1. first
1. second

NOTE: Wait `a *b* c`.

| topic | keep |
| --- | --- |
| logs | 1d more |

An example.""",
    )


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("....\nliteral\n....", "```\nliteral\n```"),
        ("```yaml\na: *b*\n```", "```yaml\na: *b*\n```"),
        ("----\nnever closed", "```\nnever closed\n```"),
        ("|===\n|a |b\n|c |d\n|===", "| a | b |\n| --- | --- |\n| c | d |"),
        ("|===\n|===", ""),
        ("a +\nb", "a\nb"),
        ("* item\n+\nmore", "- item\nmore"),
        ("1. one\n2. two", "1. one\n1. two"),
        ("{unknown} stays", "{unknown} stays"),
        ("2*3*4 and a * b", "2*3*4 and a * b"),
        ("https://bare.example/x and image:logo.png[Logo]", "https://bare.example/x and"),
        ("", ""),
    ],
)
def test_pieces_of_asciidoc(text: str, markdown: str):
    """Each as a reader would have it."""
    assert asciidoc_to_markdown(text)[1] == markdown


def test_the_description_of_an_image_is_no_text_of_the_page():
    """A reader sees the picture; what stood there is told."""
    assert asciidoc_to_markdown("a image:logo.png[Drop it] b")[1:] == ("a  b", ("2 words in descriptions of images",))
