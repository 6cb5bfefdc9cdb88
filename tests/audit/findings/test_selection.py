"""How the result was chosen: on which rows, from how many models and seeds."""

import pytest


@pytest.mark.parametrize(
    ("callback", "evaluated", "level"),
    [
        ("keras.callbacks.EarlyStopping(monitor='val_loss')", True, "leak"),
        ("keras.callbacks.EarlyStopping(monitor='val_loss')", False, "note"),
        ("keras.callbacks.EarlyStopping(monitor='loss')", True, None),
        ("keras.callbacks.TerminateOnNaN()", True, None),
    ],
)
def test_an_epoch_chosen_on_what_is_reported_is_seen(callback, evaluated, level, named):
    text = (
        "x, y = cut(series)\nmodel = network()\n"
        f"model.fit(x[:300], y[:300], validation_data=(x[312:], y[312:]), callbacks=[{callback}], "
        "verbose=0)\n"
    )
    text += "model.evaluate(x[312:], y[312:], verbose=0)\n" if evaluated else ""
    audit = named(text)[1]
    levels = [finding.level for finding in audit if finding.name == "selected_on_reported"]
    assert levels == ([level] if level else [])


def test_an_epoch_chosen_on_validation_is_sound_where_other_rows_are_predicted(named):
    text = (
        "x, y = cut(series)\nmodel = network()\n"
        "early = keras.callbacks.EarlyStopping(monitor='val_loss')\n"
        "model.fit(x[:200], y[:200], validation_data=(x[212:290], y[212:290]), callbacks=[early], "
        "verbose=0)\n"
    )
    by_hand = "abs(model.predict(x[302:], verbose=0)[:, 0] - y[302:]).mean()\n"
    assert "selected_on_reported" not in {finding.name for finding in named(text + by_hand)[1]}
    evaluated = "model.evaluate(x[212:290], y[212:290], verbose=0)\n"
    assert "selected_on_reported" in named(text + by_hand + evaluated)[0]


def test_a_checkpoint_that_is_loaded_and_evaluated_is_the_same_fit(named, tmp_path):
    names, audit = named(
        f"x, y = cut(series)\nmodel = network()\npath = {str(tmp_path / 'best.keras')!r}\n"
        "best = keras.callbacks.ModelCheckpoint(path, save_best_only=True)\n"
        "model.fit(x[:300], y[:300], validation_data=(x[312:], y[312:]), callbacks=[best], verbose=0)\n"
        "keras.models.load_model(path).evaluate(x[312:], y[312:], verbose=0)\n"
    )
    assert names == ["selected_on_reported"]
    assert audit.findings[0].evidence["monitors"] == {"ModelCheckpoint": "val_loss"}


def test_what_is_predicted_to_be_drawn_is_no_test(named):
    names, audit = named("x, y = cut(series)\nmodel = network()\nmodel.fit(x[:300], y[:300], verbose=0)\n"
        "model.predict(x, verbose=0)\nmodel.predict(x[:300], verbose=0)\n")  # fmt: skip
    assert names == []
    assert audit.fits[0].tests == []


@pytest.mark.parametrize(
    ("fit", "after", "level"),
    [
        ("x, y", "", "warning"),
        ("x, y", "model.predict(x, verbose=0)", "warning"),
        ("x, y, validation_split=0.2", "", "note"),
        ("x[:99], y[:99]", "model.evaluate(x[99:], y[99:], verbose=0)", None),
        ("x[:99], y[:99]", "model.predict(x[99:], verbose=0)", None),
    ],
)
def test_where_no_test_part_is_that_is_reported(fit, after, level, findings):
    by_name = findings(f"model = network()\nmodel.fit({fit}, verbose=0)\n{after}")
    assert (by_name["no_test"].level if "no_test" in by_name else None) == level


@pytest.mark.parametrize(
    ("validation", "after", "why"),
    [
        ("", "model.evaluate(x[:99], y[:99], verbose=0)", "evaluate was called on the 99 training rows"),
        ("", "model.predict(x, verbose=0)", "predict was called on 240 rows, including all training rows"),
        (
            "x[99:], y[99:]",
            "model.evaluate(x[99:], y[99:], verbose=0)",
            "evaluate was called on the 141 validation rows",
        ),
        ("x[99:], y[99:]", "", None),
    ],
)
def test_why_what_was_scored_is_no_test_is_reported(validation, after, why, on_noise):
    given = f", validation_data=({validation})" if validation else ""
    text = f"model = network()\nmodel.fit(x[:99], y[:99], verbose=0{given})\n{after}"
    audit = on_noise(text, baselines=False)
    (finding,) = (finding for finding in audit if finding.name == "no_test")
    assert finding.text.count(f"({why})" if why else "(") == bool(why)
    lines = audit.source.splitlines()
    assert [lines[line - 1] for line in finding.lines][1:] == ([after] if why else [])


def test_rows_that_are_predicted_without_targets_are_named_as_what_is_not_compared(findings):
    text = "model = network()\nmodel.fit(x[:99], y[:99], validation_split=0.2, verbose=0)\n{}"
    finding = findings(text.format("model.predict(x[99:], verbose=0)"))["targets_unknown"]
    assert finding.evidence == {"rows": [141], "compared": "validation"}
    named = "x_test, y_test = x[99:], y[99:]\nmodel.predict(x_test, verbose=0)"
    assert "targets_unknown" not in findings(text.format(named))


def test_seeds_are_fits_of_the_same_model_on_the_same_rows(findings):
    assert "one_seed" in findings("network().fit(x, y, verbose=0)")
    assert "one_seed" not in findings("for _ in range(2):\n    network().fit(x, y, verbose=0)")
    assert "one_seed" in findings(
        "for units in (2, 3):\n    network(keras.layers.GRU(units)).fit(x, y, verbose=0)"
    )


def test_many_models_that_are_scored_on_one_test_are_reported(findings):
    text = (
        "for units in {}:\n    model = network(keras.layers.GRU(units))\n"
        "    model.fit(x[:99], y[:99], verbose=0)\n"
        "    model.evaluate(x[99:], y[99:], verbose=0)\n"
    )
    assert findings(text.format("(1, 2, 3)"))["many_models"].evidence == {"models": 3, "rows": 141}
    assert "many_models" not in findings(text.format("(1, 2)"))
