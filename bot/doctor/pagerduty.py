"""PagerDuty: the REST key, the services to poll, the webhook and its secrets.

Does: ask PagerDuty what the key may see and whether the webhook is in order. Does not: change it, or send a test event.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bot.doctor.check import Check, fail, off, ok, refused, warn
from core.errors import PagerDutyUnavailable, SettingsError
from core.settings import Settings

if TYPE_CHECKING:
    from ingest.pagerduty_client import PagerDutyClient

_PATH = "/pagerduty/webhook"


def examine(settings: Settings) -> Sequence[Check]:
    """Everything about PagerDuty."""
    if settings.pagerduty_api_token is None and not settings.pagerduty_webhook_secrets:
        hint = "set RUNDOWN_PAGERDUTY_API_TOKEN and RUNDOWN_PAGERDUTY_WEBHOOK_SECRETS to have its pages investigated"
        return [off("PagerDuty", "neither key nor webhook secret is set", hint)]
    return [*_rest(settings), _secrets(settings)]


def _secrets(settings: Settings) -> Check:
    name, count = "PagerDuty webhook secrets", len(settings.pagerduty_webhook_secrets)
    if not count:
        found = f"none: incidents arrive only by polling, every {settings.pagerduty_poll_s:g} s"
        return warn(
            name, found, f"create a webhook to https://<your host>{_PATH} and set RUNDOWN_PAGERDUTY_WEBHOOK_SECRETS"
        )
    return ok(name, "1 secret" if count == 1 else f"{count} secrets, as during a rotation")


def _rest(settings: Settings) -> list[Check]:
    name = "PagerDuty REST key"
    if settings.pagerduty_api_token is None:
        found = "not set: webhooks alone lose incidents when they are disabled or we are away for two days"
        return [
            warn(
                name,
                found,
                "make a read-only key under Integrations > API Access Keys, set RUNDOWN_PAGERDUTY_API_TOKEN",
            )
        ]
    from ingest.pagerduty_client import open_client

    try:
        client = open_client(settings)
    except SettingsError as error:
        return [refused(name, error)]
    try:
        client.get("/abilities")
    except PagerDutyUnavailable as error:
        return [refused(name, error)]
    else:
        return [ok(name, f"{client.url} answers"), *_services(client, settings), _webhook(client, settings)]
    finally:
        client.close()


def _services(client: PagerDutyClient, settings: Settings) -> list[Check]:
    name, names = "PagerDuty services", []
    for service in settings.pagerduty_services:
        try:
            names.append(str(client.get(f"/services/{service}")["service"]["name"]))
        except (PagerDutyUnavailable, KeyError, TypeError) as error:
            why = error.what if isinstance(error, PagerDutyUnavailable) else "unreadable answer"
            return [fail(name, f"{service}: {why}", "correct RUNDOWN_PAGERDUTY_SERVICES: ids look like PIJ90N7")]
    return [ok(name, ", ".join(names) or "all that the key can see")]


def _webhook(client: PagerDutyClient, settings: Settings) -> Check:
    """Three dropped deliveries disable a webhook for a day, and nobody is told (CONTRACTS.md 1.7)."""
    name = "PagerDuty webhook"
    try:
        ours = [found for found in client.pages("/webhook_subscriptions", "webhook_subscriptions") if _is_ours(found)]
    except PagerDutyUnavailable as error:
        found = f"cannot be looked at: {error.what}"
        return warn(
            name, found, "give the key access to webhook subscriptions, or look in PagerDuty under Integrations"
        )
    if not ours:
        found = f"no subscription leads to {_PATH}"
        return warn(name, found, f"create one under Integrations > Generic Webhooks (v3) to https://<your host>{_PATH}")
    for subscription in ours:
        if subscription.get("active") is False:
            return fail(
                name, f"{subscription.get('id')} is switched off", "switch it on in PagerDuty under Integrations"
            )
        if subscription["delivery_method"].get("temporarily_disabled"):
            found = f"{subscription.get('id')} is disabled for a day after three refused deliveries, newer events are dropped"
            return fail(
                name,
                found,
                f"mend what refused them, then POST {client.url}/webhook_subscriptions/{subscription.get('id')}/enable",
            )
    where = ", ".join(str(subscription["delivery_method"]["url"]) for subscription in ours)
    return ok(name, f"active: {where}")


def _is_ours(subscription: dict[str, Any]) -> bool:
    method = subscription.get("delivery_method")
    return isinstance(method, dict) and str(method.get("url", "")).rstrip("/").endswith(_PATH)
