"""Leaks in small programs: each beside a sound twin that differs in the one line that matters."""

import pytest

HEAD = """
import keras, numpy as np
from sklearn.preprocessing import MinMaxScaler, StandardScaler
keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
series = np.cumsum(random.normal(size=400))

def cut(values, width=12, ahead=1):
    starts = range(len(values) - width - max(ahead, 0) + 1)
    x = np.array([values[s : s + width] for s in starts])
    y = np.array([np.ravel(values[s + width + ahead - 1])[0] for s in starts])
    return x.reshape(len(x), width, -1), y

def network(units=2, outputs=1, activation=None, loss="mse", metrics=()):
    model = keras.Sequential([keras.layers.GRU(units), keras.layers.Dense(outputs, activation=activation)])
    model.compile("adam", loss, metrics=list(metrics))
    return model
"""

JUDGED = """
model = network()
model.fit(x[:at], y[:at], verbose=0)
model.evaluate(x[at:], y[at:], verbose=0)
"""


@pytest.fixture
def named(audited):
    """The names of the findings of a level, with the audit."""

    def run(text, level="leak"):
        found = audited(HEAD + text, baselines=False)
        return [finding.name for finding in found if finding.level == level], found

    return run


@pytest.mark.parametrize(
    ("scaling", "leaks"),
    [
        ("scaled = MinMaxScaler().fit_transform(series[:, None])", True),
        ("scaled = MinMaxScaler().fit(series[:300, None]).transform(series[:, None])", False),
        ("scaled = StandardScaler().fit_transform(series[:, None])[:, 0]", True),
        ("scaled = series", False),
        ("scaled = (series - series.min()) / (series.max() - series.min())", True),
        ("scaled = (series - series[:300].min()) / (series[:300].max() - series[:300].min())", False),
        ("scaled = (series - series.mean()) / series.std()", True),
        ("scaled = (series - series[:300].mean()) / series[:300].std()", False),
    ],
)
def test_scaling_over_the_test_rows_is_seen(scaling, leaks, named):
    names, found = named(scaling + "\nx, y = cut(scaled)\nat = 300 - 12" + JUDGED)
    assert names == (["scaled_on_test"] if leaks else [])
    if leaks and "Scaler" in scaling:
        finding = found.findings[0]
        assert finding.certain and finding.evidence["rows"] == 400
        assert finding.lines == [len(HEAD.splitlines()) + 1]


def test_test_rows_scaled_by_themselves_are_seen(named):
    names, found = named(
        "scaler = MinMaxScaler()\nx, y = cut(scaler.fit_transform(series[:300, None]))\n"
        "x_test, y_test = cut(scaler.fit_transform(series[300:, None]))\nmodel = network()\n"
        "model.fit(x, y, verbose=0)\nmodel.evaluate(x_test, y_test, verbose=0)\n"
    )
    assert names == ["scaled_on_test"]
    assert found.findings[0].evidence["rows"] == 100


def test_a_scaler_of_the_training_windows_is_sound_though_the_test_looks_back_on_them(named):
    names, _ = named(
        "x, y = cut(series)\nscaler = StandardScaler().fit(x[:288].reshape(-1, 1))\n"
        "x = scaler.transform(x.reshape(-1, 1)).reshape(x.shape)\nat = 288" + JUDGED
    )
    assert names == []


@pytest.mark.parametrize(("ahead", "leaks"), [(1, False), (0, True), (-3, True)])
def test_a_target_within_its_own_window_is_seen(ahead, leaks, named):
    names, found = named(f"x, y = cut(series, ahead={ahead})\nat = 280" + JUDGED)
    assert names == (["target_in_inputs"] if leaks else [])
    if leaks:
        assert found.findings[0].evidence["timestep"] == 12 + ahead


