"""The alerts as Prometheus loads them, and as somebody reads them who was woken."""

from __future__ import annotations

from typing import Any

import yaml

from monitoring.alerts import ALERTS, Alert

RUNBOOK = "docs/alerts.md"
NOTE = "Made by `make monitoring` from the code. Do not edit."


def anchor(alert: Alert) -> str:
    """Return where the runbook tells of an alert."""
    return f"{RUNBOOK}#{alert.name.lower()}"


def rules_yaml() -> str:
    """Return the file of rules."""
    groups = {"groups": [{"name": "arcana", "rules": [_rule(alert) for alert in ALERTS]}]}
    written = yaml.safe_dump(groups, sort_keys=False, width=100, allow_unicode=True)
    return f"# {NOTE}\n{written}"


def runbook() -> str:
    """Return the page of what to do."""
    lines = [
        f"<!-- {NOTE} -->",
        "# Alerts",
        "",
        "What [the rules](../monitoring/prometheus/alerts.yml) wake somebody for (critical) or",
        "have looked at within the day (warning), why their thresholds are what they are, and what",
        "to do. Whatever you change, change it in `monitoring/alerts.py`.",
    ]
    for alert in ALERTS:
        lines += [
            "",
            f"## {alert.name}",
            "",
            f"{alert.severity.capitalize()}, after {alert.wait}:",
            "",
            f"    {alert.expression}",
            "",
            f"Why there: {alert.why}",
            "",
            f"What to do: {alert.runbook}",
        ]
    return "\n".join(lines) + "\n"


def _rule(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.wait,
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "description": f"{alert.why} {alert.runbook}",
            "runbook": anchor(alert),
        },
    }
