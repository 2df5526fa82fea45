"""Dashboards and alert rules, made from the series that the code declares."""

from __future__ import annotations
