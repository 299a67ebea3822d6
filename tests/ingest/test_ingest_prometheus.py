"""Alerting rules as documents, as real repositories and clusters hold them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from textwrap import dedent, indent

import pytest

from core.errors import DocumentError, RundownError
from core.model import Document, Tier
from core.settings import read_settings
from ingest.prometheus import PrometheusSource, metric_names, readable
from ingest.prometheus import open as open_prometheus
from ingest.sources import Held, Skipped

RULES = """\
groups:
- name: kafka
  rules:
  - record: kafka:lag:sum
    expr: sum(kafka_lag)
  - alert: BrokerDiskFull
    annotations:
      description: 'Broker {{ $labels.pod }} has {{ $value | humanize1024 }}B left{{ with $labels.cluster }} in {{ . }}{{ end }}.'
      runbook_url: https://runbooks.example.org/kafka/BrokerDiskFull
      summary: A broker's disk is full.
      impact: |
        # Producers
        wait.
    expr: |
      kafka_disk_free_bytes{job="kafka"}
        / on(pod) kafka_disk_size_bytes < 0.1
    for: 15m
    labels:
      severity: critical
      service: kafka
      team: a|b
"""


@pytest.fixture(name="rules")
def _rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    return folder


def put(folder: Path, name: str, text: str | bytes = RULES) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def listed(folder: Path, held: dict[str, str] | None = None) -> dict[str, str]:
    """Id to title, to the reason it was skipped, or to "held"."""
    found = {}
    for item in PrometheusSource(folder).documents(held or {}):
        if isinstance(item, Document):
            found[item.id] = item.title
        else:
            found[item.doc_id] = item.reason if isinstance(item, Skipped) else "held"
    return found


def versions(folder: Path) -> dict[str, str]:
    """What an index would remember after a sync."""
    return {
        item.id: item.version
        for item in PrometheusSource(folder).documents()
        if isinstance(item, Document) and item.version is not None
    }


def one(folder: Path) -> Document:
    (found,) = PrometheusSource(folder).documents()
    assert isinstance(found, Document), found
    return found


def test_a_rule_becomes_a_document(rules: Path):
    """What it means, what it measures, its labels and its runbook; a recording rule is none."""
    put(rules, "kafka/rules.yaml")
    found = one(rules)

    assert found == Document(
        id="kafka/rules.yaml#kafka/BrokerDiskFull",
        source=f"prometheus:{rules}",
        title="BrokerDiskFull",
        text="""\
# BrokerDiskFull

A broker's disk is full.

Broker {pod} has {value}B left{{ with $labels.cluster }} in {{ . }}{{ end }}.

impact: \\# Producers
wait.

Fires when this holds for 15m:

```promql
kafka_disk_free_bytes{job="kafka"}
  / on(pod) kafka_disk_size_bytes < 0.1
```

Metrics: `kafka_disk_free_bytes`, `kafka_disk_size_bytes`

| label | value |
| --- | --- |
| severity | critical |
| service | kafka |
| team | a\\|b |

