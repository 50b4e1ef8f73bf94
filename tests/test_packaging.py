"""The package in each way it is installed: checkout, editable, sdist, wheel; nothing but perfmodel in site-packages."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

ASK = ["estimate", "llama-3.1-8b", "sn40l", "--devices", "8", "--json"]


def call(words, **more):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory, request):
    """The sdist of a clean copy, and the wheel built from that sdist."""
    root = request.config.rootpath
    folder = tmp_path_factory.mktemp("built")
    copy = folder / "copy"
    shutil.copytree(
        root,
        copy,
        ignore=shutil.ignore_patterns(
            ".git",
            ".venv",
            "dist",
            "build",
            "__pycache__",
            ".hypothesis",
            ".pytest_cache",
            ".mypy_cache",
            ".ruff_cache",
        ),
    )
    call([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(copy)])
    return folder / "dist"


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """A folder with the wheel installed, as a site-packages of its own."""
    target = tmp_path_factory.mktemp("site")
    wheel = next(built.glob("*.whl"))
    call(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--no-index",
            "--target",
            str(target),
            str(wheel),
        ]
    )
    return target


def test_the_wheel_adds_one_name_to_site_packages(built, installed):
    names = {entry.name for entry in installed.iterdir()}
    assert {n for n in names if not n.endswith(".dist-info") and n != "bin"} == {"perfmodel"}
    wheel = next(built.glob("*.whl"))
    call([sys.executable, "-m", "check_wheel_contents", "--toplevel", "perfmodel", str(wheel)], cwd="/")
    with zipfile.ZipFile(wheel) as archive:
        assert "perfmodel/cli.py" in archive.namelist()
        assert "perfmodel/_data/hardware/sn40l.toml" in archive.namelist()


def test_the_wheel_answers_elsewhere_like_the_checkout(installed, tmp_path, repository):
    environment = os.environ | {"PYTHONPATH": str(installed)}
    elsewhere = call([sys.executable, "-m", "perfmodel", *ASK], cwd=tmp_path, env=environment)
    where = call([sys.executable, "-c", "import perfmodel; print(perfmodel.__file__)"], cwd=tmp_path, env=environment)
    assert where.startswith(str(installed))
    assert elsewhere == call([sys.executable, "-m", "perfmodel", *ASK], cwd=repository)
    assert call([str(installed / "bin" / "perfmodel"), *ASK], cwd=tmp_path, env=environment) == elsewhere
    for name in ("cli", "hardware", "models"):
        done = subprocess.run(
            [sys.executable, "-P", "-S", "-c", f"import sys; sys.path[:0] = [{str(installed)!r}]; import {name}"],
            capture_output=True,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode != 0


def test_the_checkout_answers_as_script_and_as_module(repository, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(repository)}
    as_module = call([sys.executable, "-m", "perfmodel", *ASK], cwd=tmp_path, env=environment)
    assert call([sys.executable, str(repository / "cli.py"), *ASK], cwd=tmp_path, env=environment) == as_module
    assert json.loads(as_module)["before"]["kernel_calls"] == 35


def test_the_sdist_holds_what_its_tests_need(built, tmp_path):
    shutil.unpack_archive(next(built.glob("*.tar.gz")), tmp_path)
    folder = next(tmp_path.iterdir())
    for name in (
        "cli.py",
        "tests/conftest.py",
        "hardware/sn40l.toml",
        "models/llama-3.1-8b.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "Makefile",
        "hatch_build.py",
        "constraints.txt",
    ):
        assert (folder / name).exists(), name
    assert call([sys.executable, "-m", "perfmodel", *ASK], cwd=folder)


def test_an_editable_install_reads_the_checkout(built, tmp_path, repository):
    """The editable wheel holds a pointer to the checkout and no second copy of cli.py."""
    code = "from hatchling.build import build_editable; import sys; print(build_editable(sys.argv[1]))"
    copy = built.parent / "copy"
    name = call([sys.executable, "-c", code, str(tmp_path)], cwd=copy).splitlines()[-1]
    with zipfile.ZipFile(tmp_path / name) as archive:
        entries = [n for n in archive.namelist() if ".dist-info/" not in n]
        assert all(n.endswith(".pth") for n in entries)
        assert str(copy) in archive.read(entries[0]).decode()