@pytest.mark.parametrize(
    "column",
    [
        "np.roll(series, -1)",  # the next value, joined to each row
        "3 * np.roll(series, -1) + 7",  # the same in other units
    ],
)
def test_a_column_that_is_the_target_moved_is_seen(column, named):
    names, found = named(
        f"table = np.stack([series, random.normal(size=400), {column}], axis=1)[:-1]\nx, y = cut(table)\n"
        "at = 280" + JUDGED
    )
    assert names == ["target_in_inputs"]
    assert found.findings[0].evidence["column"] == 3


@pytest.mark.parametrize(
    ("series", "column", "leaks"),
    [
        (
            "series",
            "np.convolve(series, np.ones(5) / 5, mode='same')",
            True,
        ),  # centred: holds two later values
        ("series", "np.convolve(series, np.ones(5) / 5)[: len(series)]", False),  # of values up to now
        ("np.sin(np.arange(400) / 3)", "random.normal(size=400)", False),  # its own past gives it
    ],
)
def test_a_column_that_holds_the_target_in_a_sum_is_seen(series, column, leaks, named):
    names, found = named(
        f"series = {series}\ntable = np.stack([series, {column}], axis=1)[2:-2]\nx, y = cut(table)\n"
        "at = 280" + JUDGED
    )
    assert names == (["target_in_inputs"] if leaks else [])
    if leaks:
        assert found.findings[0].evidence["columns"] == [2]
        assert not found.leaks  # likely, not proved


@pytest.mark.parametrize(
    "values",
    [
        "10.0 * np.arange(400)",  # every value is a straight line of every other
        "np.repeat(random.normal(size=40), 10)",  # most values are the last one
        "np.zeros(400)",
        "np.round(series)",
    ],
)
def test_series_that_resemble_themselves_are_no_leak(values, named):
    assert named(f"x, y = cut({values})\nat = 280" + JUDGED)[0] == []


def test_a_class_that_is_a_column_is_seen(named):
    text = (
        "labels = random.integers(0, 2, 200)\nx = random.normal(size=(200, 6, 2))\n{}"
        "model = network(1, 1, 'sigmoid', 'binary_crossentropy')\nmodel.fit(x, labels, verbose=0)\n"
    )
    assert named(text.format("x[:, :, 1] = labels[:, None] * 5\n"))[0] == ["target_in_inputs"]
    assert named(text.format("x[:, :, 1] += labels[:, None] * 5\n"))[0] == []


@pytest.mark.parametrize(
    ("test", "leaks"),
    [("x[250:], y[250:]", []), ("x[200:], y[200:]", ["window_overlap", "row_overlap"])],
)
def test_a_test_part_that_reaches_into_training_is_seen(test, leaks, named):
    names, _ = named(
        f"x, y = cut(series)\nmodel = network()\nmodel.fit(x[:250], y[:250], verbose=0)\n"
        f"model.evaluate({test}, verbose=0)\n"
    )
    assert set(names) <= set(leaks) and bool(names) == bool(leaks)


def test_what_is_predicted_to_be_drawn_is_no_test(named):
    names, found = named("x, y = cut(series)\nmodel = network()\nmodel.fit(x[:300], y[:300], verbose=0)\n"
        "model.predict(x, verbose=0)\nmodel.predict(x[:300], verbose=0)\n")  # fmt: skip
    assert names == []
    assert found.fits[0].tests == []


def test_a_random_validation_part_within_training_years_is_a_warning_if_the_test_is_sound(named):
    text = (
        "x, y = cut(series)\nfirst = random.permutation(300)\nmodel = network()\n"
        "model.fit(x[first], y[first], validation_split=0.2, verbose=0)\n"
        "model.evaluate(x[312:], y[312:], verbose=0)\n"
    )
    assert named(text)[0] == []
    assert named(text, "warning")[0] == ["window_overlap"]


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
    found = named(text)[1]
    levels = [finding.level for finding in found if finding.name == "selected_on_reported"]
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
    told = "model.evaluate(x[212:290], y[212:290], verbose=0)\n"
    assert "selected_on_reported" in named(text + by_hand + told)[0]


