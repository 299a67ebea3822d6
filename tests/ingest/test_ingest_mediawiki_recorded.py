"""The stand-in answers as MediaWiki does: its answers beside those that a real one gave to the same requests.

MediaWiki publishes no schema of its API. `mediawiki_recorded.json` holds what version 1.39.17 answered on 2026-11-20, on a
wiki of a few pages made for it; namespaces and rights are cut to a few, and the advice beside errors is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.standin.mediawiki import USER, MediaWikiStandIn

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "mediawiki_recorded.json").read_text())["recorded"]
#: What the reader takes from a page. The real one gives all of it.
READ = {"pageid", "title", "contentmodel", "touched", "lastrevid", "length", "canonicalurl", "revisions", "categories"}


@pytest.fixture(name="wiki", scope="module")
def _wiki() -> Iterator[MediaWikiStandIn]:
    """The pages that the recorded answers are of."""
    with MediaWikiStandIn() as wiki:
        wiki.edit("Kafka/Broker disk full", "<p>b</p>", categories=["Runbooks"])
        wiki.edit("Kafka", "<p>k</p>", categories=["Kafka runbooks"])
        wiki.edit("Page 1", "<p>1</p>")
        wiki.edit("Category:Runbooks", "")
        wiki.edit("Category:Kafka runbooks", "", categories=["Runbooks"])
        for number in range(4):
            wiki.redirect(f"Alias {number}", "Kafka/Broker disk full")
        wiki.redirect("Kafkaesque", "Kafka", categories=["Dead"])
        wiki.redirect("Nowhere", "Not there", categories=["Dead"])
        yield wiki


def shapes(value: Any, path: str = "") -> set[tuple[str, str]]:
    """Every place in an answer with the type of what stands there; all items of a list are one place."""
    if isinstance(value, dict):
        found = [
            shapes(item, f"{path}.{'*' if path.endswith('.namespaces') else name}") for name, item in value.items()
        ]
        return set().union(*found)
    if isinstance(value, list):
        return set().union(*[shapes(item, f"{path}[]") for item in value])
    return {(path, type(value).__name__)}


def answered(wiki: MediaWikiStandIn, name: str) -> Any:
    """What the stand-in answers to a recorded request."""
    params = RECORDED[name]["params"] | {"format": "json", "formatversion": "2"}
    if name == "parse":
        params["oldid"] = str(wiki.pages[1].revid)
    with httpx.Client(trust_env=False) as http:
        if not name.startswith("login"):
            return http.get(wiki.api, params=params).json()
        asked = {"action": "query", "meta": "tokens", "type": "login"}
        token = http.get(wiki.api, params=asked).json()["query"]["tokens"]["logintoken"]
        sent = {"action": "login", "lgname": USER, "lgtoken": token}
        sent["lgpassword"] = wiki.password if name == "login" else "wrong"
        return (http.get(wiki.api, params=sent) if name == "login_get" else http.post(wiki.api, data=sent)).json()


@pytest.mark.parametrize("name", RECORDED)
def test_the_stand_in_gives_nothing_that_the_real_one_does_not(wiki: MediaWikiStandIn, name: str):
    """Every place of its answers, with its type, is in the recorded ones; errors have the same code and words."""
    answer, recorded = answered(wiki, name), RECORDED[name]["answer"]
    known = set().union(*[shapes(RECORDED[other]["answer"]) for other in RECORDED if other[:4] == name[:4]])
    if name in ("pages", "pages_more", "members", "dead"):
        known = set().union(
            *[shapes(RECORDED[other]["answer"]) for other in ("pages", "pages_more", "members", "dead")]
        )

    assert shapes(answer) - known == set()
    assert answer.get("error") == recorded.get("error")


@pytest.mark.parametrize("name", ["pages", "dead"])
def test_pages_of_both_hold_what_is_read(wiki: MediaWikiStandIn, name: str):
    """The page with most to tell has all of it; one that is not there has no revision."""
    for answer in (answered(wiki, name), RECORDED[name]["answer"]):
        pages = answer["query"]["pages"]

        assert any(set(page) >= READ for page in pages)
        assert [page.get("lastrevid") for page in pages if page.get("missing")] == [None] * (name == "dead")
