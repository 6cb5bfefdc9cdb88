"""`sunhwan runs`."""

import json

import pytest


@pytest.fixture
def two(tmp_path):
    """A finished run and one that was stopped, under runs/."""
    for name, state, day in (("later", "running", 2), ("first", "finished", 1)):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        record = {"study": "small", "started": f"2024-01-0{day}T10:00:00+00:00", "state": state, "data": {}}
        (folder / "run.json").write_text(json.dumps(record | {"keras_backend": "jax", "versions": {}}))
        (folder / "study.toml").write_text("")
    (tmp_path / "runs" / "first" / "metrics.json").write_text(json.dumps({"headline": "gru is best."}))
    return tmp_path / "runs"


def test_runs_are_listed_oldest_first_with_what_came_of_them(two, sunhwan):
    ended = sunhwan("runs")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "2024-01-01T10:00:00+00:00  finished  small  runs/first",
        "    gru is best.",
        "2024-01-02T10:00:00+00:00  running   small  runs/later",
        "    not finished; --resume goes on with it",
    ]
    assert sunhwan("runs", "--under", two).out.replace(str(two), "runs") == ended.out


def test_none(sunhwan, tmp_path):
    for under in ("runs", "not there"):
        ended = sunhwan("runs", "--under", under)
        assert ended.status == 0
        assert ended.out == f"no runs under {under}; `sunhwan study run newyork_temperature` makes one\n"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "run.json").write_text("[not ours]")
    assert sunhwan("runs", "--under", ".").out.startswith("no runs under .")


@pytest.mark.parametrize("content", ["{", "[]", '{"study": "small"}', ""])
def test_a_record_that_is_damaged_is_named(content, two, refuses):
    (two / "later" / "run.json").write_text(content)
    said = refuses("runs")
    assert "runs/later/run.json" in said
    assert "remove it" in said


def test_a_file_is_no_folder(refuses, tmp_path):
    (tmp_path / "file").write_text("")
    assert "'file' is a file; expected the folder that holds the run directories" in refuses(
        "runs", "--under", "file"
    )
