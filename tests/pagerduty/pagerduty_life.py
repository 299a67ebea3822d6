"""A PagerDuty account in which everything has happened once."""

from __future__ import annotations

from bot.standin.pagerduty import PagerDutyStandIn


def live_through_everything(pagerduty: PagerDutyStandIn) -> None:
    """Every driver method, on incidents with and without every optional thing. Webhooks go nowhere, and are kept."""
    pagerduty.courier.hold()
    pagerduty.change("Deployed checkout", details={"sha": "0123abc"}, links=[("Diff", "https://github.com/acme/shop")])
    pagerduty.subscribe("http://127.0.0.1:9/pagerduty/webhook", secrets=["s"])
    full = pagerduty.trigger(
        "Checkout answers 500",
        priority="P2",
        details={"message": "pool exhausted", "runbook_url": "https://wiki.example.com/checkout"},
        links=[("Dashboard", "https://grafana.example.com/d/1")],
        custom_fields={"environment": "production", "regions": ["eu", "us"]},
        conference_url="https://meet.example.com/1",
    )["id"]
    pagerduty.acknowledge(full, "Ada")
    pagerduty.unacknowledge(full)
    pagerduty.annotate(full, "looking at the pool", "Ada")
    pagerduty.set_priority(full, "P1", "Ada")
    pagerduty.reassign(full, "Grace", "Ada")
    pagerduty.move_service(full, "payments", "Ada")
    pagerduty.update_status(full, "a fix is on its way", "Ada")
    pagerduty.resolve(full, "Grace")
    pagerduty.reopen(full, "Ada")
    pagerduty.acknowledge(full, "Ada")
    bare = pagerduty.trigger("Disk full", urgency="low")["id"]
    pagerduty.resolve(bare, None)
    for number in range(3):
        pagerduty.trigger(f"One more, {number}")
