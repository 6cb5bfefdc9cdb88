"""The run directory: whole, checked, free of code, and resumable where a study writes into it."""

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
        folder, known, {"units": 3}, {"w": np.arange(3.0)}, metrics={"mae": 1.0}, history="a,b\n1,2\n"
    )
    return folder


def test_what_is_written_is_read(run):
    model, arrays = rundir.read(run, "forecast")
    assert model == {"units": 3}
    assert arrays["w"].tolist() == [0, 1, 2]
    written = rundir.load(run)
    assert written.history == [{"a": "1", "b": "2"}]
    assert written.metrics == {"mae": 1.0}
    assert written.finished
    record = json.loads((run / "run.json").read_text())
    assert (record["kind"], record["state"], record["options"]) == (
        "forecast",
        "finished",
        {"horizon": "24h"},
    )


def test_a_run_records_when_it_began_and_when_it_was_whole(tmp_path):
    known = rundir.record("forecast", [], {}, {}, "2024-01-01T10:00:00+00:00")
    folder = new_run("forecast", tmp_path / "run")
    rundir.write(folder, known, {}, {})
    record = json.loads((folder / "run.json").read_text())
    assert rundir.began(folder) == record["started"] == "2024-01-01T10:00:00+00:00"
    assert record["started"] < record["finished"]


def test_a_copy_elsewhere_is_read(run, tmp_path):
    shutil.copytree(run, tmp_path / "elsewhere")
    assert rundir.kind_of(tmp_path / "elsewhere") == "forecast"
    assert rundir.read(tmp_path / "elsewhere", "forecast")[1]["w"].tolist() == [0, 1, 2]


def altered(run):
    (run / "model.json").write_text((run / "model.json").read_text().replace("3", "4"))


def cut(run):
    (run / "model.npz").write_bytes((run / "model.npz").read_bytes()[:-20])


def record_of(run, **changes):
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | changes))


def without(run, key):
    record = json.loads((run / "run.json").read_text())
    del record[key]
    (run / "run.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (altered, "SHA-256 differs"),
        (cut, "SHA-256 differs"),
        (
            lambda run: record_of(run, format=99, versions={"sunhwan": "9.9"}),
            r"by sunhwan 9\.9 in format 99.*update",
        ),
        # The two formats before there was one for all kinds.
        (
            lambda run: (run / "run.json").write_text('{"task": "forecast", "format": 1}'),
            "of another version in format 1; this version reads format 2: remove it, or make the run again",
        ),
        (
            lambda run: (run / "run.json").write_text('{"study": "x", "kind": "text", "state": "finished"}'),
            "in format None; this version reads format 2",
        ),
        (
            lambda run: record_of(run, kind="study", target="T (degC)"),
            r"run of a study, .* train on it with `sunhwan forecast FILE --target 'T \(degC\)'`",
        ),
        (lambda run: record_of(run, kind="study"), "run of a study, .* `sunhwan classify FILE`"),
        (lambda run: (run / "model.npz").unlink(), r"has no model\.npz"),
        (lambda run: (run / "run.json").unlink(), r"has no run\.json"),
        (lambda run: (run / "run.json").write_text("{"), "is not valid JSON"),
        (lambda run: (run / "run.json").write_text('{"kind": "rm"}'), "names the kind 'rm'"),
        (lambda run: without(run, "started"), "lacks 'started'"),
        (lambda run: record_of(run, sha256=["a"]), "saved run.json cannot be read"),
        (lambda run: record_of(run, format=99, versions=[1]), "saved run.json cannot be read"),
        (lambda run: record_of(run, format="1"), "in format '1'; this version"),
        (lambda run: (run / "run.json").write_text("[" * 100_000), "is not valid JSON"),
        (shutil.rmtree, "no run directory"),
    ],
)
def test_what_is_missing_altered_or_of_another_format_is_refused(run, harm, message):
    harm(run)
    with pytest.raises(SunhwanError, match=message):
        rundir.read(run, "forecast")


def test_a_run_of_another_kind_is_refused(run):
    with pytest.raises(SunhwanError, match="is a run of `forecast`; expected one of `classify`"):
        rundir.read(run, "classify")


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("code was run",))


