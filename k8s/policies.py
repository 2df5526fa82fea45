"""Holds the rendered overlays against checkov's policies: `python -m k8s.policies`.

checkov has about a hundred dependencies, so it lives in an environment of its own under build/,
made from requirements/checkov.lock on first use (about a minute) and needed by nothing else. A
policy that does not fit is named beside the resource, with the reason: `checkov.io/skip1: …`.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from k8s.kubectl import OVERLAYS, ROOT, overlay, rendered_text

LOCK = ROOT / "requirements" / "checkov.lock"


def environment() -> Path:
    """Return the folder of an environment with checkov, which is made when it is not there."""
    made = ROOT / "build" / "checkov" / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    done = made / "done"
    if not done.exists():
        sys.stdout.write("Making an environment for checkov; this takes a minute.\n")
        sys.stdout.flush()
        venv.create(made, with_pip=True, clear=True)
        command = [str(made / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input"]
        command += ["--no-deps", "--require-hashes", "--disable-pip-version-check"]
        subprocess.run([*command, "--requirement", str(LOCK)], check=True)
        done.touch()
    return made


def main() -> int:
    """Check all overlays and return the exit code: 1 when a policy fails that is not explained."""
    checkov = environment() / "bin" / "checkov"
    failed = False
    for name in OVERLAYS:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / f"{name}.yaml").write_text(rendered_text(overlay(name)))
            command = [str(checkov), "--framework", "kubernetes", "--compact", "--quiet"]
            # It would ask its makers' servers for how severe its findings are.
            command += ["--skip-download", "--directory", folder]
            done = subprocess.run(command, check=False)
        sys.stdout.write(f"{name}: {'see above' if done.returncode else 'nothing is found'}\n")
        failed = failed or done.returncode != 0
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
