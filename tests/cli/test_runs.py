"""`sunhwan runs`."""

import json

import pytest

from sunhwan import rundir

STARTED = "2024-01-0{}T10:00:00+00:00"


def made(folder, kind, day, data, **contents):
    """A finished run of a forecast or classifier."""
    rundir.write(folder, rundir.record(kind, [], {}, data, STARTED.format(day)), {}, {}, **contents)


@pytest.fixture
def four(tmp_path):
    """A run of each kind under runs/, the study's not finished, and a model that was saved from Python."""
    runs = tmp_path / "runs"
    made(
        runs / "later",
        "classify",
        2,
        {"a.csv": "00", "b.csv": "01"},
        metrics={"verdict": "NB-SVM is enough."},
    )
    made(runs / "first", "forecast", 1, {"station.csv": "00"}, metrics={"verdict": "Ridge is enough."})
    made(runs / "saved", "forecast", 4, {})
    known = rundir.record("study", [], {}, {}, STARTED.format(3)) | {"study": "small"}
    rundir.begin(runs / "going", known, study="")
    return runs


def test_runs_of_all_kinds_are_listed_oldest_first_with_their_verdicts(four, sunhwan):
    ended = sunhwan("runs")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "run         kind      of                started                    state",
        "runs/first  forecast  station.csv       2024-01-01T10:00:00+00:00  finished",
        "    Ridge is enough.",
        "runs/later  classify  a.csv and b.csv   2024-01-02T10:00:00+00:00  finished",
        "    NB-SVM is enough.",
        "runs/going  study     small             2024-01-03T10:00:00+00:00  running",
        "    not finished; to continue: sunhwan study run runs/going/study.toml --resume --out runs/going",
        "runs/saved  forecast  data from Python  2024-01-04T10:00:00+00:00  finished",
        "    not scored",
    ]
    assert "NB-SVM is enough" in sunhwan("runs", "--under", four).out


def test_the_last_line_is_json(four, sunhwan):
    listed = json.loads(sunhwan("runs", "--json").out.splitlines()[-1])["runs"]
    assert [(run["run"], run["kind"]) for run in listed][:2] == [
        ("runs/first", "forecast"),
        ("runs/later", "classify"),
    ]
    assert listed[0] == {
        "run": "runs/first",
        "kind": "forecast",
        "of": "station.csv",
        "started": "2024-01-01T10:00:00+00:00",
        "state": "finished",
        "verdict": "Ridge is enough.",
    }
    assert json.loads(sunhwan("runs", "--json", "--under", "none").out.splitlines()[-1]) == {"runs": []}


def test_none(sunhwan, tmp_path):
    for under in ("runs", "not there"):
        ended = sunhwan("runs", "--under", under)
        assert ended.status == 0
        assert ended.out == f"no runs under {under}; `sunhwan forecast FILE --target COLUMN` makes one\n"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "run.json").write_text("[not ours]")
    assert sunhwan("runs", "--under", ".").out.startswith("no runs under .")


@pytest.mark.parametrize("content", ["{", "[]", '{"study": "small"}', '{"kind": "study", "format": 2}', ""])
def test_a_record_that_is_damaged_is_named_and_the_others_are_listed(content, four, refuses, sunhwan):
    (four / "later" / "run.json").write_text(content)
    message = refuses("runs")
    assert "runs/later/run.json" in message
    assert "remove it" in message
    assert "runs/first" in sunhwan("runs").out


def test_a_file_is_no_folder(refuses, tmp_path):
    (tmp_path / "file").write_text("")
    assert "'file' is a file; expected the folder that contains the run directories" in refuses(
        "runs", "--under", "file"
    )
