"""What `sunhwan.Classifier` and `sunhwan.SeriesClassifier` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from sunhwan import rundir
from sunhwan.classify.ensemble import Ensemble, fit
from sunhwan.classify.run import from_dict, split
from sunhwan.data import recordings
from sunhwan.data.texts import labelled
from sunhwan.errors import SunhwanError
from sunhwan.files import new_run
from sunhwan.provenance import now
from sunhwan.training.progress import Nobody

ESTIMATORS = {"texts": "sunhwan.Classifier", "recordings": "sunhwan.SeriesClassifier"}


class Estimator(ClassifierMixin, BaseEstimator):
    """A classifier by scikit-learn's conventions that is saved as a run."""

    kind: ClassVar[type[Ensemble]]
    columns: ClassVar[type[labelled.Columns] | type[recordings.Columns]]
    settings: ClassVar[type]

    def _train(
        self,
        examples: Any,
        keys: pl.Series,
        labels: np.ndarray,
        classes: Sequence[str],
        options: type,
        name: str,
        watcher: object,
        **more: Any,
    ) -> None:
        """Train by this estimator's parameters; see `ensemble.fit` for the arguments."""
        if not 0 < self.validation < 1:
            raise SunhwanError(f"validation is {self.validation!r}, expected a share above 0 and below 1")
        self.began_ = now()
        parameters = self.get_params()
        settings = {f.name: parameters[f.name] for f in fields(self.settings) if f.name in parameters}
        options = options(self.settings(**settings), self.seeds, **more)
        shares = (1 - self.validation, self.validation)
        part = split(keys, labels, classes, shares, name, self.kind.noun)
        fitted = fit(self.kind, examples, labels, classes, part == 1, options, watcher or Nobody())
        self.classifier_, self.notes_ = fitted.classifier, fitted.notes

    def save(self, folder: str | Path) -> None:
        """Write a run directory, which `load` and `sunhwan predict` read."""
        check_is_fitted(self, "classifier_")
        folder, parameters = new_run("classify", Path(folder)), self.get_params()
        model = self.classifier_.to_dict() | {"columns": self.columns_.to_dict()}
        model["estimator"] = {"parameters": parameters, "labels": self.classes_.tolist()}
        record = rundir.record("classify", [], parameters, {}, self.began_)
        rundir.write(folder, {**record, "notes": list(self.notes_)}, model, self.classifier_.to_arrays())

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The classifier of a run directory, from `save` or from `sunhwan classify`.

        Raises:
            SunhwanError: it is no run of such a classifier, or a file is missing or altered.
        """
        model, arrays = rundir.read(Path(folder), "classify")
        classifier = from_dict(model, arrays)
        if not isinstance(classifier, cls.kind):
            noun = classifier.noun
            raise SunhwanError(f"{str(folder)!r} is a run of {noun}: load it with {ESTIMATORS[noun]}")
        with rundir.reading("classifier"):
            columns, saved = cls.columns.from_dict(model["columns"]), model.get("estimator", {})
            estimator = cls(**saved.get("parameters", cls._parameters(columns)))
        estimator.columns_, estimator.classifier_, estimator.notes_ = columns, classifier, ()
        estimator.began_ = rundir.began(Path(folder))
        estimator.classes_ = np.array(saved.get("labels", classifier.classes))
        return estimator

    @staticmethod
    def _parameters(columns: labelled.Columns | recordings.Columns) -> Mapping[str, Any]:
        """The parameters of a run of the command."""
        return {}
