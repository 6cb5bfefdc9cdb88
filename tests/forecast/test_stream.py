"""Readings line by line: the same bits as from a file, over restarts and kills, and errors in their place."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from unittest import mock

import numpy as np
import polars as pl
import pytest

from sunhwan import rundir
from sunhwan.baselines.naive import LastValue, Seasonal
from sunhwan.data import table
from sunhwan.data.files.records import Records
from sunhwan.data.preparation import ForecastSpec
from sunhwan.data.windows import encode
from sunhwan.errors import SunhwanError
from sunhwan.files import new_run
from sunhwan.forecast.clock import Clock
from sunhwan.forecast.options import Options, Settings
from sunhwan.forecast.predict import load, predict_table
from sunhwan.forecast.run import learn, save
from sunhwan.forecast.source import Source
from sunhwan.forecast.stream import DurableStream, Stream, text_of
from sunhwan.training.progress import Nobody

TARGET = "T (degC)"


def station(rows, seed=0):
    """Two series of hourly readings with a gap, missing values, words, and two targets."""
    frames = []
    for number in range(2):
        random = np.random.default_rng([seed, number])
        hours = np.arange(rows)
        wave = 10 + 5 * np.sin(2 * np.pi * hours / 24) + np.cumsum(random.normal(size=rows)) / 5
        times = np.datetime64("2024-03-01T00:00", "s") + hours * np.timedelta64(3600, "s")
        frame = pl.DataFrame(
            {
                "when": [str(time).replace("T", " ") for time in times],
                "place": f"s{number}",
                TARGET: wave + random.normal(size=rows),
                "p": 1000 + random.normal(size=rows),
                "wind": random.choice(["N", "SE", "W"], rows),
            }
        ).with_columns(
            pl.when(pl.int_range(rows).is_in([60, 61, 200, 201, 202, 203, 204, 205, 206, 207]))
            .then(None)
            .otherwise(pl.col(TARGET))
            .alias(TARGET),
            pl.when(pl.int_range(rows) % 97 == 5).then(None).otherwise(pl.col("wind")).alias("wind"),
        )
        frames.append(frame.filter(~pl.int_range(rows).is_in([90, 91, 92, *range(300, 330)])))
    return pl.concat(frames).sort("when", maintain_order=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = tmp_path_factory.mktemp("stream")
    station(900).write_csv(home / "station.csv")
    readings, source = Source(home / "station.csv", ("when",), "place").read()
    wanted = ForecastSpec((TARGET, "p"), "6h", "12h")
    options = Options(Settings(units=8, dense=16, epochs=1), seeds=2)
    # As if validation had chosen the network, however little it has learnt in one epoch.
    with mock.patch("sunhwan.forecast.mixture.weights", return_value={"network": 1.0}):
        result = learn(readings, wanted, options, Nobody())
    folder = new_run("forecast", home / "run")
    save(result, rundir.record("forecast", [], {}, {}), folder, source)
    return folder


def stream_of(run, **weights):
    model, source = load(run)
    if weights:
        flat = np.tile([-1.0, 1.0], (model.plan.outputs, 1)).astype(np.float32)
        naive = {"seasonal": Seasonal(model.plan), "last_value": LastValue(model.plan)}
        model = replace(
            model,
            baselines={**model.baselines, **naive},
            weights=weights,
            spread={name: flat for name in weights},
        )
    return Stream(model, Clock(source.time, source.times), source.series), model


def lines_of(frame):
    return [json.dumps(row) for row in frame.to_dicts()]


def by_file(model, frame):
    """What `predict --every 1` says: by series and time, (steps, 3) of the target."""
    readings = table.assemble(
        Records(frame.with_columns(pl.col("p").cast(pl.Float64)), "new.csv", ""),
        time=["when"],
        series="place",
    )
    found = predict_table(model, readings, "1").columns
    steps = model.plan.steps
    said = np.stack([found[TARGET], found[f"{TARGET} lower 80%"], found[f"{TARGET} upper 80%"]], axis=1)
    return {
        (found["series"][i], str(found["made_at"][i])[:16].replace("T", " ")): said[i : i + steps]
        for i in range(0, len(said), steps)
    }


def by_stream(answers):
    found = {}
    for answer in answers:
        if "forecast" in answer:
            one = answer["forecast"][TARGET]
            key = answer["series"], answer["made_at"]
            found[key] = np.stack([one["median"], one["lower"], one["upper"]], axis=1)
    return found


@pytest.mark.parametrize(
    "weights",
    [
        {},
        {"ridge": 1.0},
        {"network": 0.75, "ridge": 0.25},
        {"network": np.linspace(1, 0, 6), "ridge": np.linspace(0, 1, 6)},
        {"network": 0.5, "seasonal": 0.25, "last_value": 0.25},
    ],
)
def test_a_stream_says_what_is_said_of_the_file(run, weights):
    stream, model = stream_of(run, **weights)
    frame = station(700, seed=1)
    expected, found = by_file(model, frame), by_stream(map(stream.line, lines_of(frame)))
    assert found.keys() == expected.keys() and len(found) > 900
    for key, said in expected.items():
        np.testing.assert_array_equal(found[key], said)


def test_a_window_s_forecast_has_the_same_bits_whatever_windows_are_beside_it(run):
    _, model = stream_of(run, network=0.75, ridge=0.25)
    plan, random = model.plan, np.random.default_rng(0)
    # Over the whole window: products of ten numbers round alike.
    weights = random.normal(size=(plan.grid.timesteps * len(plan.names), plan.outputs)).astype(np.float32)
    ridge = replace(model.baselines["ridge"], weights=weights, timesteps=plan.grid.timesteps)
    model = replace(model, baselines={**model.baselines, "ridge": ridge})
    readings = table.assemble(Records(station(300, seed=4), "new.csv", ""), time=["when"], series="place")
    origins = encode(readings, plan).origins()
    predictors = {"network": model.exact, "ridge": ridge}
    many = {key: predictor.predict(origins) for key, predictor in predictors.items()}
    assert len(origins) > 300
    for some in (np.arange(1), np.arange(7, 10), np.arange(20, 220)):
        for key, predictor in predictors.items():
            np.testing.assert_array_equal(predictor.predict(origins.take(some)), many[key][some])


def test_what_is_written_is_what_was_said(run):
    stream, _ = stream_of(run)
    for line in lines_of(station(60)):
        answer = stream.line(line)
        again = json.loads(text_of(answer))
        assert again.keys() == answer.keys()
        if "forecast" in answer:
            for target, lists in answer["forecast"].items():
                for name, values in lists.items():
                    np.testing.assert_allclose(again["forecast"][target][name], values, rtol=2e-7)
                    assert len(str(again["forecast"][target][name][0])) < 14


@pytest.mark.parametrize("way", ["closed", "killed", "killed after the state was written"])
def test_a_stream_goes_on_where_it_was(run, tmp_path, monkeypatch, way):
    from sunhwan.forecast import stream as module

    monkeypatch.setattr(module, "SNAPSHOT", 130)
    lines = lines_of(station(500, seed=2))
    through, _ = stream_of(run)
    expected = [through.line(line) for line in lines]
    path, found = tmp_path / "state.json", []
    for start in range(0, len(lines), 200):
        kept = DurableStream(stream_of(run)[0], path, "model")
        found += [kept.line(line) for line in lines[start : start + 200]]
        if way == "closed":
            kept.close()
            assert not kept.journal.exists()
        elif way == "killed":
            kept.file.close()
        else:
            journal = kept.journal.read_text()
            kept.save()
            kept.file.close()
            # Killed before the journal was begun anew, and while a line was being written.
            kept.journal.write_text(journal + '{"when": "2024-')
    assert list(map(text_of, found)) == list(map(text_of, expected))


def test_lines_that_are_no_readings_change_nothing(run):
    stream, _ = stream_of(run)
    lines = lines_of(station(80))
    for line in lines:
        stream.line(line)
    before = json.dumps(stream.state())
    last = json.loads(lines[-1])
    for line, said in [
        ("{", "the line is not JSON"),
        ("[" * 200_000, "the line is not JSON"),
        ("[1]", "not an object"),
        (lines[-1], "repeats the previous time"),
        (lines[0], "is late"),
        (json.dumps({**last, "when": "2024-03-05 00:30"}), "is not a multiple of 1 h"),
        (json.dumps({**last, "when": "2924-03-05 00:00"}), "of 2924-03-05 00:00 is in the future"),
        (json.dumps({**last, "when": "soon"}), "the reading's time is 'soon'; expected one such as"),
        (json.dumps({**last, "when": None}), "the reading's time is None"),
        (json.dumps({key: value for key, value in last.items() if key != "when"}), "has no 'when'"),
        (json.dumps({key: value for key, value in last.items() if key != "place"}), "has no 'place'"),
        (
            json.dumps({**last, "when": "2024-03-05 00:00", "p": "high"}),
            "the text 'high' in the number column 'p'",
        ),
        (json.dumps({**last, "when": "2024-03-05 00:00", "p": [1]}), r"has \[1\] in the number column 'p'"),
    ]:
        with pytest.raises(SunhwanError, match=said):
            stream.line(line)
    assert json.dumps(stream.state()) == before


def test_a_stream_of_a_year_to_come_goes_on_where_its_run_is_of_one(run):
    stream, _ = stream_of(run)
    late = station(80).filter(pl.col("place") == "s0").with_columns(when="2924" + pl.col("when").str.slice(4))
    stream.clock.latest = stream.clock.seconds({"when": "2924-01-01 00:00"})
    assert "forecast" in [*map(stream.line, lines_of(late))][20]


def test_a_stream_waits_until_it_can_say_something(run):
    stream, model = stream_of(run)
    answers = [stream.line(line) for line in lines_of(station(40).filter(pl.col("place") == "s0"))]
    assert answers[0] == {
        "made_at": "2024-03-01 00:00",
        "series": "s0",
        "waiting": "the next forecast needs 11 more rows (window: 12 rows, 12 h)",
    }
    assert "waiting" in answers[10] and "forecast" in answers[11]
    assert model.plan.grid.span == 11


def test_a_stream_that_begins_long_after_training_says_how_long_it_waits_and_then_works(run):
    stream, model = stream_of(run)
    frame = station(60).filter(pl.col("place") == "s0")
    frame = frame.with_columns(when="2025" + pl.col("when").str.slice(4))
    answers = [stream.line(line) for line in lines_of(frame)]
    for number, answer in enumerate(answers[:11]):
        assert answer["waiting"].startswith(f"the next forecast needs {11 - number} more rows")
    found, expected = by_stream(answers), by_file(model, frame)
    assert found.keys() == expected.keys() and len(found) == len(frame) - 11
    for key, said in expected.items():
        np.testing.assert_array_equal(found[key], said)


def test_after_a_gap_a_stream_says_how_long_it_waits(run):
    stream, model = stream_of(run)
    lines = lines_of(station(90).filter(pl.col("place") == "s0"))
    fill, reads = model.plan.encoder.fill, model.plan.grid.span + 1
    missing = fill + 3
    answers = [stream.line(line) for line in [*lines[:30], *lines[30 + missing :]]]
    waits = [answer["waiting"] for answer in answers[30:] if "waiting" in answer]
    assert len(waits) == reads - 1
    for number, waiting in enumerate(waits):
        assert "the input window has a gap in" in waiting and f"longer than {fill} h" in waiting
        assert f"; the next forecast needs {reads - 1 - number} more rows" in waiting
    assert "forecast" in answers[30 + len(waits)]


def test_a_state_of_another_run_is_refused(run, tmp_path):
    kept = DurableStream(stream_of(run)[0], tmp_path / "state.json", "one")
    kept.line(lines_of(station(3))[0])
    kept.close()
    with pytest.raises(SunhwanError, match="of another run"):
        DurableStream(stream_of(run)[0], tmp_path / "state.json", "another")
    state = json.loads((tmp_path / "state.json").read_text())
    state["series"]["s0"]["rows"] = [[1]]
    (tmp_path / "state.json").write_text(json.dumps(state))
    with pytest.raises(SunhwanError, match="state cannot be read"):
        DurableStream(stream_of(run)[0], tmp_path / "state.json", "one")


@pytest.mark.parametrize("signalled", [signal.SIGTERM, signal.SIGKILL])
def test_the_command_answers_each_line_and_survives_being_stopped(run, tmp_path, signalled):
    lines = lines_of(station(60, seed=3))
    through, _ = stream_of(run)
    expected = [json.loads(text_of(through.line(line))) for line in lines]
    found = []
    for part in (lines[:50], lines[50:]):
        process = subprocess.Popen(
            [sys.executable, "-c", "from sunhwan.cli import main; main()",
             "stream", run, "--state", tmp_path / "state.json"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        for line in part:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            found.append(json.loads(process.stdout.readline()))
        process.send_signal(signalled)
        process.communicate()
    assert found == expected


def test_times_are_read_in_the_format_of_the_file():
    american = Clock(["Date"], {"Date": ["01/02/2024 10:00:00 PM", "03/31/2024 01:00:00 AM"]})
    assert np.datetime64(american.seconds({"Date": "03/04/2024 05:00:00 PM"}), "s") == np.datetime64(
        "2024-03-04T17:00"
    )
    parts = Clock(
        ["year", "month", "day", "hour"], {"year": ["2010"], "month": ["1"], "day": ["31"], "hour": ["23"]}
    )
    reading = {"year": 2011, "month": 2, "day": 3, "hour": 4}
    assert np.datetime64(parts.seconds(reading), "s") == np.datetime64("2011-02-03T04:00")
    assert parts.seconds({key: str(value) for key, value in reading.items()}) == parts.seconds(reading)
    utc = Clock(["t"], {"t": ["2024-03-31T01:00:00+02:00", "2024-03-31T05:00:00+02:00"]})
    assert np.datetime64(utc.seconds({"t": "2024-03-31T01:00:00+01:00"}), "s") == np.datetime64(
        "2024-03-31T00:00"
    )
    date = Clock(["date", "hour"], {"date": ["2024-01-01", "2024-01-31"], "hour": ["24", "1"]})
    assert np.datetime64(date.seconds({"date": "2024-02-29", "hour": 24}), "s") == np.datetime64(
        "2024-03-01T00:00"
    )
