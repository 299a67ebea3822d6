"""A question taken apart: what an expression says in words, and what the machine said."""

from __future__ import annotations

import pytest

from retrieval.question import take_apart

EXPRESSIONS = {
    'up{job="checkout"} == 0': "checkout down unreachable",
    'absent(up{job="alertmanager"} == 1)': "alertmanager missing disappeared down",
    'max_over_time(kube_pod_container_status_waiting_reason{reason="CrashLoopBackOff"}[5m]) >= 1': (
        "kube_pod_container_status_waiting_reason CrashLoopBackOff"
    ),
    "sum by (namespace, pod) (rate(http_requests_total{code=~'5..'}[5m])) > 0.1": "http_requests_total",
    "predict_linear(node_filesystem_avail_bytes[1h], 4*3600) < 0": (
        "node_filesystem_avail_bytes predicted to fill up run out soon"
    ),
    "histogram_quantile(0.99, sum(rate(etcd_disk_wal_fsync_duration_seconds_bucket[5m])) by (le)) > 1": (
        "etcd_disk_wal_fsync_duration_seconds_bucket latency slow"
    ),
    "changes(node_ready[15m]) > 2": "node_ready flapping restarting",
    "time() - backup_last_success_seconds > 86400": "backup_last_success_seconds old late has not run recently",
}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_is_said_in_words(expression: str):
    """Metric names, the values asked for, and what its functions mean; not what it groups by, nor PromQL's own words."""
    question = take_apart(expression)

    assert (question.expression, question.prose) == (EXPRESSIONS[expression], "")


@pytest.mark.parametrize(
    "text",
    [
        "checkout answers 500 (since the last deploy)",
        "Less than 75% of desired virt-api pods are running.",
        "RAM per student is reduced from 2G to 1G (see below).",
        "",
        "((((",
    ],
)
def test_prose_is_no_expression(text: str):
    """Brackets alone do not make one."""
    question = take_apart(text)

    assert (question.expression, question.prose) == ("", text)


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ('it says "connection pool exhausted" again', "connection pool exhausted"),
        ("FATAL: too many connections for role shop", "too many connections for role shop"),
        ("java.net.SocketTimeoutException: Read timed out", "SocketTimeoutException: Read timed out"),
        ("the users' carts aren't saved, and it's not the users' fault", ""),
        ("nothing of the kind", ""),
    ],
)
def test_what_the_machine_said_is_found(text: str, errors: str):
    """Quoted text, exceptions and what follows error words; an apostrophe quotes nothing."""
    assert take_apart(text).errors == errors


def test_a_megabyte_is_cut_and_answered():
    """Linear in what is read of it."""
    assert len(take_apart("rate(x{a='" + "b" * 1_000_000).text) == 20_000
