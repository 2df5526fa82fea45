"""Prometheus metrics of a process: what is counted, and the port where it is read."""

from __future__ import annotations
