"""Checks every overlay without a cluster: `python -m k8s.checks`, or `make k8s-validate`."""

from __future__ import annotations

import sys

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
        *network_faults(rendering),
        *restricted_faults(rendering),
        *hardening_faults(rendering),
    ]


def main() -> int:
    """Check all overlays, say what is wrong, and return the exit code."""
    shown = ", ".join(versions())
    failed = False
    for name in OVERLAYS:
        try:
            rendering = Rendering(render(overlay(name)))
        except KubectlError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        faults = faults_of(rendering, name)
        failed = failed or bool(faults)
        for fault in faults:
            sys.stderr.write(f"{name}: {fault}\n")
        said = f"{len(faults)} faults" if faults else "nothing is wrong"
        count = len(rendering.resources)
        sys.stdout.write(f"{name}: {count} resources, Kubernetes {shown}: {said}\n")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
