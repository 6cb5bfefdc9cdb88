"""The one table of names for what predicts: the key in JSON and TOML, and the words that people read."""

from __future__ import annotations

NETWORK = "network"
"""The key of recurrent networks: one, or the mean of several."""

NAMES = {
    NETWORK: "recurrent network",
    "last_value": "last value",
    "seasonal": "seasonal naive",
    "mean": "training mean",
    "ridge": "ridge regression",
    "boosting": "gradient boosting",
    "majority": "majority class",
    "logistic": "logistic regression",
    "tfidf": "TF-IDF with logistic regression",
    "nb_svm": "NB-SVM",
    "summary": "summary statistics",
    "minirocket": "MiniRocket",
}


def words(key: str) -> str:
    """How a predictor is called in a sentence.

    Example:
        >>> words("boosting")
        'gradient boosting'
    """
    return NAMES.get(key, key.replace("_", " "))
