"""The schema of studies: what ships follows it, what strays from it is refused with a reason."""

import tomllib
from dataclasses import replace
from importlib.resources import files

import pytest
import tomli_w

from sunhwan.errors import SunhwanError
from sunhwan.studies.study import Study, load, parse, shipped

SHIPPED = ("adding_problem", "imdb_sentiment", "jena_temperature", "newyork_temperature", "table_temperature")

WHOLE = {
    "question": "Which one?",
    "kind": "forecast",
    "models": ["gru", "wide"],
    "baselines": ["ridge"],
    "epochs": 3,
    "data": {"name": "table", "path": "a.csv", "time": ["day", "clock"]},
    "prepare": {"target": "T", "lookback": "1d", "horizon": 2},
    "model": {"wide": {"builder": "gru", "units": 64, "epochs": 5}},
}


def parsed(**changes):
    """The study of `WHOLE` with other values; None leaves a key out."""
    declared = {key: value for key, value in {**WHOLE, **changes}.items() if value is not None}
    return parse(tomli_w.dumps(declared), "mine")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_studies_follow_the_schema_and_survive_a_round_trip(name):
    study = load(name)
    assert study.name == name
    assert parse(tomli_w.dumps(study.to_dict()), "another name") == study


def test_all_toml_files_are_shipped_studies():
    folder = files("sunhwan.studies") / "shipped"
    assert tuple(shipped()) == tuple(sorted(entry.name[:-5] for entry in folder.iterdir())) == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_every_model_and_option_of_a_shipped_study_has_a_builder(name):
    from sunhwan.studies import models

    study = load(name)
    for model in study.models:
        assert callable(models.check(study.kind, model, study.options(model)))


def test_the_tutorial_s_settings():
    jena, imdb = load("jena_temperature"), load("imdb_sentiment")
    assert [jena.epochs_of(model) for model in ("gru", "gru_dropout", "gru_stacked")] == [20, 40, 40]
    assert (jena.steps_per_epoch, jena.batch_size) == (500, 128)
    assert jena.prepare["split"] == [200_000, 300_000]
    assert [jena.prepare[key] for key in ("lookback", "step", "horizon")] == [1440, 6, 144]
    assert (imdb.epochs, imdb.batch_size, imdb.prepare["length"], imdb.prepare["num_words"]) == (
        10,
        128,
        500,
        10_000,
    )


def test_a_study_of_one_s_own(tmp_path):
    path = tmp_path / "내 연구 (2).toml"
    path.write_text(tomli_w.dumps(WHOLE), encoding="utf-8")
    study = load(str(path))
    assert study.name == "내 연구 (2)"
    assert study.options("wide") == {"builder": "gru", "units": 64, "epochs": 5}
    assert (study.epochs_of("gru"), study.epochs_of("wide")) == (3, 5)
    assert (study.seeds, study.batch_size, study.steps_per_epoch) == (1, 128, None)
    assert parse(tomli_w.dumps(study.to_dict()), "x") == study


