"""What an incident names, and what kind of change a commit is."""

from __future__ import annotations

import pytest
from ranking_repos import NOON

from core.model import Commit, FileChange
from ranking.clues import READ_LIMIT, find_clues
from ranking.kinds import KINDS, kinds, never_runs, spoken_of, stands_by


@pytest.mark.parametrize(
    ("text", "identifiers"),
    [
        ("maxPoolSize was reached", ["maxPoolSize"]),
        ("call to get_user() failed in Acme\\Shop", ["get_user"]),
        ("Call to undefined method ApiBase::isWrite", ["ApiBase::isWrite"]),
        ("db1034 lags, see role::mariadb", ["db1034", "role::mariadb"]),
        ("$wgMemCached is unset", ["$wgMemCached"]),
        ("set by com.acme.Pool.take", ["com.acme.Pool.take"]),
        ("the shop is slow for everyone, again", []),
    ],
)
def test_names_that_only_code_would_spell_so(text, identifiers):
    """Camel case, underscores, digits, calls, namespaces; no plain words."""
    assert list(find_clues(text).identifiers) == identifiers


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ('  File "/srv/shop/db/pool.py", line 12, in take', ["/srv/shop/db/pool.py"]),
        ("at take (src/db/pool.ts:12:7)", ["src/db/pool.ts"]),
        ("\tat take(Pool.java:12)", ["Pool.java"]),
        ("Fatal error in ApiHooks.php on line 172", ["ApiHooks.php"]),
        ("goroutine 1: /go/src/shop/main.go:12 +0x1d", ["/go/src/shop/main.go"]),
        ("nginx: [emerg] in /etc/nginx/sites-enabled/shop:47", ["/etc/nginx/sites-enabled/shop"]),
        ("see https://acme.org/wiki/Shop.html for more", []),
    ],
)
def test_files_of_stack_frames_and_logs(text, paths):
    """Whatever the language; addresses of web pages are no files."""
    assert list(find_clues(text).paths) == paths


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ('it says "no free connection" and stops', ["no free connection"]),
        ("RuntimeError: pool is exhausted", ["pool is exhausted"]),
        ("fatal: cannot open the ledger", ["cannot open the ledger"]),
        ("don't say it's broken", []),
        ('a "word" alone', []),
    ],
)
def test_texts_worth_looking_for_word_for_word(text, phrases):
    """Quotes and error messages of at least two words with content."""
    assert list(find_clues(text).phrases) == phrases


@pytest.mark.parametrize("text", ["/" * 300_000, "a." * 200_000, "'" * 100_000, "x" * 1_000_000, "Error: " * 50_000])
def test_hostile_text_is_read_in_no_time(text):
    """Only the head is read, and no pattern runs away; pytest's time limit guards it."""
    assert len(find_clues(text).identifiers) <= READ_LIMIT


def commit(subject="Change it", body="", files=("src/a.py",), author="Ada"):
    return Commit(
        sha="a" * 40,
        repo="shop",
        author=author,
        author_email="ada@example.org",
        authored_at=NOON,
        committed_at=NOON,
        subject=subject,
        body=body,
        files=tuple(FileChange(path=path) for path in files),
    )


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (commit(), set()),
        (commit(files=("README.md", "docs/guide.rst")), {"docs"}),
        (commit(files=("src/requirements.txt", "CMakeLists.txt")), {"dependency"}),
        (commit(files=("NOTES.txt",)), {"docs"}),
        (commit(files=("README.md", "src/a.py")), set()),
        (commit(files=("tests/test_a.py",)), {"tests"}),
        (commit(files=("i18n/de.json",)), {"translation", "config"}),
        (commit(files=("hieradata/common.yaml",)), {"config"}),
        (commit(files=("package-lock.json",)), {"dependency", "config"}),
        (commit("Bump requests from 2.1 to 2.2"), {"dependency"}),
        (commit(files=("db/migrations/0007_orders.py",)), {"migration"}),
        (commit("Enable the new checkout for everyone"), {"flag"}),
        (commit('Revert "Raise the pool"', "This reverts commit 1234567."), {"revert"}),
        (commit('Reverts "Raise the pool (#12)" (#15)', "Reverts: o/shop#12"), {"revert"}),
        (commit("Automated rollback of commit 1234567"), {"revert"}),
        (commit("Raise the pool", "With room for the second shop.\n\nReverts 1234567"), set()),
        (commit("Re-apply the pool change"), {"reland"}),
        (commit("Fix a typo in a comment"), {"fix"}),
        (commit(author="renovate[bot]"), {"robot"}),
        (commit(files=()), {"empty"}),
    ],
)
def test_a_commit_says_what_kind_of_change_it_is(told, expected):
    """By its paths and its subject; several may apply."""
    assert kinds(told) == expected
    assert expected <= set(KINDS)