@pytest.mark.parametrize("as_array", [True, False])
def test_a_model_that_would_run_code_is_refused(run, as_array):
    # With the checksum corrected: whoever can plant a file can also plant its checksum.
    if as_array:
        np.savez(run / "model.npz", w=np.array([Trap()], object), allow_pickle=True)
    else:
        (run / "model.npz").write_bytes(pickle.dumps(Trap()))
    record = json.loads((run / "run.json").read_text())
    record["sha256"]["model.npz"] = rundir.checksum(run / "model.npz")
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(SunhwanError, match="plain arrays of numbers"):
        rundir.read(run, "forecast")


def test_arrays_of_texts_are_refused_in_a_model(run):
    np.savez(run / "model.npz", w=np.array(["a", "b"]))
    record_of(run, sha256={name: rundir.checksum(run / name) for name in ("model.json", "model.npz")})
    with pytest.raises(SunhwanError, match="plain arrays of numbers"):
        rundir.read(run, "forecast")
    assert rundir.read_arrays(run / "model.npz")["w"].tolist() == ["a", "b"]


def test_every_file_has_its_checksum(tmp_path):
    known = rundir.record("forecast", [], {}, {})
    rundir.write(tmp_path / "run", known, {}, {"w": np.zeros(2)}, metrics={}, history="a")
    sums = json.loads((tmp_path / "run" / "run.json").read_text())["sha256"]
    assert sorted(sums) == ["history.csv", "metrics.json", "model.json", "model.npz"]
    assert all(rundir.checksum(tmp_path / "run" / name) == digest for name, digest in sums.items())


def test_a_run_that_goes_on_writing_is_begun_and_finished(tmp_path):
    folder = tmp_path / "run"
    rundir.begin(folder, rundir.record("study", [], {}, {}), study="a = 1\n")
    assert not rundir.load(folder).finished
    rundir.load(folder).verify()
    rundir.put(folder, metrics={"mae": 1.0})
    (folder / "fits").mkdir()
    (folder / "fits" / "gru-seed0.json").write_text("{}")
    # What is made of a run later is no part of it.
    (folder / "plots").mkdir()
    (folder / "plots" / "loss.png").write_text("")
    (folder / "report.html").write_text("")
    rundir.finish(rundir.load(folder), resumed_with={"keras": "3"})
    ended = rundir.load(folder)
    assert ended.finished and ended.record["resumed_with"] == {"keras": "3"}
    assert sorted(ended.record["sha256"]) == ["fits/gru-seed0.json", "metrics.json", "study.toml"]
    with pytest.raises(SunhwanError, match="already"):
        rundir.begin(folder, {})
    (folder / "fits" / "gru-seed0.json").write_text("{ }")
    with pytest.raises(SunhwanError, match=r"gru-seed0\.json' was changed after the run wrote it"):
        ended.verify()


def test_runs_of_all_kinds_are_found_oldest_first(tmp_path):
    for day, kind in ((2, "study"), (1, "classify"), (3, "forecast")):
        known = rundir.record(kind, [], {}, {}, f"2024-01-0{day}T10:00:00+00:00")
        rundir.write(tmp_path / kind, known, {}, {})
    (tmp_path / "empty").mkdir()
    shutil.copytree(tmp_path / "forecast", tmp_path / "old")
    record_of(tmp_path / "old", format=1)
    found, errors = rundir.runs(tmp_path)
    assert [run.kind for run in found] == ["classify", "study", "forecast"]
    assert len(errors) == 1 and "in format 1" in str(errors[0])
    assert rundir.runs(tmp_path / "not there") == ([], [])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("history", "a,c\n", "history.csv' has no column b"),
        ("predictions", None, "has no predictions.npz; copy the whole run directory again"),
        ("arrays", None, "model.npz' has no array b"),
    ],
)
def test_what_a_file_lacks_is_named(name, content, message, run):
    if content:
        (run / rundir.FILES[name]).write_text(content)
    with pytest.raises(SunhwanError, match=message):
        rundir.load(run).read(name, ["b"])


def test_nothing_is_left_after_an_error(tmp_path):
    with pytest.raises(ValueError):
        rundir.write(tmp_path / "run", {"kind": "forecast"}, {"x": float("nan")}, {})
    assert not (tmp_path / "run").exists()


def test_a_taken_folder_is_refused(run):
    with pytest.raises(SunhwanError, match="exists already"):
        new_run("forecast", run)
