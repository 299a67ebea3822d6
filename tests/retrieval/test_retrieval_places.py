"""Addresses and documents recognised as one page."""

from __future__ import annotations

import pytest

from retrieval.places import place_keys, same_place, section_key, section_url

_GITHUB = "https://github.com/openshift/runbooks/blob/master/alerts/cluster-kube-apiserver-operator/KubeAPIDown.md"
_KAFKA = "page:wiki.example.org/wiki/kafka/broker_full"


@pytest.mark.parametrize(
    ("place", "keys"),
    [
        (
            "https://runbooks.prometheus-operator.dev/runbooks/kubernetes/kubepodcrashlooping",
            (
                "page:runbooks.prometheus-operator.dev/runbooks/kubernetes/kubepodcrashlooping",
                "path:kubernetes/kubepodcrashlooping",
                "name:kubepodcrashlooping",
            ),
        ),
        (
            "content/runbooks/kubernetes/KubePodCrashLooping.md",
            ("path:kubernetes/kubepodcrashlooping", "name:kubepodcrashlooping"),
        ),
        (
            _GITHUB,
            (
                "page:github.com/openshift/runbooks/alerts/cluster-kube-apiserver-operator/kubeapidown",
                "path:clusterkubeapiserveroperator/kubeapidown",
                "name:kubeapidown",
            ),
        ),
        (
            "https://github.com/kubernetes-monitoring/kubernetes-mixin/tree/master/runbook.md#alert-name-kubepodcrashlooping",
            ("page:github.com/kubernetes-monitoring/kubernetes-mixin/runbook",),
        ),
        (
            "https://acme.atlassian.net/wiki/spaces/OPS/pages/12345/Broker+full",
            (
                "page:acme.atlassian.net/#12345",
                "page:acme.atlassian.net/wiki/ops/broker_full",
                "path:ops/brokerfull",
                "name:brokerfull",
            ),
        ),
        ("https://wiki.acme.com/pages/viewpage.action?pageId=12345", ("page:wiki.acme.com/#12345",)),
        ("https://runbooks.internal/view?id=42&utm_source=mail", ("page:runbooks.internal/view?id=42",)),
        ("https://docs.acme.com/", ("page:docs.acme.com",)),
        ("kafka/README.md", ("name:kafka",)),
        ("runbooks/index.md", ()),
        ("https://wiki/{{ $labels.service }}", ()),
        ("javascript:alert(1)", ()),
        ("ftp://wiki/page", ()),
        ("https://[broken", ()),
        ("", ()),
    ],
)
def test_a_place_has_keys_strongest_first(place: str, keys: tuple[str, ...]):
    """The page itself, its last two steps, its name; nothing that many pages share, nothing unsafe."""
    assert place_keys(place) == keys


