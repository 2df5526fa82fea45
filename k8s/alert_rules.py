"""Writes the PrometheusRule out of the alert rules that are made from code.

Run as `python -m k8s.alert_rules` whenever `monitoring/prometheus/alerts.yml` has changed; a test
compares the two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from k8s.kubectl import HERE, ROOT

ALERTS = ROOT / "monitoring" / "prometheus" / "alerts.yml"
RULES = HERE / "components" / "monitoring" / "rules.yaml"

_HEAD = """\
# Made by `python -m k8s.alert_rules` from monitoring/prometheus/alerts.yml. Do not edit.
"""


def rules_text(alerts: Path = ALERTS) -> str:
    """Return the PrometheusRule as YAML; without alerts it has no groups."""
    groups = yaml.safe_load(alerts.read_text())["groups"] if alerts.exists() else []
    rule: dict[str, Any] = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "arcana", "labels": {"app.kubernetes.io/name": "arcana"}},
        "spec": {"groups": groups},
    }
    return _HEAD + yaml.safe_dump(rule, sort_keys=False, width=100, allow_unicode=True)


if __name__ == "__main__":
    RULES.write_text(rules_text())
