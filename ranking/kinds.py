"""What kind of change a commit is, told from its paths and its message.

Does: name every kind that applies, by plain rules a person can read.
Does not: read the diff, or judge whether the kind makes it a suspect; that is weighed in `ranking.scorer`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from core.model import Commit

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
_REVERT = re.compile(
    r"^(revert|reverted|rollback|roll back|back out|backout|undo)\b|This reverts commit", re.IGNORECASE | re.MULTILINE
)
_RELAND = re.compile(
    r"\b(re-?(land|apply|try|do|introduce|enable|instate|add)|revert(ing)? (the )?revert|second attempt|take (2|two)|try again|attempt (2|#2))\b|^Revert \"Revert",
    re.IGNORECASE | re.MULTILINE,
)
_FIX = re.compile(r"\b(fix(es|ed|ing)?|bug ?fix|hot ?fix|correct(s|ed)?|repair(s|ed)?|unbreak|typo)\b", re.IGNORECASE)
_ROBOT = re.compile(
    r"\b(bot|translatewiki|l10n-bot|jenkins|dependabot|renovate|libraryupgrader)\b|\[bot\]|-bot\b", re.IGNORECASE
)


def _only(pattern: re.Pattern[str]) -> Callable[[Commit], bool]:
    return lambda commit: bool(commit.files) and all(pattern.search(change.path) for change in commit.files)


def _any(pattern: re.Pattern[str]) -> Callable[[Commit], bool]:
    return lambda commit: any(pattern.search(change.path) for change in commit.files[:200])


#: Kind -> whether it applies.
_RULES: dict[str, Callable[[Commit], bool]] = {
    "docs": lambda commit: _only(_DOCS)(commit) and not _any(_READ_BY_MACHINES)(commit),
    "tests": _only(_TESTS),
    "translation": lambda commit: (
        _only(_TRANSLATION)(commit) or bool(re.match(r"Localisation updates", commit.subject))
    ),
    "config": lambda commit: _any(_CONFIG)(commit) and not _only(_TESTS)(commit),
    "dependency": lambda commit: _any(_DEPENDENCY)(commit) or bool(_BUMP.search(commit.subject)),
    "migration": _any(_MIGRATION),
    "flag": lambda commit: bool(_FLAG.search(commit.subject)),
    "reland": lambda commit: bool(_RELAND.search(f"{commit.subject}\n{commit.body[:2000]}")),
    "revert": lambda commit: bool(_REVERT.search(f"{commit.subject}\n{commit.body[:2000]}")),
    "fix": lambda commit: bool(_FIX.search(commit.subject)),
    "robot": lambda commit: bool(_ROBOT.search(f"{commit.author} {commit.author_email.partition('@')[0]}")),
    "empty": lambda commit: not commit.files,
}
KINDS = tuple(_RULES)
#: Texts that a program may read wherever they lie outside of a folder of documentation: word lists, lists of hosts.
_MAY_BE_DATA = re.compile(r"^(?!(.*/)?(docs?|documentation|man|licenses)/).*\.(txt|[1-9])$", re.IGNORECASE)


def kinds(commit: Commit) -> frozenset[str]:
    """The kinds of change a commit is; see `KINDS`."""
    return frozenset(kind for kind, applies in _RULES.items() if applies(commit))


def never_runs(commit: Commit) -> bool:
    """Whether all of its files are documentation or tests: a deploy brings nothing of it to production."""
    return bool(commit.files) and all(_idle(change.path) for change in commit.files)


def _idle(path: str) -> bool:
    if _TESTS.search(path):
        return True
    return bool(_DOCS.search(path)) and not _READ_BY_MACHINES.search(path) and not _MAY_BE_DATA.search(path)