Runbook: https://runbooks.example.org/kafka/BrokerDiskFull
""",
        tier=Tier.ALERT,
        service="kafka",
        version=found.version,
        runbook_url="https://runbooks.example.org/kafka/BrokerDiskFull",
    )


_RULE = "- alert: A\n  expr: up == 0\n"
_GROUP = f"groups:\n- name: g\n  rules:\n{indent(_RULE, '  ')}"


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (_GROUP, ["g/A"]),
        (f"kind: PrometheusRule\nspec:\n{indent(_GROUP, '  ')}", ["g/A"]),
        (f"kind: List\nitems:\n- kind: PrometheusRule\n  spec:\n{indent(_GROUP, '    ')}", ["g/A"]),
        (_GROUP.removeprefix("groups:\n"), ["g/A"]),
        (f"{_GROUP}---\n{_GROUP.replace('name: g', 'name: h')}---\n", ["g/A", "h/A"]),
        (f"kind: ConfigMap\ndata:\n  a.yaml: |\n{indent(_GROUP, '    ')}", ["g/A"]),
        (f"kind: ConfigMap\ndata:\n  readme: |\n{indent(_GROUP, '    ')}", []),
        (f"serverFiles:\n  alerting_rules.yml:\n{indent(_GROUP, '    ')}", ["g/A"]),
        ('{"groups":[{"name":"g","rules":[{"alert":"A","expr":1}]}]}', ["g/A"]),
        ("groups:\n- rules:\n  - alert: A\n    expr: up\n", ["0/A"]),
        ("\ufeff" + _GROUP, ["g/A"]),
        (_GROUP.replace("alert", "record"), []),
        ("kind: Deployment\nspec: {alert: x}", []),
        ("rule_files: [a.yaml]\ntests:\n- alert_rule_test:\n  - {alertname: A, eval_time: 1m}", []),
        ("{{ nothing: of: ours", []),
        ("", []),
    ],
)
def test_rules_are_found_wherever_a_file_holds_them(rules: Path, text: str, ids: list[str]):
    """At the top, in resources and lists of them, in ConfigMaps and Helm values; other YAML is left alone."""
    put(rules, "f.yml", text)

    assert list(listed(rules)) == [f"f.yml#{doc_id}" for doc_id in ids]


def test_aliases_of_aliases_are_looked_at_once(rules: Path):
    """A file of a few lines that names ten lists ten times each, eight times over."""
    nested = "".join(f"- &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 8))
    put(rules, "f.yml", f"- &l0 [x]\n{nested}- {{name: g, rules: [{{alert: A, expr: up}}]}}\n")

    assert list(listed(rules)) == ["f.yml#g/A"]


def test_repeated_alerts_are_told_apart_by_severity_then_number(rules: Path):
    """Whatever the order; alerts of other groups and files do not matter."""
    severities = ["critical", "warning", "warning", None]
    labels = ["" if severity is None else f", labels: {{severity: {severity}}}" for severity in severities]
    put(rules, "f.yml", "groups:\n- name: g\n  rules:\n" + "".join(f"  - {{alert: A, expr: up{x}}}\n" for x in labels))
    put(rules, "g.yml", _GROUP)

    assert list(listed(rules)) == [
        "f.yml#g/A/critical", "f.yml#g/A/warning", "f.yml#g/A/warning/2", "f.yml#g/A", "g.yml#g/A",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("annotations", "url"),
    [
        ({"runbook_url": "https://w/a", "runbook": "https://w/b"}, "https://w/a"),
        ({"runbookUrl": "https://w/a"}, "https://w/a"),
        ({"playbook": "https://w/a."}, "https://w/a"),
        ({"runbook": "See <https://w/a|the runbook>"}, "https://w/a"),
        ({"runbook": "[Runbook](https://w/a#fix)"}, "https://w/a#fix"),
        ({"runbook": "runbooks/broker.md#fix"}, "runbooks/broker.md#fix"),
        ({"runbook": "broker.md"}, "broker.md"),
        ({"runbook_url": "https://w/{{ $labels.alertname }}"}, "https://w/Alert"),
        ({"runbook_url": "https://w/{{ $labels.service }}", "playbook": "https://w/b"}, "https://w/b"),
        ({"runbook_url": "https://w/{{ $labels.service }}"}, None),
        ({"runbook": "Restart it, and/or call somebody."}, None),
        ({"runbook_url": "javascript:alert(1)"}, None),
        ({"runbook_url": ""}, None),
        ({"dashboard_url": "https://w/a"}, None),
        ({}, None),
    ],
)
def test_a_rule_names_its_runbook(rules: Path, annotations: dict[str, str], url: str | None):
    """Under whatever name teams use; an address with a gap in it is none."""
    words = "".join(f"\n      {name}: '{value}'" for name, value in annotations.items())
    put(
        rules,
        "f.yml",
        f"groups:\n- name: g\n  rules:\n  - alert: Alert\n    expr: up\n    annotations:{words or ' {}'}\n",
    )

    assert one(rules).runbook_url == url


def test_words_that_are_no_address_stay_with_the_alert(rules: Path):
    """A runbook written into the rule itself is what one looks for; a link is not told twice."""
    put(rules, "f.yml", _GROUP + "    annotations:\n      runbook: Restart the broker.\n      playbook: https://w/a\n")
    found = one(rules)

    assert ("runbook: Restart the broker." in found.text, found.text.count("https://w/a")) == (True, 1)


def test_a_file_as_it_was_is_not_read_again(rules: Path):
    """Nor one whose neighbour changed; a change in it renews all its rules; what left it is not listed."""
    put(rules, "a.yml", _GROUP)
    changed = put(rules, "b.yml", _GROUP + indent(_RULE.replace("A", "B"), "  "))
    before = versions(rules)
    unchanged = listed(rules, before)
    changed.write_text(_GROUP.replace("up == 0", "up < 1"))

    assert (unchanged, listed(rules, before)) == (
        {"a.yml#g/A": "held", "b.yml#g/A": "held", "b.yml#g/B": "held"},
        {"a.yml#g/A": "held", "b.yml#g/A": "A"},
    )


def test_a_file_of_which_a_rule_is_missing_is_read_again(rules: Path):
    """Stopped halfway, the index holds some of its rules: the others are not forgotten."""
    put(rules, "a.yml", _GROUP + indent(_RULE.replace("A", "B"), "  "))
    before = versions(rules)
    del before["a.yml#g/B"]

    assert listed(rules, before) == {"a.yml#g/A": "A", "a.yml#g/B": "B"}


@pytest.mark.parametrize(
    ("name", "text", "skipped"),
    [
        (
            "f.yml",
            "{{- if .Values.on }}\n" + _GROUP + "{{- end }}\n",
            {"f.yml": "a Helm template, not YAML: render it"},
        ),
        ("f.yml", _GROUP + "    labels: {a: [}\n", {"f.yml": "not YAML: while parsing"}),
        ("f.rules", "ALERT Down\n  IF up == 0\n  FOR 5m\n", {"f.rules": "rules as Prometheus 1 wrote them"}),
        ("f.yml", _GROUP + "  - {alert: B}\n", {"f.yml#g/1": "the alert B has no expression"}),
        ("f.yml", _GROUP + "  - {alert: '', expr: up}\n", {"f.yml#g/1": "an alert without a name"}),
        ("f.yml", _GROUP + "  - {uid: x, title: B}\n", {"f.yml#g/1": "neither an alert nor a recording rule"}),
        ("f.yml", _GROUP + "  - words\n", {"f.yml#g/1": "not a rule"}),
        ("f.yml", _GROUP + "#" * 2_000_000, {"f.yml": "2.0 MB, more than 2"}),
    ],
)
def test_what_cannot_be_used_is_named_each_time(rules: Path, name: str, text: str, skipped: dict[str, str]):
    """With what to do; the good rules beside it are listed, and the next sync tells it again."""
    put(rules, name, text)
    good = ["A"] if any("#" in doc_id for doc_id in skipped) else []
    first, second = listed(rules), listed(rules, versions(rules))

    assert first == second
    assert [title for doc_id, title in first.items() if doc_id not in skipped] == good
    assert [first[doc_id].startswith(reason) for doc_id, reason in skipped.items()] == [True]


def test_files_are_found_as_they_lie(rules: Path, tmp_path: Path):
    """Below folders, in order; through the links of a mounted ConfigMap, not out of the folder; nothing hidden."""
    for name in ("z.yaml", "a/b.rules", "a/c.txt", ".git/x.yml", "..data/mounted.yml"):
        put(rules, name, _GROUP)
    (rules / "mounted.yml").symlink_to("..data/mounted.yml")
    (rules / "out.yml").symlink_to(put(tmp_path, "elsewhere.yml", _GROUP))

    assert listed(rules) == {
        "a/b.rules#g/A": "A",
        "mounted.yml#g/A": "A",
        "out.yml": "a link that leads out of the folder",
        "z.yaml#g/A": "A",
    }


def test_one_file_is_a_source_too(rules: Path):
    """Named as it is."""
    found = open_prometheus(str(put(rules, "a.yml", _GROUP)), read_settings())

    assert ([item.id for item in found.documents() if isinstance(item, Document)], found.name) == (
        ["a.yml#g/A"], f"prometheus:{rules / 'a.yml'}",
    )  # fmt: skip


def test_what_cannot_be_opened_keeps_its_rules(rules: Path):
    """A link that leads nowhere for the moment; the rules that are held of it stay."""
    put(rules, "a.yml", _GROUP)
    before = versions(rules)
    (rules / "a.yml").unlink()
    (rules / "a.yml").symlink_to("b.yml")

    assert list(PrometheusSource(rules).documents(before)) == [
        Skipped(doc_id="a.yml", reason="No such file or directory", unreadable=True), Held(doc_id="a.yml#g/A"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rest", "why"),
    [("", "no folder is named"), ("nowhere", "does not exist"), ("bare.git", "bare git repository.*git worktree add")],
)
def test_a_source_that_holds_no_files_is_refused(tmp_path: Path, rest: str, why: str):
    """With what to give."""
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "bare.git")], check=True)

    with pytest.raises(RundownError, match=why):
        open_prometheus(rest, read_settings())


def test_a_folder_that_went_away_is_no_empty_folder(rules: Path):
    """An unmounted volume forgets nothing."""
    source = PrometheusSource(rules)
    rules.rmdir()

    with pytest.raises(DocumentError, match="it is not there"):
        list(source.documents())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_keeps_what_is_below(rules: Path):
    """It is told, and nothing below it is forgotten."""
    put(rules, "sub/a.yml", _GROUP)
    (rules / "sub").chmod(0)
    found = list(PrometheusSource(rules).documents())
    (rules / "sub").chmod(0o755)

    assert found == [Skipped(doc_id="sub/", reason="Permission denied", unreadable=True)]


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ $labels.pod }} in {{$labels.namespace}}", "{pod} in {namespace}"),
        ("{{ .Labels.pod }}: {{ .Value }}", "{pod}: {value}"),
        (
            '{{ $value | humanizePercentage }} {{ printf "%.2f" $value }} {{ humanize $value }}',
            "{value} {value} {value}",
        ),
        ("{{ $externalLabels.cluster }} {{ $labels }}", "{cluster} {labels}"),
        ("{{ if gt $value 1.0 }}many{{ end }}", "{{ if gt $value 1.0 }}many{{ end }}"),
    ],
)
def test_templates_are_readable(template: str, words: str):
    """Labels and values by their names; logic stays as it is."""
    assert readable(template) == words


@pytest.mark.parametrize(
    ("expr", "names"),
    [
        ("up == 0", ("up",)),
        ('rate(http_requests_total{code=~"5..", job="x"}[5m]) > 1e3', ("http_requests_total",)),
        ("sum by (pod, job) (a_total) / on(pod) group_left(node) b_total", ("a_total", "b_total")),
        ("sum(a_total) without (pod) unless ignoring(job) b_total offset 5m", ("a_total", "b_total")),
        ("job:errors:rate5m > (14.4 * 0.01) and a > bool 5", ("job:errors:rate5m", "a")),
        ('{__name__="foo_total", job=~"{x}"}', ("foo_total",)),
        ("foo_total # not bar_total\n > 0", ("foo_total",)),
        ('label_replace(a, "dst", "$1", "src", "b(c).*")', ("a",)),
        ("max_over_time(sum(a)[10m:1m] @ end()) > Inf or vector(1)", ("a",)),
        ("a > a", ("a",)),
        ("vector(1)", ()),
    ],
)
def test_metrics_are_read_off_an_expression(expr: str, names: tuple[str, ...]):
    """Not functions, labels, keywords, numbers or what stands in strings and comments."""
    assert metric_names(dedent(expr)) == names


# -- who may read them ---------------------------------------------------------------------------------------------------

SRE = ("group:sre",)
UNCLEAR = "it names readers"


@pytest.mark.parametrize(
    ("text", "readers"),
    [
        (RULES, ("*",)),
        (f"# readers: group:sre\n{RULES}", SRE),
        (f"#readers = [sre, Anna@example.org]\n{RULES}", ("group:sre", "user:anna@example.org")),
        (f"{RULES}\n## Readers: sre # and nobody else\n", SRE),
        (RULES.replace("name: kafka", "name: kafka # readers: C0123456"), ("C0123456",)),
        (f"# readers: sre\n{RULES}---\n# readers: group:sre\n{RULES}", SRE),
        (f"# readers: sre\n{RULES}---\n# readers: ops\n{RULES}", "it names its readers more than once"),
        (f"# readers:\n#   - sre\n{RULES}", "it does not say who may read it"),
        (f"# readers: {{{{ team }}}}\n{RULES}", "it does not say who may read it"),
        (f"# title: x, readers: sre\n{RULES}", UNCLEAR),
        (f"# **Readers:** sre\n{RULES}", UNCLEAR),
        (f"readers: [sre]\n{RULES}", UNCLEAR),
        (RULES.replace("severity: critical", "readers: sre"), UNCLEAR),
        (RULES.replace("A broker's disk is full.", "'Two readers: both wait.'"), ("*",)),
        (f"# Its readers are the database's.\n{RULES}", ("*",)),
    ],
)  # fmt: skip
def test_a_comment_says_who_may_read_a_files_rules(rules: Path, text: str, readers: tuple[str, ...] | str):
    """Anywhere in the file, for all of it; a file that names readers in another way is left out, and says so."""
    put(rules, "kafka.yml", text)

    found = list(PrometheusSource(rules).documents())

    told = {item.readers if isinstance(item, Document) else item.reason for item in found}
    assert len(told) == 1
    assert told == {readers} if isinstance(readers, tuple) else told.pop().startswith(readers)
    assert all(isinstance(item, Document) == isinstance(readers, tuple) for item in found)


def test_a_comment_in_a_config_map_counts(rules: Path):
    """It is in the file, though in a text of it."""
    put(rules, "map.yaml", f"kind: ConfigMap\ndata:\n  a.yml: |\n{indent('# readers: sre' + chr(10) + RULES, '    ')}")

    assert one(rules).readers == SRE


@pytest.mark.parametrize(("text", "readers"), [(RULES, ("group:sre", "C0123456")), (f"# readers: *\n{RULES}", ("*",))])
def test_the_settings_name_who_reads_what_does_not_say(rules: Path, text: str, readers: tuple[str, ...]):
    """Written as a wiki's readers are; a file's own word wins."""
    put(rules, "kafka.yml", text)
    source = open_prometheus(str(rules), read_settings(prometheus_readers=("Group:SRE", "C0123456")))

    assert [item.readers for item in source.documents() if isinstance(item, Document)] == [readers]


def test_other_readers_in_the_settings_are_another_version(rules: Path):
    """The files are as they were, and yet nothing of them is."""
    put(rules, "kafka.yml")
    held = versions(rules)

    (item,) = PrometheusSource(rules, readers=SRE).documents(held)

    assert (isinstance(item, Document), listed(rules, held)) == (True, dict.fromkeys(held, "held"))
