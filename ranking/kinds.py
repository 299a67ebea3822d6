"""What kind of change a commit is, told from its paths and its message.

Does: name every kind that applies, by plain rules a person can read.
Does not: read the diff, or judge whether the kind makes it a suspect; that is weighed in `ranking.scorer`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection

from core.model import Commit

#: Paths of which it is kept what they are.
_PATHS = 1 << 14
_DOCS = re.compile(
    r"(^|/)(docs?|documentation|man|licenses)/|(^|/)(readme|changelog|changes|news|authors|contributing|maintainers|copying|license|release[-_]notes)[^/]*$|\.(md|rst|adoc|txt|pod|texi|[1-9])$",
    re.IGNORECASE,
)
#: Texts that a build or a robot reads, and no person.
_READ_BY_MACHINES = re.compile(
    r"(^|/)(CMakeLists|requirements[^/]*|constraints|meson_options|robots)\.txt$", re.IGNORECASE
)
_TESTS = re.compile(
    r"(^|/)(tests?|testing|spec|specs|__tests__|testdata|fixtures|t)/|(^|/)(test_|t\d{4})[^/]*$|[_.-](test|spec|tests)\.\w+$|Test\.\w+$",
    re.IGNORECASE,
)
_CONFIG = re.compile(
    r"\.(ya?ml|toml|ini|conf|cfg|cnf|properties|env|hcl|tf|tfvars|vcl|pp|json|xml|erb|j2|defconfig)$|(^|/)(config|conf|configs|etc|hieradata|hiera|settings|wmf-config|charts|values|Kconfig|\.env)[^/]*(/|$)|(^|/)[^/]*([Cc]onfig|[Ss]ettings)[^/]*$"
)
_DEPENDENCY = re.compile(
    r"(^|/)(package(-lock)?\.json|yarn\.lock|pnpm-lock\.yaml|composer\.(json|lock)|requirements[^/]*\.(txt|in)|constraints\.txt|Pipfile(\.lock)?|poetry\.lock|uv\.lock|pyproject\.toml|setup\.(py|cfg)|go\.(mod|sum)|Cargo\.(toml|lock)|Gemfile(\.lock)?|pom\.xml|build\.gradle(\.kts)?|\.gitmodules|mix\.(exs|lock))$"
)
_MIGRATION = re.compile(
    r"(^|/)(migrations?|migrate|alembic|schema[-_]?changes?|sql-?patches)/|(^|/)patch-[^/]*\.sql$|\.sql$", re.IGNORECASE
)
_TRANSLATION = re.compile(r"(^|/)(i18n|locales?|l10n|translations?|lang|po)/[^/]*|\.(po|pot)$", re.IGNORECASE)
_BUMP = re.compile(
    r"\b(bump|upgrade|update|pin|roll)s?(ed|ing)?\b.*\b(to|from|version|v?\d+\.\d+|dependenc(y|ies)|deps)\b",
    re.IGNORECASE,
)
_FLAG = re.compile(
    r"\b(feature ?flags?|flags?|toggles?|rollout|roll out|enable[sd]?|disable[sd]?|turn(ed)? (on|off)|switch(ed)? (on|off|to)|experiment|percent|canary)\b",
    re.IGNORECASE,
)
#: "Reverts" begins the subject of a revert; in a body it also stands below what comes back ("Reverts 1a2b3c" of a revert).
_REVERT = re.compile(
    r"^(revert|reverted|rollback|roll back|back out|backout|undo)\b|\A(reverts|automated rollback)\b|This reverts commit",
    re.IGNORECASE | re.MULTILINE,
)
_RELAND = re.compile(
    r"\b(re-?(land|apply|try|do|introduce|enable|instate|add)|revert(ing)? (the )?revert|second attempt|take (2|two)|try again|attempt (2|#2))\b|^Revert \"Revert",
    re.IGNORECASE | re.MULTILINE,
)
_FIX = re.compile(r"\b(fix(es|ed|ing)?|bug ?fix|hot ?fix|correct(s|ed)?|repair(s|ed)?|unbreak|typo)\b", re.IGNORECASE)
_ROBOT = re.compile(
    r"\b(bot|translatewiki|l10n-bot|jenkins|dependabot|renovate|libraryupgrader)\b|\[bot\]|-bot\b", re.IGNORECASE
)


#: What a path may be of.
_PLACES = {
    "docs": _DOCS,
    "read by machines": _READ_BY_MACHINES,
    "tests": _TESTS,
    "translation": _TRANSLATION,
    "config": _CONFIG,
    "dependency": _DEPENDENCY,
    "migration": _MIGRATION,
}


@functools.lru_cache(maxsize=_PATHS)
def _places(path: str) -> frozenset[str]:
    """Which of `_PLACES` a path is of. Kept, as candidates touch the same files again and again."""
    return frozenset(place for place, pattern in _PLACES.items() if pattern.search(path))


def _only(place: str, commit: Commit) -> bool:
    return bool(commit.files) and all(place in _places(change.path) for change in commit.files)


def _any(place: str, commit: Commit) -> bool:
    return any(place in _places(change.path) for change in commit.files[:200])


#: Kind -> whether it applies.
_RULES: dict[str, Callable[[Commit], bool]] = {
    "docs": lambda commit: _only("docs", commit) and not _any("read by machines", commit),
    "tests": functools.partial(_only, "tests"),
    "translation": lambda commit: (
        _only("translation", commit) or bool(re.match(r"Localisation updates", commit.subject))
    ),
    "config": lambda commit: _any("config", commit) and not _only("tests", commit),
    "dependency": lambda commit: _any("dependency", commit) or bool(_BUMP.search(commit.subject)),
    "migration": functools.partial(_any, "migration"),
    "flag": lambda commit: bool(_FLAG.search(commit.subject)),
    "reland": lambda commit: bool(_RELAND.search(f"{commit.subject}\n{commit.body[:2000]}")),
    "revert": lambda commit: bool(_REVERT.search(f"{commit.subject}\n{commit.body[:2000]}")),
    "fix": lambda commit: bool(_FIX.search(commit.subject)),
    "robot": lambda commit: bool(_ROBOT.search(f"{commit.author} {commit.author_email.partition('@')[0]}")),
    "empty": lambda commit: not commit.files,
}
KINDS = tuple(_RULES)


def takes_back(subject: str) -> bool:
    """Whether a subject is that of a revert. `kinds` looks at the body as well, where a line may begin so by chance."""
    return bool(_REVERT.search(subject))


#: Below are paths of which nothing comes to production whoever deploys; stricter than the kinds, which are weighed. A text in a folder
#: of these may be shown, sent or asked with, and one that ends so may be read anywhere outside of documentation: lists of words, of hosts.
_MAY_BE_READ = re.compile(
    r"(^|/)(prompts?|templates?|content|e?mails?|_?posts|pages|data|assets|static|public|resources|legal)/|^(?!(.*/)?(docs?|documentation|man|licenses)/).*\.(txt|[1-9])$",
    re.IGNORECASE,
)
_PROSE = re.compile(
    r"\.(md|mdx|rst|adoc|asciidoc|txt|pod|texi|tex|[1-9]|png|jpe?g|gif|svg|webp|pdf|puml|drawio|mmd)$|(^|/)(readme|changelog|changes|news|authors|contributing|maintainers|copying|license)$",
    re.IGNORECASE,
)
#: A specification that is no test: of a pod, of an interface.
_SPECIFICATION = re.compile(
    r"(^|/)specs?/(?!.*(^|/)(tests?|fixtures)/).*\.(ya?ml|json|proto|xml|toml|graphql|avsc)$|[_.-]spec\.(ya?ml|json|xml|toml)$",
    re.IGNORECASE,
)
#: What only looks at a change. A workflow by its file's name: one that builds or rolls out may break production, as may what is called "ci".
_CHECKS = re.compile(
    r"""(^|/)(
      \.(eslint|prettier|stylelint|jshint|jslint|markdownlint|commitlint|lintstaged|htmlhint|tflint|pylint|yamllint|shellcheck|coverage)(rc|ignore)?(\.\w+)?
      | (eslint|prettier|stylelint|commitlint|lint-staged)\.config\.[cm]?[jt]s | \.editorconfig | \.flake8 | \.?(ruff|rustfmt|clippy)\.toml | \.?mypy\.ini | \.isort\.cfg
      | pylintrc | pytest\.ini | tox\.ini | \.clang-(format|tidy) | \.golangci\.\w+ | \.rubocop[^/]*\.yml | \.swiftlint\.yml | \.scalafmt\.conf | \.hadolint\.ya?ml | checkstyle\.xml
      | phpcs\.xml(\.dist)? | phpstan\.neon(\.dist)? | \.php-cs-fixer[^/]* | \.?codecov\.ya?ml | sonar-project\.properties | \.pre-commit-config\.yaml
      | \.?renovate(rc)?(\.json5?)? | \.mergify\.yml | CODEOWNERS | \.mailmap | (\.vscode|\.idea|\.husky)/.* | \.github/((issue|pull_request|discussion)_template/[^/]+|[^/]+\.(md|ya?ml))
      | \.github/workflows/((lint|check|test|codeql|semgrep|scorecard|stale|label|triage|welcome|greeting|spell|spelling|spellcheck|typo|format|coverage|pr|title|size)(s|er|ers)?[-_]?)+\.ya?ml
    )$""",
    re.VERBOSE | re.IGNORECASE,
)
#: A folder called so inside of a product may be the product's own.
_DASHBOARD = re.compile(
    r"^(|.*(grafana|monitoring|observability).*)dashboards/(?!.*(package|config)[^/]*$).+\.(json|jsonnet|libsonnet)$",
    re.IGNORECASE,
)


#: What environments are called that are not production.
ELSEWHERE = r"(staging|stage|stg|uat|qa|pre-?prod|non-?prod|dev|development)"
#: Settings of one: by the end of the file's name, or by the folder of its environment. None that says production or shared as well.
_ELSEWHERE = re.compile(
    rf"^(?!.*(prod(uction)?|live|shared|common)\b)((.*/)?(([^/]*[-_.])?{ELSEWHERE}|(envs?|environments|overlays|inventories|stages)/{ELSEWHERE}/.*)\.(ya?ml|tfvars|env|properties|json|toml|ini|conf|hcl|tf)|(.*/)?\.env\.{ELSEWHERE})$",
    re.IGNORECASE,
)
#: What an incident says that is about such a file itself: then it may be what failed. What runs tests and checks stands for both.
_CI = r"CI|jenkins|zuul|travis|circleci|gates?|gating|tox|builds?"
_SPOKEN = {
    "tests": re.compile(
        rf"\b([\w-]+[-_.])?tests?\b|(?-i:[a-z]Tests?\b)|\btest_|\b(py|unit|browser)tests?\b|\btest(ing|cases?)\b|\b({_CI})\b",
        re.IGNORECASE,
    ),
    "documentation": re.compile(
        r"\b(docs?|documentation|readme|man(ual)? ?pages?|manuals?|help pages?)\b", re.IGNORECASE
    ),
    "checks": re.compile(rf"\b(lint(s|er|ers|ing)?|flake8|pep8|{_CI})\b", re.IGNORECASE),
    "dashboards": re.compile(r"\b(dashboards?|grafana)\b", re.IGNORECASE),
    "settings of other environments": re.compile(rf"\b({ELSEWHERE}|sandbox|beta)\b", re.IGNORECASE),
    "logs, metrics or alerts": re.compile(
        r"\b(logging|log (files?|volume|lines?|entries|spam)|logstash|loggers?|r?syslog|monitoring|icinga|nagios|ganglia|graphite|statsd|exporters?|scrap(e|es|ed|ing)|dashboards?|tracing|telemetry|fluent\w*|loki|kibana|grafana|TargetDown)\b|/var/log",
        re.IGNORECASE,
    ),
}
#: What a subject speaks of where a change only watches or explains. Logs that hold data, a log-in or -out and a ticket LOG-12 are none.
_BYSTANDERS = {
    "logs, metrics or alerts": re.compile(
        r"\b(?<!audit )(?<!binary )(?<!ahead )(?<!-ahead-)(log(s|ging|ged|gers?)?(?!-\d|[- ]?(in|out|off|on)\b)|metrics?|dashboards?|grafana|trac(e|es|ing)(?! route)|telemetry|histograms?|gauges?|alert(s|ing)?|monitoring)\b",
        re.IGNORECASE,
    ),
    "documentation": re.compile(
        r"\b(wording|docs?|documentation|docstrings?|javadoc|runbooks?|spelling|readme|describe|explain|clarify|screenshots?|(fix|correct) (a |the )?(typo|comment|wording)s?|(error|log) messages?|(code|doc|inline) comments?|in (a |the )?comments?|comments? (about|why))\b",
        re.IGNORECASE,
    ),
}
#: Characters of an incident in which it says so: behind them are logs.
_SPOKEN_LIMIT = 4_000


def kinds(commit: Commit) -> frozenset[str]:
    """The kinds of change a commit is; see `KINDS`."""
    return frozenset(kind for kind, applies in _RULES.items() if applies(commit))


def spoken_of(text: str) -> frozenset[str]:
    """Which of the things that never run an incident's words speak of."""
    return frozenset(what for what, pattern in _SPOKEN.items() if pattern.search(text[:_SPOKEN_LIMIT]))


