"""`sunhwan study`: what it prints for people and for programs, and how a run is stopped and resumed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sunhwan.baselines.names import words
from sunhwan.studies import run
from sunhwan.studies.study import load, parse

SHIPPED = ["adding_problem", "imdb_sentiment", "jena_temperature", "newyork_temperature", "table_temperature"]


def test_list_names_each_study_its_question_and_models(sunhwan):
    ended = sunhwan("study", "list")
    assert (ended.status, ended.err) == (0, "")
    assert [line.split()[0] for line in ended.out.splitlines()[::2]] == SHIPPED
    for name in SHIPPED:
        assert load(name).question in ended.out
        assert f"models: {', '.join(load(name).models)}" in ended.out


@pytest.mark.parametrize("name", SHIPPED)
def test_show_prints_a_study_that_can_be_run(name, sunhwan):
    ended = sunhwan("study", "show", name)
    assert (ended.status, ended.err) == (0, "")
    assert parse(ended.out, "mine") == load(name)


@pytest.fixture
def ran(sunhwan, small, station):
    """A run with two seeds that prints JSON."""
    return sunhwan(
        "study", "run", small, "--data", station, "--seeds", 2, "--epochs", 1, "--out", "my run", "--json"
    )


def test_a_run_prints_who_won_a_table_and_json_and_is_silent_on_stderr(ran, tmp_path):
    assert (ran.status, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == "Does it run?"
    assert lines[1] == "1 epoch instead of the study's 2: a demonstration, not a result"
    assert "reads 6 h (6 timesteps, every row, of 2 features) and predicts the value 3 h later" in lines[2]
    assert "172 / 52 / 52 windows of 6 timesteps x 2 features" in lines[3]
    assert lines[4].startswith("On the test part, ")
    assert "mean absolute error, °C (= baseline)" in ran.out
    assert "the run is in my run" in lines

    # The last line is for programs.
    printed = json.loads(lines[-1])
    assert printed == json.loads((tmp_path / "my run" / "metrics.json").read_text())
    assert (printed["run"], printed["study"], printed["unit"]) == ("my run", "small", "degC")
    assert list(printed["models"]) == ["dense", "wide"]
    assert list(printed["baselines"]) == ["last_value", "ridge"]
    for entry in printed["models"].values():
        for part in ("validation", "test"):
            assert isinstance(entry[part]["mean"], float)
            assert isinstance(entry[part]["std"], float)
        assert isinstance(entry["seconds_per_epoch"], float)
        assert isinstance(entry["parameters"], int)
    for entry in printed["baselines"].values():
        assert isinstance(entry["validation"], float)
        assert isinstance(entry["test"], float)

    # The table: the best on the test part first, figures as in the JSON.
    table = [line.split() for line in lines[lines.index(next(line for line in lines if "──" in line)) + 1 :]]
    table = [row for row in table if len(row) > 3 or row[:1] == ["="]][:4]
    figures = {name: entry["test"]["mean"] for name, entry in printed["models"].items()}
    figures |= {f"= {words(name)}": entry["test"] for name, entry in printed["baselines"].items()}
    shown = [" ".join(row[:3]) if row[0] == "=" else row[0] for row in table]
    assert shown == sorted(figures, key=figures.get)
    for name, row in zip(shown, table, strict=True):
        assert f"{figures[name]:.4f}" in row

    # The plots, and the record with the command as it was given.
    drawn = {path.suffix for path in (tmp_path / "my run" / "plots").iterdir()}
    assert {".png", ".svg"} <= drawn
    record = json.loads((tmp_path / "my run" / "run.json").read_text())
    assert record["command"][:4] == ["sunhwan", "study", "run", str(tmp_path / "small.toml")]
    assert record["few_epochs"] is True


def test_a_narrow_terminal_cuts_no_figure(sunhwan, small, station, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    ended = sunhwan(
        "study", "run", small, "--data", station, "--epochs", 1, "--seeds", 2, "--no-plots", "--json"
    )
    figures = json.loads(ended.out.splitlines()[-1])["models"]["wide"]["test"]
    assert f"{figures['mean']:.4f} ± {figures['std']:.4f}" in ended.out
    assert "…" not in ended.out


def test_options_go_before_what_the_study_says(sunhwan, small, station, tmp_path, monkeypatch):
    told = {}

    def carry_out(study, folder, watcher, **more):
        told.update(study=study, folder=folder, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "carry_out", carry_out)
    options = ["--models", "wide", "--seeds", 3, "--epochs", 7, "--time", "day, clock", "--series", "place"]
    options += [
        "--target",
        "p",
        "--features",
        "p,T (degC)",
        "--unit",
        "hPa",
        "--lookback",
        "2d",
        "--horizon",
        4,
    ]
    assert sunhwan("study", "run", small, "--data", "station.csv", "--split", "2/1/1", *options).status == 130
    study = told["study"]
    assert (study.models, study.seeds, study.epochs, study.unit) == (("wide",), 3, 7, "hPa")
    # The path is absolute, so that the run can be resumed from elsewhere.
    assert study.data == {"name": "table", "path": str(station), "time": ["day", "clock"], "series": "place"}
    assert study.prepare == {
        "target": "p",
        "features": ["p", "T (degC)"],
        "lookback": "2d",
        "horizon": "4",
        "split": [2.0, 1.0, 1.0],
    }
    assert told["declared_epochs"] == 2
    assert told["folder"].parent == Path("runs")


def test_a_path_in_the_study_file_is_kept_absolute_too(sunhwan, small, station, tmp_path):
    small.write_text(small.read_text().replace('name = "table"', 'name = "table"\npath = "station.csv"'))
    assert (
        sunhwan("study", "run", small, "--models", "dense", "--epochs", 1, "--no-plots", "--out", "o").status
        == 0
    )
    assert parse((tmp_path / "o" / "study.toml").read_text(), "x").data["path"] == str(station)
    assert not (tmp_path / "o" / "plots").exists()


def test_one_seed_has_no_spread(sunhwan, small, station):
    ended = sunhwan(
        *(
            "study",
            "run",
            small,
            "--data",
            station,
            "--models",
            "dense",
            "--epochs",
            1,
            "--no-plots",
            "--json",
        )
    )
    printed = json.loads(ended.out.splitlines()[-1])
    assert printed["models"]["dense"]["validation"]["std"] is None
    assert printed["models"]["dense"]["test"]["std"] is None
    assert "±" not in ended.out


def test_a_model_that_diverges_is_named_and_the_others_stand(sunhwan, small, station):
    small.write_text(small.read_text().replace("units = 64", "learning_rate = 1e30"))
    ended = sunhwan("study", "run", small, "--data", station, "--epochs", 1, "--json")
    assert (ended.status, ended.err) == (0, "")
    printed = json.loads(ended.out.splitlines()[-1])
    assert printed["models"]["wide"]["test"] == {"mean": None, "std": None, "values": [None]}
    assert printed["models"]["dense"]["test"]["mean"] > 0
    assert "Training diverged: wide." in ended.out
    row = next(line for line in ended.out.splitlines() if line.split()[:1] == ["wide"])
    assert row.split()[1:3] == ["diverged", "diverged"]


def test_resume_goes_on_with_the_options_of_the_run(sunhwan, small, station, tmp_path, monkeypatch):
    carry_out = run.carry_out

    def stopped(study, folder, watcher, **more):
        problems = run.PROBLEMS[study.kind](study)
        run.begin(study, problems, folder, [], 2)
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "carry_out", stopped)
    (tmp_path / "my study.toml").write_text(small.read_text())
    begin = ("study", "run", "my study.toml", "--data", station, "--models", "dense")
    ended = sunhwan(*begin, "--out", "runs/mine", "--lookback", "5h")
    assert ended.status == 130
    assert ended.err.strip() == (
        "sunhwan: stopped; to continue: sunhwan study run 'my study.toml' --resume --out runs/mine"
    )
    monkeypatch.setattr(run, "carry_out", carry_out)
    listed = sunhwan("runs")
    assert (
        "running" in listed.out
        and "not finished; to continue: sunhwan study run runs/mine/study.toml --resume --out runs/mine"
        in listed.out
    )

    # Other options would be another run.
    ended = sunhwan("study", "run", "my study.toml", "--resume", "--lookback", "6h")
    assert ended.status == 2
    assert "began with other options; leave them out after --resume" in ended.err
    # The same ones may stand again; without --out it is the latest unfinished run.
    ended = sunhwan(
        "study", "run", "my study.toml", "--resume", "--no-plots", "--lookback", "5h", "--models", "dense"
    )
    assert (ended.status, ended.err) == (0, "")
    assert json.loads((tmp_path / "runs" / "mine" / "run.json").read_text())["state"] == "finished"
    listed = sunhwan("runs")
    assert "finished" in listed.out and "On the test part, " in listed.out


ENDLESS = ("--models", "dense", "--epochs", "1000000", "--out", "o u t")


@pytest.mark.skipif(os.name != "posix", reason="a process is sent SIGINT as POSIX has it")
def test_ctrl_c_in_training_ends_with_130_and_says_how_to_go_on(small, station, tmp_path):
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from sunhwan.cli import main; main()",
            "study",
            "run",
            small,
            "--data",
            station,
            *ENDLESS,
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            # Each epoch of this endless training takes some milliseconds.
            history = tmp_path / "o u t" / "history.csv"
            for _ in range(1200):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
                if history.exists() or process.returncode is not None:
                    break
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 130, err
    assert err.strip() == f"sunhwan: stopped; to continue: sunhwan study run {small} --resume --out 'o u t'"
    assert json.loads((tmp_path / "o u t" / "run.json").read_text())["state"] == "running"
    assert not list((tmp_path / "o u t").rglob(".writing-*"))
