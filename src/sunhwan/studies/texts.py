"""From a text study to its problem: texts to padded token ids, and baselines of the same texts."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from sunhwan.baselines.classifiers import majority
from sunhwan.baselines.ngrams import NbSvm, TextEncoder, TfIdf
from sunhwan.data.ragged import Ragged
from sunhwan.data.sets import catalog
from sunhwan.data.split import shuffled
from sunhwan.data.texts.texts import Texts
from sunhwan.data.texts.vocabulary import Vocabulary, pad
from sunhwan.errors import SunhwanError
from sunhwan.studies.problem import Examples, Metric, Problem
from sunhwan.studies.study import Study

LINEAR = {"tfidf": TfIdf, "nb_svm": NbSvm}
BASELINES = ("majority", *LINEAR)
PREPARE = {"num_words": 10_000, "length": 500, "padding": "pre", "truncating": "pre", "validation": 0.2}
"""The keys of `[prepare]`, with the tutorial's values."""

SPLIT_SEED = 0
"""One split for all seeds of a model, so that their spread is the network's alone."""


def preparation(study: Study) -> dict:
    """The study's `[prepare]`, completed and checked."""
    for key, value in study.prepare.items():
        if key not in PREPARE:
            raise SunhwanError(f"[prepare] has an unknown key {key!r}; a text study has {', '.join(PREPARE)}")
        if type(value) is not type(PREPARE[key]):
            raise SunhwanError(f"{key} in [prepare] is {value!r}; expected something like {PREPARE[key]!r}")
    how = PREPARE | study.prepare
    # The vocabulary and the padding of no text check their own options, before any work is done.
    Vocabulary((), how["num_words"])
    none = Ragged(np.empty(0, np.int32), np.zeros(1, np.int64))
    pad(none, how["length"], padding=how["padding"], truncating=how["truncating"])
    return how


def outline(study: Study) -> Problem:
    """A problem without data: enough to build a model and print its layers."""
    how = preparation(study)
    nothing = Examples(np.empty((0, how["length"]), np.int32), np.empty(0, np.int64))
    return assembled(nothing, nothing, nothing, how)


def assembled(train: Examples, val: Examples, test: Examples, how: dict, **rest: object) -> Problem:
    """The problem over padded token ids."""
    return Problem(
        train=train,
        val=val,
        test=test,
        input_shape=(how["length"],),
        metric=Metric("accuracy", "accuracy", "binary_crossentropy", higher_is_better=True),
        context={"vocabulary": how["num_words"]},
        **rest,
    )


def problem(study: Study) -> dict[str, Problem]:
    """The study's one problem, under the name `""`.

    A seeded draw of the training texts is held out for validation; the vocabulary is learnt from the rest.
    """
    how = preparation(study)
    for name in study.baselines:
        if name not in BASELINES:
            raise SunhwanError(f"there is no baseline {name!r} for texts; there are {', '.join(BASELINES)}")
    corpus = catalog.load(**study.data)
    parts = split(corpus, how["validation"])
    texts = {part: [corpus.texts[i] for i in index] for part, index in parts.items()}
    labels = {part: corpus.labels[index] for part, index in parts.items()}

    vocabulary = Vocabulary.fit(texts["train"], how["num_words"])
    counts = ", ".join(f"{len(index):,} {part}" for part, index in parts.items())
    examples, notes = {}, [f"{len(corpus):,} texts: {counts}"]
    for part in parts:
        ragged = vocabulary.encode(texts[part])
        examples[part] = Examples(
            pad(ragged, how["length"], padding=how["padding"], truncating=how["truncating"]), labels[part]
        )
        cut = float((ragged.lengths > how["length"]).mean())
        notes.append(f"{part}: {cut:.0%} of the texts are longer than {how['length']} tokens and are cut")
    predictions = baseline_predictions(study.baselines, texts, labels)
    return {
        "": assembled(
            **examples,
            how=how,
            baselines=predictions,
            files={
                "predictions": {
                    "truth": labels["test"],
                    **{f"probability:{name}": of_parts["test"] for name, of_parts in predictions.items()},
                },
            },
            notes=tuple(notes),
            fingerprint=corpus.source,
        )
    }


def split(corpus: Texts, validation: float) -> dict[str, np.ndarray]:
    """Indices of the texts of each part; the publisher's test part stays whole."""
    training = np.flatnonzero(corpus.part == "train")
    test = np.flatnonzero(corpus.part == "test")
    if len(training) == 0 or len(test) == 0:
        raise SunhwanError(
            f"there are {len(training):,} texts to train on and {len(test):,} to test on; expected both"
        )
    train, held_out = shuffled(len(training), validation, SPLIT_SEED)
    if len(np.unique(corpus.labels[training[train]])) < 2:
        raise SunhwanError(
            f"the {len(train)} texts that are left to train on are all of one class; give more texts of each"
        )
    return {"train": training[train], "val": training[held_out], "test": test}


def baseline_predictions(
    names: tuple[str, ...], texts: dict[str, list[str]], labels: dict[str, np.ndarray]
) -> dict[str, dict[str, np.ndarray]]:
    """Each baseline's probabilities of class 1 on validation and test; test labels are not read."""
    predictions = {}
    if "majority" in names:
        predictions["majority"] = {
            part: majority(labels["train"], 2, len(texts[part]))[:, 1] for part in ("val", "test")
        }
    linear = {name: kind for name, kind in LINEAR.items() if name in names}
    if linear:
        encoder, train = TextEncoder.fit(texts["train"])
        inputs = {part: encoder.encode(texts[part]) for part in ("val", "test")}
        for name, kind in linear.items():
            model = kind.fit(train, labels["train"], 2, (inputs["val"], labels["val"]))
            predictions[name] = {
                part: softmax(model.logits(each), axis=1)[:, 1] for part, each in inputs.items()
            }
    return predictions
