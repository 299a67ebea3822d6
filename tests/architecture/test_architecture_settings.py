"""`.env.example` and the settings say the same; a wrong value is named without being shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.errors import SettingsError
from core.settings import Settings, read_settings

ROOT = Path(__file__).parents[2]


def explained() -> dict[str, tuple[str, str]]:
    """Variable to (explanation, default as written), from `.env.example`."""
    found, words = {}, []
    for line in (ROOT / ".env.example").read_text().splitlines():
        if match := re.fullmatch(r"#(RUNDOWN_\w+)=(.*)", line):
            found[match[1]] = (" ".join(words), match[2])
            words = []
        else:
            words = [*words, line.removeprefix("# ")] if line.startswith("# ") else []
    return found


def test_every_setting_is_explained_in_the_example_and_nothing_else():
    """Same names, same order, same words."""
    settings = {f"RUNDOWN_{name.upper()}": field.description for name, field in Settings.model_fields.items()}

    assert {name: words for name, (words, _) in explained().items()} == settings


def test_the_example_shows_the_defaults(monkeypatch):
    """Taking every # away changes nothing."""
    monkeypatch.delenv("RUNDOWN_HOME")
    defaults = read_settings()
    for name, (_, default) in explained().items():
        monkeypatch.setenv(name, default)

    assert read_settings() == defaults


def test_every_variable_reaches_its_setting(tmp_path, monkeypatch):
    """A copied example with values filled in is read from the folder Rundown is started in."""
    monkeypatch.delenv("RUNDOWN_HOME")
    (tmp_path / ".env").write_text(
        "RUNDOWN_HOME=~/elsewhere\n"
        "RUNDOWN_REPOS=/srv/shop, ~/payments.git\n"
        'RUNDOWN_SERVICE_CHANNELS={"checkout":"#checkout-oncall"}\n'
        "RUNDOWN_PAGERDUTY_WEBHOOK_SECRETS=old, new\n"
        "RUNDOWN_LLM_TIMEOUT_S=\n"
    )
    settings = read_settings()

    assert (
        settings.home,
        settings.repos,
        settings.service_channels,
        settings.pagerduty_webhook_secrets,
        settings.llm_timeout_s,
    ) == (
        Path("~/elsewhere").expanduser(),
        (Path("/srv/shop"), Path("~/payments.git").expanduser()),
        {"checkout": "#checkout-oncall"},
        ("old", "new"),
        20.0,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RUNDOWN_HTTP_PORT", "s3cret"),
        ("RUNDOWN_WINDOW_DAYS", "-1"),
        ("RUNDOWN_SERVICE_CHANNELS", "s3cret"),
        ("RUNDOWN_SERVICE_REPOS", '{"checkout": "s3cret"}'),
        ("RUNDOWN_LOG_LEVEL", "s3cret"),
    ],
)
def test_a_wrong_value_is_named_and_not_shown(monkeypatch, name, value):
    """The message says which variable; a secret pasted into the wrong one stays off the screen."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as refusal:
        read_settings()

    assert "s3cret" not in str(refusal.value)


def test_secrets_stay_out_of_what_is_printed():
    """Settings end up in logs and tracebacks by accident; their secrets do not."""
    secrets = {
        name: "hunter2"
        for name in Settings.model_fields
        if name.endswith(("_token", "_secret", "_secrets", "_api_key", "_password")) or name == "database_url"
    }

    options = {name: {"api_key": "hunter2"} for name in Settings.model_fields if name.endswith("_options")}

    assert (len(secrets), len(options)) == (10, 5)
    assert "hunter2" not in repr(read_settings(**secrets, **options))
