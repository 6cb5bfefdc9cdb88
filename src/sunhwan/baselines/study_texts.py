"""Classifiers of texts that a network has to beat: the majority, and two linear models on word counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from sunhwan.baselines.ngrams import log_count_ratio
from sunhwan.errors import SunhwanError

TOKEN = r"(?u)\b\w+(?:'\w+)*\b"
"""Words with their apostrophes, single letters too; scikit-learn's own rule drops "I" and splits "don't"."""

STRENGTHS = (0.1, 1.0, 10.0)
"""Inverse penalties of the linear models that validation chooses from."""

Parts = dict[str, np.ndarray]


def majority(train_labels: np.ndarray, counts: dict[str, int]) -> Parts:
    """The training share of class 1 for every text: (texts,) by part."""
    return {part: np.full(count, train_labels.mean(), np.float32) for part, count in counts.items()}


def tfidf_logistic(texts: dict[str, Sequence[str]], labels: Parts) -> Parts:
    """Logistic regression on TF-IDF of words and pairs of words; validation chooses the penalty.

    Args:
        texts, labels: by part (`train`, `val`, `test`); labels are 0 or 1. Test labels are not read.

    Returns:
        Probabilities of class 1, (texts,), of `val` and `test`.
    """
    vectorizer = TfidfVectorizer(
        token_pattern=TOKEN,
        ngram_range=(1, 2),
        min_df=min_documents(texts),
        sublinear_tf=True,
        dtype=np.float32,
    )
    train = counted(vectorizer, texts["train"])
    held = {part: vectorizer.transform(texts[part]) for part in ("val", "test")}
    return chosen(train, held, labels)


def nb_svm(texts: dict[str, Sequence[str]], labels: Parts) -> Parts:
    """A linear model on which words and pairs occur, weighted by their naive Bayes log-count ratio.

    Logistic loss stands for the hinge of the paper's SVM: it scores the same and gives probabilities.

    Args, returns:
        As for `tfidf_logistic`.

    Source: Wang and Manning, "Baselines and bigrams", ACL 2012.
    """
    vectorizer = CountVectorizer(
        token_pattern=TOKEN, ngram_range=(1, 2), min_df=min_documents(texts), binary=True, dtype=np.float32
    )
    train = counted(vectorizer, texts["train"])
    ratio = scipy.sparse.diags_array(log_count_ratio(train, labels["train"]))
    held = {part: vectorizer.transform(texts[part]) @ ratio for part in ("val", "test")}
    return chosen(train @ ratio, held, labels)


def counted(vectorizer: CountVectorizer, texts: Sequence[str]) -> scipy.sparse.csr_array:
    """The words of the training texts, (texts, words), after `vectorizer` has learnt which there are."""
    try:
        return vectorizer.fit_transform(texts)
    except ValueError:
        raise SunhwanError(
            f"the {len(texts):,} training texts hold no word often enough to count; expected texts of words"
        ) from None


def min_documents(texts: dict[str, Sequence[str]]) -> int:
    """Words of a single text teach nothing, unless there are very few texts."""
    return 2 if len(texts["train"]) >= 1000 else 1


def chosen(train: scipy.sparse.csr_array, held: dict[str, scipy.sparse.csr_array], labels: Parts) -> Parts:
    """The logistic regression that is most accurate on validation, as probabilities of class 1."""
    classes = np.unique(labels["train"])
    if len(classes) < 2:
        raise SunhwanError(
            f"all {len(labels['train']):,} training texts are of class {classes[0]}; expected texts of both "
            "classes"
        )
    best, best_accuracy = {}, -1.0
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, solver="liblinear", dual=True, random_state=0, max_iter=1000)
        model.fit(train, labels["train"])
        said = model.predict_proba(held["val"])[:, 1]
        accuracy = ((said > 0.5) == labels["val"]).mean()
        if accuracy > best_accuracy:
            best_accuracy = accuracy
            best = {"val": said, "test": model.predict_proba(held["test"])[:, 1]}
    return {part: values.astype(np.float32) for part, values in best.items()}