@pytest.mark.parametrize(
    ("one", "other", "worth"),
    [
        (_GITHUB, _GITHUB.replace("/blob/master/", "/edit/main/"), 1.0),
        (_GITHUB, "https://raw.githubusercontent.com/openshift/runbooks/main/" + _GITHUB.split("/master/")[1], 1.0),
        (_GITHUB, "alerts/cluster-kube-apiserver-operator/KubeAPIDown.md", 0.7),
        (_GITHUB, "kubernetes/KubeAPIDown.md", 0.4),
        (_GITHUB, "alerts/cluster-kube-apiserver-operator/KubeAPIErrorBudgetBurn.md", 0.0),
        (_GITHUB, "https://github.com/openshift/runbooks/blob/master/README.md", 0.0),
        ("HTTPS://Docs.Acme.com/Kafka/", "https://www.docs.acme.com/kafka/index.html#fix", 1.0),
        ("https://docs.acme.com/#/kafka/full", "https://docs.acme.com/kafka/full.md", 1.0),
        ("https://docs.acme.com/kafka", "https://other.acme.com/kafka", 0.4),
        (
            "https://gitlab.acme.com/a/b/c/-/blob/main/x/Full.md",
            "https://gitlab.acme.com/a/b/c/-/raw/dev/x/Full.md",
            1.0,
        ),
        ("https://bitbucket.org/a/b/src/main/x/Full.md?at=main", "https://bitbucket.org/a/b/src/dev/x/Full.md", 1.0),
        ("https://gitea.acme.com/a/b/src/branch/main/x/Full.md", "https://gitea.acme.com/a/b/raw/dev/x/Full.md", 1.0),
        ("https://wiki.example.org/w/index.php?title=Kafka/Broker_full&action=edit", _KAFKA, 1.0),
        ("https://wiki.example.org/wiki/Kafka/Broker%20full", _KAFKA, 1.0),
        ("https://wiki.example.org/index.php/Kafka/Broker_full", _KAFKA, 1.0),
        (
            "https://wiki/display/OPS/Broker+full",
            "https://wiki/pages/viewpage.action?spaceKey=OPS&title=Broker+full",
            1.0,
        ),
        ("https://wiki/display/OPS/Broker+full", "https://wiki/display/DEV/Broker+full", 0.4),
        ("https://wiki/spaces/OPS/pages/7/Old+title", "https://wiki/spaces/OPS/pages/7/New+title", 1.0),
        (
            "https://www.notion.so/acme/Broker-full-0123456789abcdef0123456789abcdef",
            "https://notion.so/0123456789abcdef0123456789abcdef",
            1.0,
        ),
        ("https://a/runbooks/broker-disk-full", "docs/Broker_Disk_Full.md", 0.4),
    ],
)
def test_two_places_are_one_page_with_a_certainty(one: str, other: str, worth: float):
    """Other views of a file, other forms of a wiki's address, other sites that publish it; not other pages."""
    keys = (other,) if other.startswith("page:") else place_keys(other)

    assert (same_place(place_keys(one), keys), same_place(keys, place_keys(one))) == (worth, worth)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("https://x/runbook.md#alert-name-kubepodcrashlooping", "alertnamekubepodcrashlooping"),
        ('Alert Name: "KubePodCrashLooping"', "alertnamekubepodcrashlooping"),
        ("https://wiki/w/Kafka#Broker_is%20full", "brokerisfull"),
        ("runbooks/kafka.md#fix", "fix"),
        ("https://wiki/w/Kafka", ""),
    ],
)
def test_a_section_is_known_by_its_letters(text: str, key: str):
    """However a site makes an anchor of a heading."""
    assert section_key(text) == key


@pytest.mark.parametrize(
    ("url", "section", "linked"),
    [
        ("https://github.com/a/ops/blob/main/disk.md", ("Disk", "What to do (first!)"), "#what-to-do-first"),
        ("https://gitlab.example.org/a/ops/-/blob/main/disk.md", ("Free_space now",), "#free_space-now"),
        ("https://bitbucket.org/a/ops/src/main/disk.md", ("Free space",), "#markdown-header-free-space"),
        ("https://acme.atlassian.net/wiki/spaces/OPS/pages/7/Disk", ("Free space",), "#Free-space"),
        ("https://wiki.acme.org/display/OPS/Disk", ("Free space",), "#Diskfull-Freespace"),
        ("https://wiki.acme.org/pages/viewpage.action?pageId=7", ("Free space",), "#Diskfull-Freespace"),
        ("https://wikitech.example.org/wiki/Disk", ("Größe prüfen",), "#Gr%C3%B6%C3%9Fe_pr%C3%BCfen"),
        ("https://wiki.example.org/w/index.php?title=Disk", ("Free space",), "#Free_space"),
        ("https://docs.example.org/disk.html", ("Free space",), ""),
        ("https://github.com/a/ops/blob/main/disk.md", (), ""),
        ("https://github.com/a/ops/blob/main/disk.md", ("Disk full",), ""),
        ("https://github.com/a/ops/blob/main/disk.md#mine", ("Free space",), ""),
        ("https://[::1", ("Free space",), ""),
    ],
)
def test_a_section_is_linked_as_its_site_names_it(url: str, section: tuple[str, ...], linked: str):
    """Where the site's way is not known, and for the page's own heading, the page is."""
    assert section_url(url, "Disk full", section) == url + linked


def test_a_linked_section_is_still_its_page():
    """What the alert names is found by the address that the card shows."""
    page = "https://github.com/a/ops/blob/main/disk.md"
    assert same_place(place_keys(page), place_keys(section_url(page, "Disk", ("Fix",)) or "")) == 1.0
    assert section_url(None, "Disk", ("Fix",)) is None
