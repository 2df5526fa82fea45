"""Writes the Secrets of the overlay `dev` out of what `arcana secrets` and `arcana certs` made.

arcana secrets build/k8s/secrets
arcana certs build/k8s/certs
python -m k8s.dev_secrets build/k8s/secrets build/k8s/certs | kubectl apply --filename -
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from k8s.given_secrets import CERTIFICATE_NAMES, GIVEN_IN_DEV

NAMESPACE = "arcana"


class MissingSecretsError(RuntimeError):
    """Files that have to be made first."""


def secret_list(secrets: Path, certificates: Path) -> dict[str, Any]:
    """Return a List of all Secrets that the overlay `dev` refers to.

    `secrets` holds a folder for each reader, `certificates` one for each name.

    Raises:
        MissingSecretsError: with the paths of all files that are not there.
    """
    folders = {name: secrets / name for name in GIVEN_IN_DEV}
    folders |= {f"{name}-tls": certificates / name for name in CERTIFICATE_NAMES}
    files = {name: [folders[name] / key for key in sorted(GIVEN_IN_DEV[name])] for name in folders}
    missing = [str(each) for paths in files.values() for each in paths if not each.is_file()]
    if missing:
        raise MissingSecretsError("There is no " + ", no ".join(missing) + ".")
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [_secret(name, paths) for name, paths in files.items()],
    }


def _secret(name: str, files: Sequence[Path]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/name": "arcana"},
        },
        "type": "kubernetes.io/tls" if name.endswith("-tls") else "Opaque",
        "data": {file.name: base64.b64encode(file.read_bytes()).decode() for file in files},
    }


def main(arguments: Sequence[str]) -> int:
    """Write them as JSON to standard output, which is YAML too, and return the exit code."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m k8s.dev_secrets SECRETS CERTIFICATES\n")
        return 1
    try:
        secrets = secret_list(*map(Path, arguments))
    except MissingSecretsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    json.dump(secrets, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
