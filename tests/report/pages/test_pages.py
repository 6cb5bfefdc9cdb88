"""The page of a run: what it says is what the run found, and a browser draws all of it without a network."""

import base64
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

from sunhwan import rundir
from sunhwan.errors import SunhwanError
from sunhwan.files import read_json, write_json
from sunhwan.report.groups import row_means
from sunhwan.report.page.charts import band, gapped, numbers
from sunhwan.report.page.page import SHADES, Chart, Facts, Page, Section, Table, Text, embedded
from sunhwan.report.pages import comparison, pages, parts
from sunhwan.report.pages.forecast import lower
from sunhwan.report.pages.targets import read
from sunhwan.report.words import capital

TARGET = "T </script><b onclick=x>&'\""
"""The first target of `forecast_run`: what a file's owner may write in a heading."""


class Parsed(HTMLParser):
    """The tags, the texts, and the scripts of a page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.scripts, self.within = [], [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.within = tag

    def handle_data(self, data):
        (self.scripts if self.within == "script" else self.texts).append(data)


def unpacked(packed):
    values = np.frombuffer(base64.b64decode(packed["bdata"]), "<" + packed["dtype"])
    return values.reshape([int(n) for n in packed["shape"].split(", ")]) if "shape" in packed else values


def charts_of(page):
    return [block for section in page.sections for block in section.blocks if isinstance(block, Chart)]


def test_the_page_says_what_the_run_found(forecast_run):
    page = pages.of([forecast_run])
    metrics = read_json(forecast_run / "metrics.json")
    assert page.answer == metrics["verdict"]
    scores = [block for block in page.sections[0].blocks if isinstance(block, Table)]
    assert len(scores) == 2
    for found, kept in zip(scores, metrics["targets"], strict=True):
        assert found.rows[0][0] == "the model"
        named = {metrics["names"][key] for key in set(kept["test"]) - {"model"}}
        assert {row[0] for row in found.rows[1:]} == named and "same time yesterday" in named
        errors = [float(row[1].replace(",", "")) for row in found.rows]
        assert errors[1:] == sorted(errors[1:])
        assert errors[0] == pytest.approx(kept["test"]["model"]["mae"], rel=0.01)
    assert "Mean absolute error of the networks alone, one for each seed" in str(page.sections[0].blocks)


def test_charts_hold_the_predictions(forecast_run):
    told = read(rundir.load(forecast_run))[0]
    page = pages.of([forecast_run])
    # The first target's, whose sections come first.
    found = {chart.title: chart for chart in reversed(charts_of(page))}
    views = found[f"{told.label}: forecast and actual values over time"].views
    assert list(views)[:2] == ["Ulm, 6 h ahead", "Ulm, 3 h ahead"] and len(views) == 6
    truth = views["Köln, 1 h ahead"]["data"][1]
    mine = told.series == 1
    assert np.nansum(unpacked(truth["y"])) == pytest.approx(np.nansum(told.actual[mine, 0]), rel=1e-5)
    at = unpacked(truth["x"])[0]
    first = told.origin[mine].min() + np.timedelta64(1, "h")
    assert np.datetime64(int(at), "ms") == first

    ours = unpacked(found[f"{capital(told.error_label)} by hours ahead"].views["all"]["data"][0]["y"])
    np.testing.assert_allclose(ours, np.nanmean(told.error, axis=0), rtol=1e-5)
    hours = unpacked(found[f"{capital(told.error_label)} by hour of the day"].views["all"]["data"][0]["y"])
    noon = (told.times - told.times.astype("datetime64[D]")).astype("timedelta64[h]").astype(int) == 12
    assert hours[12] == pytest.approx(np.nanmean(told.error[noon]), rel=1e-5)
    rival = unpacked(found[f"{capital(told.error_label)} by series"].views["all"]["data"][1]["y"])
    error = np.abs(told.baselines[told.best] - told.actual)
    assert rival[1] == pytest.approx(np.nanmean(error[mine]), rel=1e-5)


def test_intervals_and_worst_forecasts_are_those_of_the_run(forecast_run):
    told = read(rundir.load(forecast_run))[0]
    sections = {section.title: section for section in pages.of([forecast_run]).sections}
    by_step = sections[f"Intervals of {told.figures['target']}"].blocks[0]
    shares = unpacked(by_step.views["all"]["data"][0]["y"])
    assert shares.mean() == pytest.approx(told.figures["interval"]["coverage"], abs=0.01)
    worst = sections[f"Errors of {told.figures['target']}"].blocks[-1]
    path = row_means(told.error)
    assert worst.rows[0][0] == told.where(int(np.nanargmax(path)))
    assert worst.rows[0][1] == told.amount(np.nanmax(path))


def test_what_a_file_says_cannot_become_code(forecast_run):
    html = pages.of([forecast_run]).html()
    page = Parsed(html)
    assert not [tag for tag, attributes in page.tags if "onclick" in attributes]
    assert TARGET in " ".join(page.texts)
    data = next(script for script in page.scripts if '"views"' in script or '"bdata"' in script)
    assert "</" not in data
    assert json.loads(data)


def test_the_page_asks_no_network(forecast_run):
    html = pages.of([forecast_run]).html()
    page = Parsed(html)
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'") and "http" not in policy
    links = [a.get("src") or a.get("href") for t, a in page.tags if t in ("script", "link", "img", "a")]
    assert all(link is None or link.startswith(("#", "data:")) for link in links)


def test_headings_anchors_and_names_of_charts(forecast_run):
    page = Parsed(pages.of([forecast_run]).html())
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        for key in ("aria-labelledby", "aria-describedby"):
            assert attributes.get(key) is None or attributes[key] in ids
        if (attributes.get("href") or "").startswith("#"):
            assert attributes["href"][1:] in ids
    assert all(
        chart.alt.endswith(".") and re.search(r"\d", chart.alt)
        for chart in charts_of(pages.of([forecast_run]))
    )


def rewrite(run, name, content):
    """Write a file of a run anew, as if the run had written it."""
    write_json(run / name, content)
    known = read_json(run / "run.json")
    sums = {other: digest for other, digest in known["sha256"].items() if other != name}
    write_json(run / "run.json", {**known, "sha256": sums})


def test_runs_beside_each_other(forecast_run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(forecast_run, other)
    metrics = read_json(other / "metrics.json")
    metrics["targets"][0]["test"]["model"]["mae"] /= 2
    rewrite(other, "metrics.json", metrics)
    known = read_json(other / "run.json")
    write_json(other / "run.json", {**known, "options": {"seeds": 5}})
    page = pages.of([forecast_run, other])
    assert "other has the lowest mean absolute error" in page.answer
    shown = {"gru": "2.13 °C", "lstm": "2.13 °C", "rnn": "2.2 °C"}
    assert comparison.leaders(shown, "lstm") == ("gru and lstm", True)
    scores = page.sections[0].blocks[0]
    assert scores.strong == 1 and [row[0] for row in scores.rows] == ["run", "other"]
    assert page.sections[-1].blocks[0].rows == [["seeds", "2", "5"]]
    assert "not tested on the same rows" not in str(page)

    write_json(other / "run.json", {**known, "data": {"station": "cd"}})
    assert "not tested on the same rows" in str(pages.of([forecast_run, other]))
    assert "2 runs" in page.html()
    # The same run twice is one.
    assert pages.of([forecast_run, forecast_run]) == pages.of([forecast_run])


def test_a_run_that_is_not_whole(forecast_run, tmp_path):
    with pytest.raises(SunhwanError, match="has no run\\.json"):
        pages.of([tmp_path])
    for name in ("metrics.json", "history.csv", "predictions.npz"):
        part = tmp_path / name / "run"
        shutil.copytree(forecast_run, part)
        (part / name).unlink()
        with pytest.raises(SunhwanError, match=f"has no {name}; copy the whole run directory"):
            pages.of([part])
    # Of a backtest's parts alone there is no health.json.
    older = tmp_path / "older"
    shutil.copytree(forecast_run, older)
    (older / "health.json").unlink()
    data = next(section for section in pages.of([older]).sections if section.title == "Data")
    assert [type(block) for block in data.blocks] == [Facts]
    write_json(older / "run.json", {"study": "x"})
    with pytest.raises(SunhwanError, match="in format None; this version reads format"):
        pages.of([older])


def test_a_run_that_is_altered_newer_or_does_not_fit_together(forecast_run, classify_run, tmp_path):
    for number, run in enumerate((forecast_run, classify_run)):
        for name in ("metrics.json", "history.csv", "predictions.npz", "model.npz"):
            altered = tmp_path / f"{number} {name}"
            shutil.copytree(run, altered)
            with open(altered / name, "ab") as file:
                file.write(b" ")
            with pytest.raises(SunhwanError, match=rf"{name}' was changed after the run wrote it"):
                pages.of([altered])
        broken = tmp_path / f"{number} broken"
        shutil.copytree(run, broken)
        metrics = read_json(broken / "metrics.json")
        for content in (
            {},
            {**metrics, "test": [], "targets": [1]},
            {**metrics, "verdict": "", "classes": 1, "targets": 1},
        ):
            rewrite(broken, "metrics.json", content)
            with pytest.raises(SunhwanError, match="broken' cannot be read"):
                pages.of([broken])
        rewrite(broken, "metrics.json", {})
        with pytest.raises(SunhwanError, match="broken' cannot be read"):
            pages.of([run, broken])
        known = read_json(broken / "run.json")
        for made in (rundir.FORMAT + 1, None, "1"):
            write_json(broken / "run.json", {**known, "format": made})
            with pytest.raises(SunhwanError, match=f"in format {made!r}; this version reads format"):
                pages.of([broken])


def test_arrays_that_would_run_code_are_refused(forecast_run, tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    evil = tmp_path / "evil"
    shutil.copytree(forecast_run, evil)
    np.savez(evil / "predictions.npz", truth=np.array([Evil()], object))
    known = read_json(evil / "run.json")
    write_json(evil / "run.json", {**known, "sha256": {}})
    with pytest.raises(SunhwanError, match=r"predictions.npz' cannot be read"):
        pages.of([evil])
    assert not (tmp_path / "ran").exists()


def test_a_band_is_open_where_values_are_missing():
    time = np.datetime64("2024-01-01", "s") + np.arange(5) * np.timedelta64(1, "D")
    low = np.array([1.0, 2.0, np.nan, 4.0, 5.0])
    found = band("interval", "model", time, low, low + 10)
    y = unpacked(found["y"])
    np.testing.assert_array_equal(y, [1, 2, 12, 11, np.nan, 4, 5, 15, 14, np.nan])
    empty = band("interval", "model", time, low * np.nan, low)
    assert len(unpacked(empty["y"])) == 0


def test_lines_break_where_times_lie_apart():
    time = np.datetime64("2024-01-01", "s") + np.array([0, 1, 2, 9, 10]) * np.timedelta64(1, "h")
    when, (value,) = gapped(time, [np.arange(5.0)])
    np.testing.assert_array_equal(value, [0, 1, 2, np.nan, 3, 4])
    assert len(when) == 6 and (np.diff(when).astype(int) >= 0).all()


def test_numbers_keep_their_shape_and_times_their_milliseconds():
    np.testing.assert_array_equal(unpacked(numbers(np.arange(6.0).reshape(2, 3))), [[0, 1, 2], [3, 4, 5]])
    assert unpacked(numbers(np.array(["1970-01-01T00:00:01"], "datetime64[s]"))) == [1000]


def test_how_a_gain_is_said():
    assert lower({"percent": 5.4, "interval": [3.8, 6.9]}) == "5.4% lower (3.8 to 6.9%)"
    assert lower({"percent": -2.0, "interval": [-3.0, 1.0]}) == "2.0% higher (−1.0 to 3.0%)"
    assert lower({"percent": 1.0, "interval": [None, 2.0]}) == "1.0% lower"


def test_a_script_cannot_be_ended_from_within():
    assert embedded({"a": "</script>"}) == '{"a": "\\u003c/script>"}'
    with pytest.raises(ValueError):
        embedded(float("nan"))


def contrast(one, other):
    """Of two colours by WCAG 2.2's definition of relative luminance."""

    def luminance(color):
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return np.dot(linear, [0.2126, 0.7152, 0.0722])

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_colours_are_seen_on_their_paper(theme):
    paper, raised = SHADES["paper"][theme], SHADES["raised"][theme]
    for name, shades in SHADES.items():
        if name in ("ink", "quiet", "link"):
            assert min(contrast(shades[theme], paper), contrast(shades[theme], raised)) >= 4.5, name
        elif name not in ("paper", "raised", "strong", "faint"):
            assert contrast(shades[theme], paper) >= 3, name


