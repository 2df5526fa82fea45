"""Each tier is a program of its own: without any other one it still imports."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TIERS = ("controller_tier", "service_tier", "repository_tier")
SHARED = ("tier_runtime", "shared_protos/arcana")

# Given: the package that is not there, then those whose every module must import. A module named
# __main__ is a program: importing it would run it.
IMPORT_ALL = """
import importlib, importlib.util, pkgutil, sys
gone, *packages = sys.argv[1:]
assert importlib.util.find_spec(gone) is None, f"{gone} is still there"
for name in packages:
    package = importlib.import_module(name)
    count = 0
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
            count += 1
    assert count > 3, f"{name}: only {count} modules"
    print(name, count)
"""


@pytest.mark.parametrize("gone", TIERS)
def test_without_one_tier_every_module_of_the_others_imports(gone: str, tmp_path: Path) -> None:
    left = [tier for tier in TIERS if tier != gone]
    for folder in (*SHARED, *left):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    paths = [tmp_path, tmp_path / "shared_protos", sysconfig.get_path("purelib")]
    # Without `site` the editable install, which leads back to the checkout, is not on the path.
    prelude = f"import sys; sys.path[:0] = {[str(path) for path in paths]!r}\n"
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", prelude + IMPORT_ALL, gone, "tier_runtime", *left],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 3
