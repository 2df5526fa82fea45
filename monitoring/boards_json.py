"""Dashboards in Grafana's JSON (grafana.com/docs/grafana/latest/dashboards, schema 39)."""

from __future__ import annotations

from typing import Any

from monitoring.panels import Dashboard, Panel

_WIDTH, _HEIGHT, _COLUMNS = 12, 8, 2
# Whoever imports a dashboard chooses the Prometheus it asks.
_SOURCE = {"type": "prometheus", "uid": "${source}"}


def dashboard_json(dashboard: Dashboard) -> dict[str, Any]:
    """Return a dashboard as Grafana imports it."""
    return {
        "uid": f"arcana-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["arcana"],
        "schemaVersion": 39,
        "editable": False,
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "30s",
        "templating": {
            "list": [
                {"name": "source", "label": "Source", "type": "datasource", "query": "prometheus"}
            ]
        },
        "panels": [_panel_json(panel, place) for place, panel in enumerate(dashboard.panels)],
    }


def _panel_json(panel: Panel, place: int) -> dict[str, Any]:
    row, column = divmod(place, _COLUMNS)
    return {
        "id": place + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "custom": {"fillOpacity": 10}},
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": _SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend,
            }
            for number, query in enumerate(panel.queries)
        ],
    }
