"""The directory of evidence: what it holds, how a run is stopped, resumed and refused."""

import csv
import errno
import json
import math
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
import tomli_w

from sunhwan import files, rundir
from sunhwan.errors import SunhwanError
from sunhwan.files import atomic
from sunhwan.studies import adding, run, texts, train
from sunhwan.studies.run import Member
from sunhwan.studies.study import load, parse
from sunhwan.training.progress import Nobody


class Told(Nobody):
    """Notes the members that are begun."""

    def __init__(self):
        self.members, self.notes = [], None

    def prepared(self, notes):
        self.notes = notes

    def begin(self, member, epochs, batches):
        self.members.append(member)


def rows(folder):
    with open(folder / "history.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read(path):
    """JSON as JSON is: NaN and Infinity are no part of it."""

    def refuse(constant):
        raise ValueError(f"{constant} in {path}")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def contents(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def finished(station, tmp_path_factory):
    """A finished run of two models and two seeds; one model diverges: (study, folder, metrics, watcher)."""
    study = parse(
        f"""
        question = "Does it run?"
        kind = "forecast"
        models = ["dense", "wild"]
        baselines = ["last_value", "ridge"]
        epochs = 3
        seeds = 2
        batch_size = 16
        data = {{name = "table", path = '{station}'}}
        prepare = {{target = "T (degC)", lookback = "6h", horizon = "3h"}}
        model.wild = {{builder = "dense", learning_rate = 1e30}}
        """,
        "small",
    )
    folder, told = tmp_path_factory.mktemp("run") / "out", Told()
    metrics = run.carry_out(study, folder, told, command=["sunhwan", "study"], declared_epochs=20)
    return study, folder, metrics, told


# ---- what the directory holds -----------------------------------------------------------------------------


def test_every_file_of_the_directory_is_documented_and_there(finished):
    _, folder, _, _ = finished
    sections = re.split(r"^A (?:run|study)", rundir.__doc__, flags=re.MULTILINE)
    documented = re.findall(r"^    ([a-z]+(?:\.[a-z]+|/)) ", sections[0] + sections[2], flags=re.MULTILINE)
    there = {entry.name + ("/" if entry.is_dir() else "") for entry in folder.iterdir()}
    # The plots are drawn by another room.
    assert set(documented) == there | {"plots/"}
    dense = [f"{name}-seed{seed}" for name in ("dense",) for seed in (0, 1)]
    wild = [f"wild-seed{seed}" for seed in (0, 1)]
    assert {path.name for path in (folder / "models").iterdir()} == {f"{name}.keras" for name in dense}
    assert {path.name for path in (folder / "fits").iterdir()} == {
        f"{name}.{suffix}" for name in dense + wild for suffix in ("json", "npz")
    }


def test_the_record_tells_everything(finished, station):
    study, folder, metrics, told = finished
    record = read(folder / "run.json")
    assert record["state"] == "finished"
    assert record["started"] <= record["finished"]
    assert (record["kind"], record["study"], record["question"]) == ("study", "small", "Does it run?")
    assert record["study_kind"] == "forecast"
    assert record["command"] == ["sunhwan", "study"]
    assert (record["epochs"], record["declared_epochs"], record["few_epochs"]) == (3, 20, True)
    assert (record["metric"], record["unit"], record["target"]) == ("mae", "degC", "T (degC)")
    assert record["versions"]["keras"] == keras.__version__
    assert "resumed_with" not in record
    assert record["keras_backend"] == keras.backend.backend()
    assert record["machine"]["cores"] == os.cpu_count()
    assert re.fullmatch("[0-9a-f]{64}", record["data"]["table"])
    assert told.notes == record["notes"] and "172 / 52 / 52 windows" in told.notes[-1]
    assert parse((folder / "study.toml").read_text(), "x") == study
    assert read(folder / "metrics.json") == metrics
    assert metrics["run"] == str(folder)


def test_history_has_a_row_for_each_model_seed_and_epoch(finished):
    _, folder, _, _ = finished
    history = rows(folder)
    assert [(row["model"], row["seed"], row["epoch"]) for row in history] == [
        (model, str(seed), str(epoch))
        for model in ("dense", "wild")
        for seed in (0, 1)
        for epoch in (1, 2, 3)
    ]
    assert all(float(row["loss"]) > 0 and float(row["val_loss"]) > 0 for row in history[:6])
    assert all(math.isnan(float(row["val_loss"])) for row in history[6:])


def test_figures_are_those_of_the_kept_models(finished):
    study, folder, metrics, _ = finished
    problem = run.PROBLEMS["forecast"](study)[""]
    truth = problem.physical(problem.test.truth)
    errors = []
    for seed in (0, 1):
        model = keras.saving.load_model(folder / "models" / f"dense-seed{seed}.keras")
        inputs, _ = problem.test.gather(np.arange(len(problem.test)))
        errors.append(np.abs(problem.physical(np.asarray(model(inputs))[:, 0]) - truth).mean())
    dense = metrics["models"]["dense"]
    assert errors[0] != errors[1]
    assert dense["test"]["values"] == pytest.approx(errors, rel=1e-5)
    assert dense["test"]["mean"] == pytest.approx(np.mean(errors), rel=1e-5)
    # Of two values the sample's standard deviation is their distance over the root of two.
    assert dense["test"]["std"] == pytest.approx(abs(errors[0] - errors[1]) / math.sqrt(2), rel=1e-3)
    assert dense["normalised"]["test"] == pytest.approx(dense["test"]["mean"] / problem.metric.factor)
    assert dense["parameters"] == 6 * 2 * 32 + 32 + 33
    losses = [float(row["val_loss"]) for row in rows(folder)[:3]]
    assert dense["best_epochs"][0] == 1 + int(np.argmin(losses))
    assert dense["validation"]["values"][0] == pytest.approx(min(losses) * problem.metric.factor, rel=1e-6)


def test_baselines_are_scored_on_both_parts(finished):
    study, _, metrics, _ = finished
    problem = run.PROBLEMS["forecast"](study)[""]
    for name, entry in metrics["baselines"].items():
        for part, key in (("val", "validation"), ("test", "test")):
            score = problem.score(problem.baselines[name][part], part)
            assert (entry[key], entry["normalised"][key]) == (score["value"], score["loss"])
    assert list(metrics["baselines"]) == ["last_value", "ridge"]


def test_a_model_that_diverged_is_said_to_have_and_costs_the_others_nothing(finished):
    _, folder, metrics, _ = finished
    nothing = {"mean": None, "std": None, "values": [None, None]}
    wild = metrics["models"]["wild"]
    assert (wild["validation"], wild["test"], wild["best_epochs"]) == (nothing, nothing, [None, None])
    assert wild["parameters"] == metrics["models"]["dense"]["parameters"]
    assert metrics["verdict"].endswith(" Training diverged: wild.")
    with np.load(folder / "predictions.npz") as kept:
        assert "forecast:wild" not in kept


def test_predictions_are_of_the_seed_that_did_best_on_validation(finished):
    _, folder, metrics, _ = finished
    best = int(np.argmin(metrics["models"]["dense"]["validation"]["values"]))
    with np.load(folder / "predictions.npz") as kept:
        assert set(kept) == {
            *("time", "series", "series_names", "truth"),
            *("forecast:last_value", "forecast:ridge", "forecast:dense"),
        }
        error = np.abs(kept["forecast:dense"] - kept["truth"]).mean()
    assert error == pytest.approx(metrics["models"]["dense"]["test"]["values"][best], rel=1e-5)


def test_the_adding_problem_has_an_entry_for_each_length(tmp_path, monkeypatch):
    monkeypatch.setattr(adding, "HELD_OUT", 50)
    study = load("adding_problem").with_models(["simple_rnn"]).with_prepare(timesteps=[4, 6]).with_epochs(1)
    metrics = run.carry_out(replace(study, steps_per_epoch=2, batch_size=8), tmp_path / "out")
    assert list(metrics["models"]) == ["simple_rnn_4", "simple_rnn_6"]
    assert list(metrics["baselines"]) == ["mean_4", "mean_6"]
    assert contents(tmp_path / "out") >= {
        "models/simple_rnn_4-seed0.keras",
        "models/simple_rnn_6-seed0.keras",
    }
    assert metrics["verdict"].startswith("Solved (mean squared error below 0.01")
    assert read(tmp_path / "out" / "run.json")["data"].keys() == {"adding 4", "adding 6"}


# ---- killed and resumed -----------------------------------------------------------------------------------

MASKED = {"builder": "gru_dropout", "units": 32, "dropout": 0.3, "recurrent_dropout": 0.3}

KILLED = """
import os, signal, sys
from pathlib import Path
from sunhwan.studies import run
from sunhwan.studies.study import load
from sunhwan.training.progress import Nobody

class Killer(Nobody):
    def batch(self, epoch, batch):
        if (epoch, batch) == (3, 2):
            os.kill(os.getpid(), signal.SIGKILL)

run.carry_out(load(sys.argv[1]), Path(sys.argv[2]), Killer())
"""


def bits(folder):
    """Every number that a run leaves, but for how long it took."""
    left = {}
    for path in sorted((folder / "models").glob("*.keras")):
        weights = keras.saving.load_model(path).get_weights()
        left[path.name] = [weight.tobytes() for weight in weights]
    for name in (
        "predictions.npz",
        "series.npz",
        *(f"fits/{path.name}" for path in (folder / "fits").glob("*.npz")),
    ):
        with np.load(folder / name) as arrays:
            left[name] = {key: arrays[key].tobytes() for key in arrays}
    left["history.csv"] = [{k: v for k, v in row.items() if k != "seconds"} for row in rows(folder)]
    metrics = read(folder / "metrics.json")
    del metrics["run"]
    for entry in metrics["models"].values():
        del entry["seconds_per_epoch"]
    left["metrics.json"] = metrics
    return left


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_run_is_resumed_to_the_same_bits(study, tmp_path):
    """SIGKILL in the middle of the third epoch: nothing of Python's own cleaning up runs."""
    declared = study(models=("masked", "dense"), model={"masked": MASKED}, epochs=4)
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    run.carry_out(declared, undisturbed)

    path = tmp_path / "small.toml"
    path.write_text(tomli_w.dumps(declared.to_dict()))
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), str(killed)], capture_output=True, timeout=300
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert read(killed / "run.json")["state"] == "running"
    assert [row["epoch"] for row in rows(killed)] == ["1", "2"]
    assert (killed / "fits" / "masked-seed0.checkpoint.npz").exists()
    # What a process leaves that is killed while it writes.
    (killed / "models" / ".writing-abc.keras").write_bytes(b"half")

    folder, kept = run.resumable("small", killed)
    assert (folder, kept) == (killed, declared)
    run.carry_out(kept, folder)
    assert bits(killed) == bits(undisturbed)
    assert contents(killed) == contents(undisturbed)


