"""What two texts have in common, literally."""

from __future__ import annotations

import pytest

from retrieval.alike import alert_key, alert_name, areas_in, rule_in, shared_areas, shared_errors, shared_names


@pytest.mark.parametrize(
    ("title", "key"),
    [
        ("[FIRING:2] Checkout answers 500 on web-3", "checkout answers"),
        ("[#1234] Checkout answers 503", "checkout answers"),
        ("[P1] [FIRING:12] KubePodCrashLooping", "kubepodcrashlooping"),
        ("checkout 5xx rate 12.5% > 5%", "checkout 5xx rate"),
        ("checkout 4xx rate 12.5% > 5%", "checkout 4xx rate"),
        ("Disk full on /var 91%", "disk full on /var"),
        ("Node node-1.eqiad.wmnet unreachable", "node unreachable"),
        ("Pod checkout-7d9f8b6c5-x2x4z killed at 09:12:33Z", "pod killed"),
        ("DiskFull db1034 10.0.3.7 3f2c1ab9d", "diskfull"),
        ("Checkout answers 500 (Monday, 4 May)", "checkout answers"),
        ("2026-03-04: checkout queue grows", "checkout queue grows"),
        ("March 4th, 2026 checkout queue grows", "checkout queue grows"),
        ("Checkout may march on", "checkout may march"),
        ("504", ""),
        ("Outage", ""),
        ("Service down", ""),
        ("", ""),
    ],
)
def test_what_changes_from_one_alert_to_the_next_is_split_off(title: str, key: str):
    """Numbers, hosts, ids and badges; a title that says nothing without them has no key."""
    assert alert_key(title) == key


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('labels: alertname="KubePodCrashLooping"', "KubePodCrashLooping"),
        ("firing: Labels:\n - alertname = DiskFull\n - job = node", "DiskFull"),
        ("labels.alertname: checkout.errors", "checkout.errors"),
        ("the alert was loud", None),
        ("Alert: nothing works\nAlert: DiskFull", "DiskFull"),
    ],
)
def test_an_alert_names_its_rule(text: str, name: str | None):
    """As Alertmanager and others write it."""
    assert alert_name(text) == name


@pytest.mark.parametrize(
    ("title", "rule"),
    [
        ("4 March: HighErrorRate on web-3", "HighErrorRate"),
        ("[FIRING:2] KubePodCrashLooping (Tuesday)", "KubePodCrashLooping"),
        ("DiskFull db1034", "DiskFull"),
        ("JupyterHub: NodeClockDriftSeen", "NodeClockDriftSeen"),
        ("CPUThrottlingHigh", "CPUThrottlingHigh"),
        ("JupyterHub is slow", None),
        ("GitHub Actions and PagerDuty fail", None),
        ("Checkout answers ERRORS on web-DiskFull-1", None),
        ("db1034 down", None),
        ("AlertManager disk is nearly full", None),
        ("NullPointerException in checkout", None),
        ("TooManyRequests from payment provider", None),
        ("OutOfMemory on web-3, TimeOut, CheckOut, FailOver", None),
    ],
)
def test_a_title_names_a_rule_where_it_tells_of_trouble(title: str, rule: str | None):
    """In one word of several parts; products and hosts are spelled like that too."""
    assert rule_in(title) == rule


@pytest.mark.parametrize(
    ("asked", "past", "shared"),
    [
        ("pool 3 exhausted", "the pool exhausted itself; pool exhausted", ("pool exhausted",)),
        ("ERROR: Connection Pool exhausted!", "hikari: connection pool exhausted after 30s", ("Connection Pool exhausted",)),
        ("pool\nexhausted", "pool exhausted", ()),
        ("pool. exhausted", "pool exhausted", ()),
        ("error rate is high", "error rate is high", ()),
        ("http errors on checkout", "http errors on checkout", ()),
        ("checkout timed out", "checkout timed out", ()),
        ("write failed: no space left on device", "no space left on device", ("no space left on device",)),
        ("killed: out of memory", "out of memory", ("out of memory",)),
        ("disk quota exceeded on node-1", "disk quota exceeded on node-7", ("disk quota exceeded",)),
        ("the new release works", "the new release works", ()),
    ],
)  # fmt: skip
def test_an_error_text_is_the_same_where_both_hold_it(asked: str, past: str, shared: tuple[str, ...]):
    """Word for word but for numbers and hosts, in one sentence, and more than every other alert says."""
    assert shared_errors(asked, past, known=("checkout",)) == shared


def test_an_error_text_says_more_than_the_alert_itself():
    """That the alert is the same was said already."""
    assert shared_errors("disk quota exceeded: etcd wal corrupt", "disk quota exceeded: etcd wal corrupt", known=("Disk quota exceeded",)) == ("etcd wal corrupt",)  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "past", "shared"),
    [
        ("rate(pg_stat_activity_count[5m])", "look at pg_stat_activity_count", ("pg_stat_activity_count",)),
        ("SocketTimeoutException in web-3", "a SocketTimeoutException on web-3", ("sockettimeoutexception",)),
        ("runbook_url and num_firing", "runbook_url and num_firing", ()),
        ("JupyterHub and KubeSpawner", "JupyterHub and KubeSpawner", ()),
    ],
)
def test_names_are_shared_that_tell_of_a_symptom(asked: str, past: str, shared: tuple[str, ...]):
    """Metrics and exceptions; no hosts, fields or products."""
    assert shared_names(asked, past) == shared


def test_areas_are_folders_of_named_files():
    """A page's address is no folder, and a folder's name is whole."""
    text = 'File "shop/db/pool.py", line 41; see https://wiki.example.org/a/b.html and Makefile.am'

    assert (areas_in(text), shared_areas(("shop/db", "shop/d", "b"), text)) == (("shop/db",), ("shop/db",))