def test_overriding_leaves_the_rest():
    study = parsed()
    assert study.with_epochs(7) == replace(study, epochs=7, model={"wide": {"builder": "gru", "units": 64}})
    assert study.with_epochs(7).epochs_of("wide") == 7
    assert study.with_models(["gru"]) == replace(study, models=("gru",), model={})
    assert study.with_models(["wide", "gru"]).models == ("wide", "gru")
    assert study.with_prepare(horizon="6h").prepare == {"target": "T", "lookback": "1d", "horizon": "6h"}
    assert study.with_data(path="b.csv").data == {"name": "table", "path": "b.csv", "time": ["day", "clock"]}
    # Also after a run has kept and read it again.
    kept = study.with_models(["gru"])
    assert parse(tomli_w.dumps(kept.to_dict()), "x") == kept


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"colour": "red"}, r"'colour' is unknown; a study has baselines, batch_size, "),
        ({"question": None}, "lacks the key 'question'"),
        ({"models": None}, "lacks the key 'models'"),
        ({"data": None}, "lacks the key 'data'"),
        ({"prepare": None}, "lacks the key 'prepare'"),
        ({"question": 5}, "question is 5; expected a text"),
        ({"models": "gru"}, "models is 'gru'; expected an array"),
        ({"models": [], "model": {}}, r"models is \[\]; expected at least one"),
        ({"models": ["gru", "gru"], "model": {}}, "has a name twice"),
        ({"models": ["../gru"], "model": {}}, "expected names of letters"),
        ({"models": ["a:b"], "model": {}}, "expected names of letters"),
        ({"models": [1], "model": {}}, "expected names of letters"),
        ({"models": ["ridge"], "model": {}}, "'ridge' is both a model and a baseline"),
        ({"baselines": "ridge"}, "baselines is 'ridge'; expected an array"),
        ({"data": "table"}, "data is 'table'; expected a table"),
        ({"model": ["gru"]}, "model is .* expected a table"),
        ({"model": {"gruu": {"units": 3}}}, r"\[model\] has 'gruu'; expected a table for one of gru, wide"),
        ({"model": {"gru": 3}}, r"\[model\] has 'gru'; expected a table"),
        ({"model": {"gru": {"epochs": 0}}}, r"epochs in \[model.gru\] is 0; expected a whole number"),
        ({"model": {"gru": {"builder": 3}}}, r"builder in \[model.gru\] is 3"),
        ({"epochs": 0}, "epochs is 0; expected a whole number, at least 1"),
        ({"epochs": "3"}, "epochs is '3'; expected a whole number"),
        ({"epochs": 2.0}, "epochs is 2.0; expected a whole number"),
        ({"seeds": True}, "seeds is True; expected a whole number"),
        ({"batch_size": -1}, "batch_size is -1; expected a whole number"),
        ({"steps_per_epoch": 0}, "steps_per_epoch is 0; expected a whole number"),
        ({"unit": 3}, "unit is 3; expected a text"),
        ({"kind": "guess"}, "kind is 'guess'; expected one of forecast, text, adding"),
        ({"name": "a/b"}, "the name cannot name a file"),
        ({"name": ".hidden"}, "the name cannot name a file"),
        (
            {"data": {"path": "a.csv"}},
            "name in .data. is None; a forecast study has newyork or jena or table",
        ),
        ({"data": {"name": "imdb"}}, "name in .data. is 'imdb'"),
        ({"data": {"name": "table", "pth": "a.csv"}}, "'pth', but the data table takes path, time, series"),
        (
            {"data": {"name": "newyork", "path": "a"}},
            "newyork .* takes nothing; .* table_temperature --data FILE",
        ),
        ({"data": {"name": "table", "path": 5}}, "path in .data. is 5; expected a text"),
        ({"data": {"name": "table", "time": ["a", 5]}}, r"time in .data. is \['a', 5\]; expected a text"),
    ],
)
def test_what_strays_from_the_schema_is_refused(changes, said):
    with pytest.raises(SunhwanError, match=said) as error:
        parsed(**changes)
    assert "\n" not in str(error.value)


def test_no_such_study_or_file(tmp_path):
    with pytest.raises(
        SunhwanError, match="there is no study 'jna'; there are adding_problem, imdb_sentiment"
    ):
        load("jna")
    with pytest.raises(SunhwanError, match=r"there is no study file 'none\.toml'"):
        load("none.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(SunhwanError, match="cannot be read as a study"):
        load(str(tmp_path / "folder.toml"))


@pytest.mark.parametrize("content", [b"\x80\x81 binary", b"\x00" * 40, b"question = 'no end", b"= 3"])
def test_what_is_no_toml(tmp_path, content):
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(SunhwanError, match="broken"):
        load(str(path))


def test_with_models_refuses_what_the_study_has_not():
    with pytest.raises(SunhwanError, match="there is no model 'lstm'; there are gru, wide"):
        parsed().with_models(["lstm"])


def test_as_dict_is_what_tomllib_reads():
    study = parsed()
    assert tomllib.loads(tomli_w.dumps(study.to_dict())) == {
        "name": "mine",
        "seeds": 1,
        "batch_size": 128,
        **WHOLE,
    }
    assert isinstance(study, Study)
