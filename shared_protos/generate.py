"""Make and check the code of the contracts.

Run as ``python shared_protos/generate.py`` to write the Python code beside the ``.proto`` files,
with ``--check`` to compare it with what is there, with ``--lint`` for ``buf lint`` and
``buf breaking``, or with ``--release`` to make the contracts of now the ones that
``buf breaking`` holds later ones to.

The Google protos that ours import come from the installed packages, at the versions in the lock
file, so nothing is fetched.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROTO_ROOT = HERE / "arcana"
BUF_CONFIG = HERE / "buf.yaml"
RELEASED_IMAGE = HERE / "released.binpb"
# What our contracts import of others, and what that imports.
GOOGLE_PROTOS = {
    "google.api": ("annotations.proto", "http.proto"),
    "google.rpc": ("status.proto",),
}
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")


def _package_folder(name: str) -> Path:
    """Return the folder of an installed package; ``google.api`` is a namespace package."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"The package {name} is not installed. Run `make test` or `make protos`.")
    return Path(next(iter(spec.submodule_search_locations)))


def _sources() -> list[str]:
    return sorted(str(path.relative_to(HERE)) for path in PROTO_ROOT.rglob("*.proto"))


def generate(target: Path) -> None:
    """Write the messages, stubs and type stubs of every contract below ``target``."""
    scripts = Path(sys.executable).parent
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"--proto_path={HERE}",
        f"--proto_path={_package_folder('google.api').parent.parent}",
        f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
        f"--python_out={target}",
        f"--grpc_python_out={target}",
        f"--mypy_out=quiet:{target}",
        f"--mypy_grpc_out=quiet:{target}",
        *_sources(),
    ]
    if subprocess.run(command, check=False).returncode != 0:
        raise SystemExit("protoc refused the contracts; its reasons stand above.")
    _remove_empty_stubs(target)


def _remove_empty_stubs(target: Path) -> None:
    """Remove the stub modules of contracts that hold messages only."""
    for source in _sources():
        if not any(line.startswith("service ") for line in (HERE / source).open()):
            for suffix in (".py", ".pyi"):
                (target / source.replace(".proto", f"_pb2_grpc{suffix}")).unlink()


def _generated(root: Path) -> dict[str, Path]:
    return {
        str(path.relative_to(root)): path for pattern in GENERATED for path in root.rglob(pattern)
    }


def check() -> None:
    """Raise SystemExit unless the committed code is what :func:`generate` makes now."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh, committed = _generated(Path(folder)), _generated(HERE)
        stale = sorted(
            name
            for name in fresh.keys() | committed.keys()
            if name not in fresh
            or name not in committed
            or not filecmp.cmp(fresh[name], committed[name], shallow=False)
        )
    if stale:
        raise SystemExit(
            "Generated code differs from the contracts: run `make protos` and commit.\n  "
            + "\n  ".join(stale)
        )


def regenerate() -> None:
    """Replace the generated code; what no contract makes any more goes away."""
    for path in _generated(HERE).values():
        path.unlink()
    generate(HERE)


def _buf(arguments: list[str]) -> None:
    """Run buf over the contracts together with the Google protos that they import."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        shutil.copytree(
            PROTO_ROOT, workspace / "arcana", ignore=shutil.ignore_patterns("*.py", "*.pyi")
        )
        for package, names in GOOGLE_PROTOS.items():
            folder_of_package = workspace.joinpath(*package.split("."))
            folder_of_package.mkdir(parents=True)
            for name in names:
                shutil.copy(_package_folder(package) / name, folder_of_package / name)
        shutil.copy(BUF_CONFIG, workspace / "buf.yaml")
        command = [str(Path(sys.executable).parent / "buf"), *arguments, "--path", "arcana"]
        if subprocess.run(command, cwd=workspace, check=False).returncode != 0:
            raise SystemExit(f"`buf {arguments[0]}` found faults; they stand above.")


def lint() -> None:
    """Run ``buf lint``, then ``buf breaking`` against the contracts of the last release."""
    _buf(["lint"])
    if not RELEASED_IMAGE.exists():
        raise SystemExit(f"{RELEASED_IMAGE.name} is missing: take it from the last release.")
    _buf(["breaking", "--against", str(RELEASED_IMAGE)])


def release() -> None:
    """Make the contracts of now the ones that later ones must not break."""
    _buf(["build", "--exclude-source-info", "-o", str(RELEASED_IMAGE)])


def main() -> None:
    """Do what the command line names; without an option, regenerate."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_const", dest="action", const=check)
    choice.add_argument("--lint", action="store_const", dest="action", const=lint)
    choice.add_argument("--release", action="store_const", dest="action", const=release)
    action = parser.parse_args().action or regenerate
    action()


if __name__ == "__main__":
    main()
