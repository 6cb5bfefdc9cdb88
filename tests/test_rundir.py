"""A task's run directory: whole, checked, and free of code."""

import json
import pickle
import shutil

import numpy as np
import pytest

from sunhwan import rundir
from sunhwan.errors import SunhwanError
from sunhwan.files import new_run


@pytest.fixture
def run(tmp_path):
    folder = new_run("forecast", tmp_path / "run")
    known = rundir.record("forecast", ["sunhwan"], {"horizon": "24h"}, {"a.csv": "00"})
    rundir.write(
        folder, known, {"units": 3}, {"w": np.arange(3.0)}, metrics_json={"mae": 1.0}, history_csv="a,b\n"
    )
    return folder


def test_what_is_written_is_read(run):
    model, arrays = rundir.read(run, "forecast")
    assert model["units"] == 3
    assert arrays["w"].tolist() == [0, 1, 2]
    assert (run / "history.csv").read_text() == "a,b\n"
    assert json.loads((run / "metrics.json").read_text()) == {"mae": 1.0}
    record = json.loads((run / "run.json").read_text())
    assert (record["task"], record["state"], record["options"]) == (
        "forecast",
        "finished",
        {"horizon": "24h"},
    )


def test_a_run_says_when_it_began_and_when_it_was_whole(tmp_path):
    known = rundir.record("forecast", [], {}, {}, "2024-01-01T10:00:00+00:00")
    folder = new_run("forecast", tmp_path / "run")
    rundir.write(folder, known, {}, {})
    record = json.loads((folder / "run.json").read_text())
    assert rundir.began(folder) == record["started"] == "2024-01-01T10:00:00+00:00"
    assert record["started"] < record["finished"]


def test_a_copy_elsewhere_is_read(run, tmp_path):
    shutil.copytree(run, tmp_path / "elsewhere")
    assert rundir.task_of(tmp_path / "elsewhere") == "forecast"
    assert rundir.read(tmp_path / "elsewhere", "forecast")[1]["w"].tolist() == [0, 1, 2]


def altered(run):
    (run / "model.json").write_text((run / "model.json").read_text().replace("3", "4"))


def cut(run):
    (run / "model.npz").write_bytes((run / "model.npz").read_bytes()[:-20])


def newer(run):
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"format": 99, "versions": {"sunhwan": "9.9"}}))


def record_of(run, **changes):
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | changes))


def of_a_study(run):
    (run / "run.json").write_text('{"study": "x"}')


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (altered, "SHA-256 differs"),
        (cut, "SHA-256 differs"),
        (newer, r"made by sunhwan 9\.9 in format 99"),
        (of_a_study, "the run of a study"),
        (lambda run: (run / "model.npz").unlink(), r"lacks model\.npz"),
        (lambda run: (run / "run.json").unlink(), r"holds no run\.json"),
        (lambda run: (run / "run.json").write_text("{"), "expected to hold JSON"),
        (lambda run: (run / "run.json").write_text('{"task": "rm"}'), "names the task 'rm'"),
        (lambda run: record_of(run, sha256=["a"]), "kept run.json cannot be read"),
        (lambda run: record_of(run, format=99, versions=[1]), "kept run.json cannot be read"),
        (lambda run: record_of(run, format="1"), "in format 1; this version"),
        (lambda run: (run / "run.json").write_text("[" * 100_000), "expected to hold JSON"),
        (shutil.rmtree, "no run directory"),
    ],
)
def test_what_is_missing_altered_or_newer_is_refused(run, harm, said):
    harm(run)
    with pytest.raises(SunhwanError, match=said):
        rundir.read(run, "forecast")


def test_a_run_of_another_task_is_refused(run):
    with pytest.raises(SunhwanError, match="is a run of `forecast`; expected one of `classify`"):
        rundir.read(run, "classify")


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("code was run",))


@pytest.mark.parametrize("as_array", [True, False])
def test_a_model_that_would_run_code_is_refused(run, as_array):
    # With the checksum mended: whoever can plant a file can also plant its checksum.
    if as_array:
        np.savez(run / "model.npz", w=np.array([Trap()], object), allow_pickle=True)
    else:
        (run / "model.npz").write_bytes(pickle.dumps(Trap()))
    record = json.loads((run / "run.json").read_text())
    record["sha256"]["model.npz"] = rundir.checksum(run / "model.npz")
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(SunhwanError, match="plain arrays of numbers"):
        rundir.read(run, "forecast")


def test_arrays_of_texts_are_refused(run):
    np.savez(run / "model.npz", w=np.array(["a", "b"]))
    record_of(run, sha256={name: rundir.checksum(run / name) for name in rundir.MODEL})
    with pytest.raises(SunhwanError, match="plain arrays of numbers"):
        rundir.read(run, "forecast")


def test_every_file_has_its_checksum(tmp_path):
    known = rundir.record("forecast", [], {}, {})
    rundir.write(tmp_path / "run", known, {}, {"w": np.zeros(2)}, metrics_json={}, history_csv="a")
    sums = json.loads((tmp_path / "run" / "run.json").read_text())["sha256"]
    assert sorted(sums) == ["history.csv", "metrics.json", "model.json", "model.npz"]
    assert all(rundir.checksum(tmp_path / "run" / name) == digest for name, digest in sums.items())


def test_nothing_is_left_after_an_error(tmp_path):
    with pytest.raises(ValueError):
        rundir.write(tmp_path / "run", {"task": "forecast"}, {"x": float("nan")}, {})
    assert not (tmp_path / "run").exists()


def test_a_taken_folder_is_refused(run):
    with pytest.raises(SunhwanError, match="exists already"):
        new_run("forecast", run)