class Stopped(BaseException):
    """Ends a run as Ctrl-C does."""


@pytest.mark.parametrize(
    ("moment", "trained"),
    [
        ("models/dense-seed1.keras", ["dense-seed1"]),
        ("fits/dense-seed1.npz", ["dense-seed1"]),
        ("fits/dense-seed1.json", ["dense-seed1"]),
        ("metrics.json", []),
        ("run.json", []),
    ],
)
def test_a_run_stopped_between_two_files_goes_on(moment, trained, finished, tmp_path, monkeypatch):
    """Stopped where the file `moment` would be written next, `run.json` for the second time."""
    declared, undisturbed, _, _ = finished
    declared = declared.with_models(["dense"])
    out, told = tmp_path / "out", Told()

    def interrupted(path):
        if path == out / moment and (moment != "run.json" or path.exists()):
            raise Stopped
        return atomic(path)

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        for module in (train, files):
            patch.setattr(module, "atomic", interrupted)
        run.carry_out(declared, out)
    assert read(out / "run.json")["state"] == "running"
    run.carry_out(*reversed(run.resumable("small", out)), told)
    assert read(out / "run.json")["state"] == "finished"
    # What was finished is not trained again.
    assert told.members == trained
    assert contents(out) == {name for name in contents(undisturbed) if "wild" not in name}
    whole = bits(undisturbed)
    assert all(values == whole[name] for name, values in bits(out).items() if name.endswith(".keras"))


