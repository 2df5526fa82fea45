"""Checks every overlay without a cluster: `python -m k8s.checks`, or `make k8s-validate`."""

from __future__ import annotations

import sys
from pathlib import Path

from k8s.adapter_rules import adapter_faults, served
from k8s.given_secrets import given_in
from k8s.kubectl import OVERLAYS, KubectlError, overlay, render
from k8s.network import network_faults
from k8s.pod_security import hardening_faults, restricted_faults
from k8s.references import reference_faults
from k8s.resources import Rendering
from k8s.schemas import schema_faults, versions
from k8s.wellformed import form_faults


def faults_of(rendering: Rendering, name: str) -> list[str]:
    """Return all that is wrong with a rendered overlay."""
    return [
        *schema_faults(rendering),
        *form_faults(rendering),
        *reference_faults(rendering, given_in(name)),
        *adapter_faults(rendering, served()),
        *network_faults(rendering),
        *restricted_faults(rendering),
        *hardening_faults(rendering),
    ]


def report(name: str, folder: Path) -> bool:
    """Say what is wrong with an overlay, and return True when nothing is."""
    try:
        rendering = Rendering(render(folder))
    except KubectlError as error:
        sys.stderr.write(f"{error}\n")
        return False
    faults = faults_of(rendering, name)
    for fault in faults:
        sys.stderr.write(f"{name}: {fault}\n")
    said = f"{len(faults)} faults" if faults else "nothing is wrong"
    count, shown = len(rendering.resources), ", ".join(versions())
    sys.stdout.write(f"{name}: {count} resources, Kubernetes {shown}: {said}\n")
    return not faults


def main() -> int:
    """Check all overlays, say what is wrong, and return the exit code."""
    well = [report(name, overlay(name)) for name in OVERLAYS]
    return 0 if all(well) else 1


if __name__ == "__main__":
    raise SystemExit(main())