@pytest.mark.parametrize(
    ("what", "paths"),
    [
        (
            "documentation",
            ["README.md", "docs/guide.rst", "CHANGELOG", "pay/CHANGES.md", "docs/flow.png", "docs/hosts.txt"],
        ),
        ("tests", ["tests/test_a.py", "web/cart.spec.ts", "spec/models/cart_spec.rb", "pay/testdata/a.json"]),
        ("checks", [".eslintrc.json", "web/.prettierrc", ".editorconfig", "ruff.toml", ".pre-commit-config.yaml"]),
        (
            "checks",
            [
                ".github/CODEOWNERS",
                ".github/dependabot.yml",
                ".github/ISSUE_TEMPLATE/bug.yml",
                ".github/workflows/lint.yml",
                ".vscode/a.json",
            ],
        ),
        ("dashboards", ["dashboards/pay.json", "ops/grafana/dashboards/pay.json", "monitoring/dashboards/pay.jsonnet"]),
        (
            "",
            [
                "pay/newsletter.py",
                "src/license_check.go",
                "docs/openapi.yaml",
                "services/docs/server.js",
                "man/views.py",
            ],
        ),
        ("", ["prompts/answer.md", "content/terms.md", "templates/mail.md", "words.txt", "requirements.txt"]),
        ("", ["deploy/pod-spec.yaml", "spec/openapi.yaml", "specs/orders.proto"]),
        ("", [".github/workflows/deploy.yml", ".github/workflows/ci.yml", ".github/workflows/test-and-deploy.yml"]),
        (
            "",
            [
                ".github/actions/build/action.yml",
                ".github/scripts/roll.sh",
                ".gitlab-ci.yml",
                ".circleci/config.yml",
                "Jenkinsfile",
            ],
        ),
        ("", ["pyproject.toml", "package.json", ".dockerignore", ".gitattributes", "tsconfig.json"]),
        (
            "",
            [
                "alerts/pay.rules.yaml",
                "prometheus/rules.yml",
                "dashboard/package.json",
                "shop/dashboards/a.json",
                "dashboards/package.json",
            ],
        ),
        ("", ["pay/a.py", "deploy/values.yaml"]),
        (
            "settings of other environments",
            [
                "values-staging.yaml",
                "envs/dev/db/main.tf",
                "k8s/overlays/uat/web.yaml",
                "app/application-qa.yml",
                ".env.dev",
            ],
        ),
        ("", ["models/staging/payments.sql", "staging/run.py", "devices.yaml", "src/development.rb", "stages.yml"]),
        ("", ["models/staging/schema.yml", "game/stage/level1.json", "qa-bot.yaml", "config/staging-prod-shared.yaml"]),
        ("", ["envs/dev/prod-peering.tf", "etc/udev/dev-rules.conf", "k8s/stage-gate.yaml"]),
    ],
)
def test_what_never_runs_in_production_is_told_by_its_path_alone(what, paths):
    """Only where that is sure: what builds, rolls out, alerts, is shown or is read may break something."""
    assert {path: never_runs(commit(files=(path,))) for path in paths} == dict.fromkeys(paths, what)


@pytest.mark.parametrize(
    ("subject", "word"),
    [
        ("Log the payload of each call", "log"),
        ("pay: metric for declined cards", "metric"),
        ("alert on a full disk at 5 %", "alert"),
        ("Clarify what a retry does", "clarify"),
        ("Fix typo in error message", "fix typo"),
        ("LOG-12 shorten the timeout", ""),
        ("Let guests log in by mail", ""),
        ("Log out users after 15 minutes", ""),
        ("Write-ahead log: fsync less often", ""),
        ("Allow nested comments on posts", ""),
        ("Product description in the search index", ""),
        ('Revert "Log each request"', ""),
        ("Reserve in the order they come", ""),
    ],
)
def test_who_speaks_of_what_watches_stands_by(subject, word):
    """By its subject; a ticket called LOG, a login, a log of data and people's comments watch nothing, a revert undoes it."""
    assert stands_by(commit(subject=subject)) == word


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("logstash is down", "Log the payload of each call"),
        ("/var/log is full on web-3", "Log the payload of each call"),
        ("no scrapes since 14:00", "metrics: a port of their own"),
        ("the docs do not build", "Clarify what a retry does"),
        ("alert mails are not sent to customers", "price alerts: batch the queries"),
        ("users cannot see their logs", "Logs by day"),
    ],
)
def test_what_the_incident_speaks_of_does_not_stand_by(text, subject):
    """Where logging is what failed, or the very word is the page's, who touched it is as good a suspect as any."""
    assert stands_by(commit(subject=subject)) != ""
    assert stands_by(commit(subject=subject), spoken_of(text), text) == ""


def test_one_file_that_runs_is_enough():
    """And what never runs is told by all its sorts."""
    told = [never_runs(commit(files=files)) for files in (("README.md", "tests/a.py"), ("README.md", "a.py"), ())]

    assert told == ["documentation and tests", "", ""]