def test_what_is_finished_is_not_trained_again(finished):
    _, folder, metrics, _ = finished
    told = Told()
    assert run.carry_out(*reversed(run.resumable("small", folder)), told) == metrics
    assert told.members == []


# ---- refused ----------------------------------------------------------------------------------------------


def test_a_directory_that_holds_something_is_left_alone(study, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SunhwanError, match="exists already; name another directory with --out"):
        run.fresh(study(), tmp_path)
    with pytest.raises(SunhwanError, match="exists already"):
        run.fresh(study(), tmp_path / "mine.txt")
    # Also if it came to hold something only while the data was prepared.
    with pytest.raises(SunhwanError, match="exists already"):
        run.carry_out(study(), tmp_path)
    assert contents(tmp_path) == {"mine.txt"}


def test_where_a_run_goes(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    assert run.fresh(study(), tmp_path / "empty") == tmp_path / "empty"
    assert re.fullmatch(r"runs/small-\d{8}-\d{6}", run.fresh(study(), None).as_posix())
    with pytest.raises(SunhwanError, match="cannot make a directory at"):
        run.fresh(study(), tmp_path / "file" / "out")
    monkeypatch.setattr(files, "writable", lambda folder: False)
    with pytest.raises(SunhwanError, match="cannot make a directory at"):
        run.fresh(study(), tmp_path / "else")
    assert contents(tmp_path) == {"file"}


def test_what_cannot_be_prepared_leaves_no_directory(study, tmp_path):
    for broken in (
        study(data={"name": "table", "path": str(tmp_path / "none.csv")}),
        study(models=("gruu",)),
        study(model={"dense": {"units": "many"}}),
        study(baselines=("arima",)),
        study(prepare={"target": "T", "lookback": "6h", "horizon": "3h"}),
    ):
        with pytest.raises(SunhwanError):
            run.carry_out(broken, tmp_path / "out")
        assert list(tmp_path.iterdir()) == []


def filling(monkeypatch, full):
    """Make every write fail for want of room whose path `full` says yes to."""

    def write(path):
        if full(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return atomic(path)

    for module in (train, files):
        monkeypatch.setattr(module, "atomic", write)


@pytest.mark.parametrize("name", ["run.json", "series.npz", "study.toml"])
def test_a_full_disk_at_the_beginning_leaves_no_directory(name, study, tmp_path, monkeypatch):
    filling(monkeypatch, lambda path: path.name == name)
    with pytest.raises(OSError, match="No space left"):
        run.carry_out(study(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_in_training_leaves_a_run_that_can_be_resumed(study, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        filling(patch, lambda path: "checkpoint" in path.name)
        run.carry_out(study(), tmp_path / "out")
    assert rundir.is_run(tmp_path / "out")
    run.carry_out(study(), tmp_path / "out")
    assert read(tmp_path / "out" / "run.json")["state"] == "finished"


@pytest.fixture
def begun(study, station, tmp_path):
    """A run that was begun on a copy of the station's file: (study, folder, copy)."""
    copy = tmp_path / "copy.csv"
    copy.write_bytes(station.read_bytes())
    declared = study(data={"name": "table", "path": str(copy)})
    problems = run.PROBLEMS["forecast"](declared)
    run.begin(declared, problems, tmp_path / "out", [], 2)
    return declared, tmp_path / "out", copy


def test_resuming_on_other_data_is_refused(begun):
    declared, folder, copy = begun
    before = {name: (folder / name).read_bytes() for name in contents(folder)}
    copy.write_text(copy.read_text() + "2024-01-13T12:00,1.00,1000.00\n")
    with pytest.raises(
        SunhwanError,
        match=r"the data differs from what .* began with .*; start a new run, or restore the old data",
    ):
        run.carry_out(declared, folder)
    assert {name: (folder / name).read_bytes() for name in contents(folder)} == before


def test_resuming_on_another_backend_is_refused(begun):
    declared, folder, _ = begun
    record = read(folder / "run.json")
    (folder / "run.json").write_text(json.dumps(record | {"keras_backend": "torch"}))
    with pytest.raises(SunhwanError, match=r"began on Keras's backend torch, .* KERAS_BACKEND=torch"):
        run.carry_out(declared, folder)


def test_resuming_under_other_versions_is_recorded(begun):
    declared, folder, _ = begun
    record = read(folder / "run.json")
    before = record["versions"] | {"keras": "3.0.0"}
    (folder / "run.json").write_text(json.dumps(record | {"versions": before}))
    run.carry_out(declared, folder)
    ended = read(folder / "run.json")
    assert (ended["versions"], ended["resumed_with"]) == (before, record["versions"])


def test_resuming_what_is_not_there_or_another_study_s(begun, tmp_path, monkeypatch):
    _, folder, _ = begun
    with pytest.raises(SunhwanError, match="is a run of study 'small', not of 'newyork_temperature'"):
        run.resumable("newyork_temperature", folder)
    with pytest.raises(SunhwanError, match="has no run to resume"):
        run.resumable("small", tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SunhwanError, match="no unfinished run of 'small' under runs/"):
        run.resumable("small", None)
    (folder / "run.json").unlink()
    with pytest.raises(SunhwanError, match="has no run to resume"):
        run.resumable("small", folder)


def test_the_latest_unfinished_run_of_the_study_is_found(begun, tmp_path, monkeypatch):
    _, folder, _ = begun
    monkeypatch.chdir(tmp_path)
    moments = {
        "a": ("10", "running", "small"),
        "b": ("30", "finished", "small"),
        "c": ("20", "running", "small"),
    }
    for name, (started, state, study) in (moments | {"d": ("40", "running", "other")}).items():
        (tmp_path / "runs" / name).mkdir(parents=True)
        record = read(folder / "run.json") | {"started": started, "state": state, "study": study}
        (tmp_path / "runs" / name / "run.json").write_text(json.dumps(record))
        (tmp_path / "runs" / name / "study.toml").write_bytes((folder / "study.toml").read_bytes())
    (tmp_path / "runs" / "no run").mkdir()
    assert [run.folder.name for run in rundir.runs(tmp_path / "runs")[0]] == ["a", "c", "b", "d"]
    assert run.resumable("small", None)[0].as_posix() == "runs/c"


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "is not valid JSON"), ("[1]", "a JSON object"), ('{"study": "a"}', "in format None")],
)
def test_a_record_that_is_not_ours_is_named(content, said, begun):
    _, folder, _ = begun
    (folder / "run.json").write_text(content)
    (found, errors) = rundir.runs(folder.parent)
    assert found == [] and "run.json" in str(errors[0])
    with pytest.raises(SunhwanError, match=said):
        rundir.load(folder)


def test_members_have_names_of_their_own():
    assert Member("gru", "", 2).file == "gru-seed2"
    assert Member("gru", "200", 0).file == "gru_200-seed0"


def test_outlines_have_the_problem_s_shape(study):
    assert run.outline(study()).input_shape == (6, 2)
    assert run.outline(load("imdb_sentiment")).input_shape == (500,)
    assert run.outline(load("imdb_sentiment")).context == texts.outline(load("imdb_sentiment")).context