def test_every_network_of_the_history_has_its_curve(forecast_run):
    run = rundir.load(forecast_run)
    chart = parts.curves(parts.histories(run), "loss")
    names = [trace["name"] for trace in chart.views["all"]["data"]]
    assert len(names) == 2 * len({row["network"] for row in run.history})
    assert parts.curves({}, "loss") == Text("No network was trained.")


def test_a_page_without_charts_carries_no_plotly():
    html = Page("t", "a", [], [Section("s", [Text("hello")])]).html()
    assert len(html) < 20_000 and "hello" in html


def test_the_page_of_a_classifier_says_what_the_run_found(classify_run):
    page = pages.of([classify_run])
    metrics = read_json(classify_run / "metrics.json")
    assert page.answer == metrics["verdict"]
    sections = {section.title: section.blocks for section in page.sections}
    accuracy = {row[0]: float(row[1]) for row in sections["Scores"][0].rows}
    for name, said in (("model", "the model"), ("nb_svm", "NB-SVM"), ("majority", "majority class")):
        assert accuracy[said] == pytest.approx(metrics["test"][name]["accuracy"], abs=1e-4)
    with np.load(classify_run / "predictions.npz") as kept:
        truth, said = kept["truth"], kept["model"]
    told = said.argmax(axis=1)
    shares = unpacked(sections["Confusions"][0].views["all"]["data"][0]["z"])
    first = truth == 0
    np.testing.assert_allclose(shares[0], np.bincount(told[first], minlength=3) / first.sum(), rtol=1e-5)
    most = sections["Confusions"][1].rows[0]
    assert int(most[2]) == (metrics["confusion"] * (1 - np.eye(3))).max()
    mistakes = sections["Mistakes"][0].rows
    assert len(mistakes) == min((told != truth).sum(), 30) > 0
    assert float(mistakes[0][3][:-1]) == pytest.approx(100 * said[told != truth].max(), abs=0.06)
    assert all(row[1] != row[2] for row in mistakes)
    after = metrics["reliability"]["after"]
    assert sum(after["count"]) == len(truth)
    gap = np.abs(np.array(after["confidence"]) - after["accuracy"]) @ after["count"] / len(truth)
    assert gap == pytest.approx(metrics["test"]["model"]["ece"])
    parsed = Parsed(page.html())
    assert not [tag for tag, _ in parsed.tags if tag == "b"]


def test_classifiers_beside_each_other_and_not_beside_forecasts(classify_run, forecast_run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(classify_run, other)
    metrics = read_json(other / "metrics.json")
    metrics["test"]["model"]["accuracy"] = 1.0
    rewrite(other, "metrics.json", metrics)
    page = pages.of([classify_run, other])
    assert page.answer == "other has the highest test accuracy: 100.0%."
    assert page.sections[0].blocks[0].strong == 1
    with pytest.raises(SunhwanError, match="the runs are of classify and forecast"):
        pages.of([classify_run, forecast_run])