def stands_by(commit: Commit, spoken: Collection[str] = (), text: str = "") -> str:
    """The word of a commit's subject by which it only watches or explains the rest; empty for others.

    Args:
        spoken: what the incident itself speaks of (`spoken_of`), so that it may be what failed: of such a commit nothing is said.
        text: the incident's words: nor of one whose very word they have.
    """
    if takes_back(commit.subject):
        return ""
    for what, pattern in _BYSTANDERS.items():
        found = pattern.search(commit.subject)
        if found:
            word = found.group().lower()
            said = what in spoken or re.search(rf"\b{re.escape(word.rstrip('s'))}", text[:_SPOKEN_LIMIT], re.IGNORECASE)
            return "" if said else word
    return ""


def never_runs(commit: Commit, spoken: Collection[str] = ()) -> str:
    """What all of its files are, in words, where a deploy brings nothing of them to production; empty where it may bring any.

    Args:
        spoken: what the incident itself speaks of (`spoken_of`), so that it may be what failed: of such a commit nothing is said.
    """
    found: dict[str, None] = {}
    for change in commit.files:
        what = idle(change.path)
        if not what or what in spoken:
            return ""
        found[what] = None
    return " and ".join(found)


@functools.lru_cache(maxsize=_PATHS)
def idle(path: str) -> str:
    """What a file is that nothing runs or reads in production; empty for others, and where its path does not tell.

    Left out: pipelines that build or roll out, and rules of alerts, for which a page may have come; what holds settings of a check
    beside others (pyproject.toml, package.json).
    """
    if _TESTS.search(path):
        return "" if _SPECIFICATION.search(path) else "tests"
    if _DOCS.search(path) and _PROSE.search(path):
        return "" if _READ_BY_MACHINES.search(path) or _MAY_BE_READ.search(path) else "documentation"
    if _CHECKS.search(path):
        return "checks"
    if _ELSEWHERE.search(path):
        return "settings of other environments"
    return "dashboards" if _DASHBOARD.search(path) else ""
