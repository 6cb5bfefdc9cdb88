"""A text study's problem from a tiny archive in the publisher's layout."""

import io
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from sunhwan.errors import SunhwanError
from sunhwan.studies import texts
from sunhwan.studies.study import load

ARCHIVED = {("train", "neg"): 12, ("train", "pos"): 12, ("test", "neg"): 4, ("test", "pos"): 4}
STARS = {"neg": 2, "pos": 9}


def reviews():
    """Each text says its part and class, and has one word that no other has."""
    return {
        f"aclImdb/{part}/{label}/{number}_{STARS[label]}.txt": f"a {label} film only{part}{label}{number}"
        for (part, label), count in ARCHIVED.items()
        for number in range(count)
    }


@pytest.fixture
def archive(tmp_path):
    def write(members):
        path = tmp_path / "reviews.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            for name, text in members.items():
                information = tarfile.TarInfo(name)
                information.size = len(text.encode())
                tar.addfile(information, io.BytesIO(text.encode()))
        return path

    return write


def study(path, **prepare):
    return load("imdb_sentiment").with_data(path=str(path)).with_prepare(length=6, num_words=40, **prepare)


@pytest.fixture(autouse=True)
def vocabularies(monkeypatch):
    """The vocabularies that were fitted, in order."""
    fitted, fit = [], texts.Vocabulary.fit

    def noted(*given):
        fitted.append(fit(*given))
        return fitted[-1]

    monkeypatch.setattr(texts.Vocabulary, "fit", noted)
    return fitted


def words_of(problem, part, vocabulary):
    """The texts of a part as words again; "?" for what the vocabulary does not hold."""
    known = dict(enumerate(vocabulary.words, start=4))
    return [[known.get(int(i), "?") for i in row if i > 1] for row in getattr(problem, part).inputs]


def test_the_vocabulary_knows_training_texts_alone(archive, vocabularies):
    problem = texts.problem(study(archive(reviews())))[""]
    (vocabulary,) = vocabularies
    own = [word for word in vocabulary.words if word.startswith("only")]
    # 24 texts to train on less a fifth; each of the rest gave the one word that is its own.
    assert len(own) == len(problem.train) == 19
    assert (len(problem.val), len(problem.test)) == (5, 8)
    assert all(word.startswith("onlytrain") for word in own)
    assert all("?" not in said for said in words_of(problem, "train", vocabulary))
    assert all(
        said.count("?") == 1 for part in ("val", "test") for said in words_of(problem, part, vocabulary)
    )


def test_labels_stay_with_their_texts(archive, vocabularies):
    problem = texts.problem(study(archive(reviews())))[""]
    for part in ("train", "val", "test"):
        said = [int("pos" in words) for words in words_of(problem, part, vocabularies[0])]
        assert said == getattr(problem, part).truth.tolist()
        assert 0 < sum(said) < len(said)
    assert problem.files["predictions"]["truth"].tolist() == problem.test.truth.tolist()


def test_the_split_is_one_for_all_runs(archive):
    path = archive(reviews())
    one, other = (texts.problem(study(path))[""] for _ in range(2))
    assert (one.train.inputs == other.train.inputs).all()
    assert one.fingerprint == other.fingerprint


def test_padding_and_truncating_are_as_declared(archive):
    path = archive(reviews())
    pre = texts.problem(study(path))[""].train.inputs
    post = texts.problem(study(path, padding="post", truncating="post"))[""].train.inputs
    assert (pre[:, 0] == 0).all() and (pre[:, -1] > 0).all()
    assert (post[:, 0] == 1).all() and (post[:, -1] == 0).all()
    assert pre.shape == (19, 6)


