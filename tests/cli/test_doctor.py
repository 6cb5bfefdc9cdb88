"""`sunhwan doctor`."""

import os
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from sunhwan import native
from sunhwan.cli import doctor

PROJECT = Path(__file__).parent.parent.parent / "pyproject.toml"


def test_all_that_is_installed_is_named_with_its_version(sunhwan, tmp_path):
    ended = sunhwan("doctor")
    assert (ended.status, ended.err) == (0, "")
    for name in ("keras", "jax", "numpy", "polars", "scikit-learn"):
        assert any(line.split() == [name, version(name)] for line in ended.out.splitlines())
    assert "Keras backend: jax\n  (scripts run by accelerate and audit use Keras's own" in ended.out
    assert "cores" in ended.out
    assert f"kernels: {native.isa()}, threads: {native.num_threads()}, {native.path()}\n" in ended.out
    assert f"cache: {tmp_path / 'cache'}" in ended.out
    assert ended.out.endswith("everything required is installed and works\n")


def test_what_the_package_depends_on_is_what_the_doctor_looks_for():
    """click is left out: without it there is no command to say so."""
    declared = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]
    assert {line.split(">")[0] for line in declared} == {*doctor.REQUIRED, "click"}


def test_what_is_missing_is_said_before_anything_imports_it(sunhwan, monkeypatch):
    installed = doctor.installed
    monkeypatch.setattr(
        doctor, "installed", lambda name: None if name in ("polars", "rich") else installed(name)
    )
    ended = sunhwan("doctor")
    assert ended.status == 1
    assert "polars        MISSING: pip install polars" in ended.out
    assert ended.out.endswith("missing: polars, rich\n")


@pytest.mark.parametrize(
    ("backend", "said"), [("numpy", "expected one that can train"), ("torch", "is not installed")]
)
def test_a_backend_that_cannot_serve_is_a_problem(backend, said, sunhwan, monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else found(name))
    monkeypatch.setenv("KERAS_BACKEND", backend)
    ended = sunhwan("doctor")
    assert ended.status == 1
    assert f"problem: KERAS_BACKEND is '{backend}'" in ended.out and said in ended.out


@pytest.mark.parametrize(
    ("variable", "value"),
    [("SUNHWAN_LIBRARY", "/nowhere.so"), ("SUNHWAN_ISA", "avx3"), ("SUNHWAN_NUM_THREADS", "many")],
)
def test_kernels_that_cannot_run_are_a_problem(variable, value):
    command = [sys.executable, "-c", "from sunhwan.cli import main; main()", "doctor"]
    environment = os.environ | {"KERAS_BACKEND": "jax", variable: value}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.returncode == 1
    (trouble,) = [line for line in ended.stdout.splitlines() if line.startswith("problem: ")]
    assert trouble.startswith("problem: the kernels cannot run, so nothing is accelerated: ")
    assert variable in trouble and value in trouble
    assert "everything required is installed and works" not in ended.stdout


def test_handlers_that_jax_does_not_take_are_a_problem(sunhwan, monkeypatch):
    from sunhwan.recurrence.ops import xla

    monkeypatch.setattr(xla, "reason", lambda: "it is too old")
    ended = sunhwan("doctor")
    assert ended.status == 1
    assert "problem: the kernels cannot run on JAX, so nothing is accelerated: it is too old\n" in ended.out


def test_a_module_may_come_with_a_package_of_another_name(monkeypatch):
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name == "torch" else object())
    monkeypatch.setattr(doctor, "packages_distributions", lambda: {"tensorflow": ["tensorflow-cpu"]})
    monkeypatch.setattr(doctor, "version", lambda name: "2.21.0")
    monkeypatch.setattr(doctor, "installed", lambda name: None)
    assert doctor.provided("tensorflow") == "2.21.0 (tensorflow-cpu)"
    assert doctor.provided("built by hand") == "installed"
    assert doctor.provided("torch") is None


def test_a_cache_that_cannot_be_written_is_a_problem(sunhwan, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "writable", lambda folder: folder != tmp_path / "cache")
    ended = sunhwan("doctor")
    assert ended.status == 1
    assert f"problem: cannot write to '{tmp_path / 'cache'}'; set SUNHWAN_CACHE" in ended.out