def test_a_checkpoint_that_is_loaded_and_evaluated_is_the_same_fit(named, tmp_path):
    names, found = named(
        f"x, y = cut(series)\nmodel = network()\npath = {str(tmp_path / 'best.keras')!r}\n"
        "best = keras.callbacks.ModelCheckpoint(path, save_best_only=True)\n"
        "model.fit(x[:300], y[:300], validation_data=(x[312:], y[312:]), callbacks=[best], verbose=0)\n"
        "keras.models.load_model(path).evaluate(x[312:], y[312:], verbose=0)\n"
    )
    assert names == ["selected_on_reported"]
    assert found.findings[0].evidence["monitors"] == {"ModelCheckpoint": "val_loss"}


def test_texts_that_recur_by_themselves_are_a_warning(named):
    text = (
        "kinds = random.integers(5, 90, (60, 9))\nchosen = random.integers(0, 60, 300)\n"
        "x, y = kinds[chosen], chosen % 2\n"
        "model = keras.Sequential([keras.layers.Embedding(90, 2), keras.layers.GRU(2),"
        " keras.layers.Dense(1, activation='sigmoid')])\nmodel.compile('adam', 'binary_crossentropy')\n"
        "model.fit(x[:200], y[:200], verbose=0)\nmodel.evaluate(x[200:], y[200:], verbose=0)\n"
    )
    assert named(text)[0] == []
    assert "duplicates" in named(text, "warning")[0]


@pytest.mark.parametrize(
    ("made", "before", "leaks"),
    [
        ("np.where(np.arange(30) == 20, 1, texts[:60])", True, ["near_duplicates"]),
        ("np.where(np.arange(30) == 20, 1, texts[:60])", False, []),
        ("random.integers(1, 3000, (60, 30))", True, []),
    ],
)
def test_texts_that_were_edited_and_added_before_the_split(made, before, leaks, named):
    names, found = named(
        f"""
texts = random.integers(1, 3000, (300, 30))
added = {made}
x = np.concatenate([texts, added] if {before} else [texts[:240], added, texts[240:]])
at = 300
y = (x.sum(axis=1) % 2).astype(int)
layers = [keras.layers.Embedding(3000, 2), keras.layers.GRU(2), keras.layers.Dense(1, activation="sigmoid")]
model = keras.Sequential(layers)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(x[:at], y[:at], verbose=0)
model.evaluate(x[at:], y[at:], verbose=0)
"""
    )
    assert names == leaks
    if leaks:
        found = found.findings[0]
        assert (found.evidence["rows"], found.evidence["of"], found.certain) == (60, 60, False)
        assert found.evidence["examples"][0] == {
            "test": 0,
            "training": 0,
            "shared": pytest.approx(0.8, abs=0.1),
        }


@pytest.mark.parametrize(
    ("copies", "leaks", "certain"),
    [
        ("x.round(3)", ["near_duplicates"], True),
        ("x + random.normal(0, 0.02, x.shape)", ["near_duplicates"], False),
        ("random.normal(size=x.shape)", [], None),
    ],
)
def test_copies_that_were_changed_a_little_before_the_split(copies, leaks, certain, named):
    names, found = named(
        f"""
x = random.normal(size=(200, 12, 1))
y = (x[:, :, 0].mean(axis=1) > 0).astype(int)
x, y = np.concatenate([x, {copies}]), np.concatenate([y, y])
order = random.permutation(len(x))
x, y, at = x[order], y[order], 300
model = network(activation="sigmoid", loss="binary_crossentropy", metrics=["accuracy"])
model.fit(x[:at], y[:at], verbose=0)
model.evaluate(x[at:], y[at:], verbose=0)
"""
    )
    assert names == leaks
    assert all(finding.certain == certain for finding in found if finding.level == "leak")