def test_baselines_are_scored_on_the_same_texts(archive):
    problem = texts.problem(study(archive(reviews())))[""]
    accuracy = {
        name: problem.score(said["test"], "test")["value"] for name, said in problem.baselines.items()
    }
    # A word gives the class away; the majority cannot know it.
    assert accuracy == {"majority": 0.5, "tfidf": 1.0, "nb_svm": 1.0}
    kept = problem.files["predictions"]
    assert {name for name in kept if ":" in name} == {f"probability:{name}" for name in accuracy}
    assert (kept["probability:nb_svm"] == problem.baselines["nb_svm"]["test"]).all()


def test_baselines_do_not_read_test_labels_and_learn_nothing_from_test_texts():
    reviews = [f"a {'dull' if i % 3 else 'fine'} film {i}" for i in range(60)]
    written = {part: reviews for part in ("train", "val")}
    labels = {part: np.arange(60) % 3 == 0 for part in written}
    names = texts.BASELINES
    first = texts.baseline_predictions(names, {**written, "test": written["val"]}, labels)
    other = texts.baseline_predictions(names, {**written, "test": ["entirely other words"] * 5}, labels)
    for name in names:
        np.testing.assert_array_equal(first[name]["val"], other[name]["val"])
        np.testing.assert_array_equal(first[name]["val"], first[name]["test"])
        assert other[name]["test"].shape == (5,) and np.ptp(other[name]["test"]) == 0


def test_the_outline_has_the_shape_of_the_problem(archive):
    declared = study(archive(reviews()))
    outline, problem = texts.outline(declared), texts.problem(declared)[""]
    assert outline.input_shape == problem.input_shape == (6,)
    assert outline.context == problem.context == {"vocabulary": 40}
    assert outline.metric == problem.metric


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (
            {"words": 9},
            "unknown key 'words'; a text study has num_words, length, padding, truncating, validation",
        ),
        ({"num_words": 4}, "num_words is 4"),
        ({"num_words": "many"}, "num_words in .prepare. is 'many'; expected something like 10000"),
        ({"length": 0}, "length of padded sequences is 0"),
        ({"length": True}, "length in .prepare. is True"),
        ({"padding": "left"}, "padding is 'left', expected 'pre' or 'post'"),
        ({"truncating": 1}, "truncating in .prepare. is 1; expected something like 'pre'"),
    ],
)
def test_preparation_is_checked_before_any_text_is_read(prepare, said):
    with pytest.raises(SunhwanError, match=said):
        texts.problem(study("/nowhere").with_prepare(**prepare))
    with pytest.raises(SunhwanError, match=said):
        texts.outline(study("/nowhere").with_prepare(**prepare))


@pytest.mark.parametrize("share", [0.0, 1.0, 2.5, -1.0])
def test_a_validation_share_that_leaves_nothing(share, archive):
    with pytest.raises(SunhwanError, match=f"validation share of {share}"):
        texts.problem(study(archive(reviews()), validation=share))


def test_an_unknown_baseline_is_refused_before_any_text_is_read():
    with pytest.raises(SunhwanError, match="no baseline 'ridge' for texts; there are majority, "):
        texts.problem(replace(study("/nowhere"), baselines=("ridge",)))


def test_both_parts_are_needed(archive):
    members = {name: text for name, text in reviews().items() if "/test/" not in name}
    with pytest.raises(SunhwanError, match="24 texts to train on and 0 to test on"):
        texts.problem(study(archive(members)))


def test_training_texts_of_one_class_are_refused(archive):
    """Validation may take the last text of a class out of a tiny training part."""
    members = {name: text for name, text in reviews().items() if "/test/" in name}
    members |= {"aclImdb/train/neg/0_2.txt": "bad", "aclImdb/train/pos/0_9.txt": "good"}
    with pytest.raises(SunhwanError, match="are all of one class; give more texts of each"):
        texts.problem(study(archive(members), validation=0.5))


def test_bytes_of_inputs_are_small(archive):
    inputs = texts.problem(study(archive(reviews())))[""].train.inputs
    assert inputs.dtype == np.int32
    assert inputs.max() < 40
