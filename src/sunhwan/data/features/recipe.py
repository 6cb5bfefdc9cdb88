"""How new rows become what a model was trained on: columns, categories, filled gaps, calendar, scaling.

`series.prepare` learns all of it from training rows; a recipe is what it learnt, kept in a run's
`preparation.json` and applied to rows that come later, without learning anything from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl

from sunhwan.data.features import features, missing
from sunhwan.data.features.scale import Scale
from sunhwan.data.files.records import listed
from sunhwan.data.table import Table
from sunhwan.data.windows import seconds_of
from sunhwan.errors import SunhwanError
from sunhwan.units import duration

KINDS = ("number", "category", "filled", "calendar")


@dataclass(frozen=True)
class Ingredient:
    """One feature, and what it is made of.

    Attributes:
        name: the feature's name.
        kind: out of `KINDS`: a column's numbers; zeros and ones for one value of a text column; zeros and
            ones where a column's gap was filled; a sine or cosine of the calendar.
        column: the column it is made of, or the name out of `features.CALENDAR`.
        value: of a category, the text that it stands for.
    """

    name: str
    kind: str
    column: str
    value: str = ""


@dataclass(frozen=True)
class Recipe:
    """What preparation learnt from training rows.

    Attributes:
        ingredients: the features in order.
        scale: of the features.
        fill: rows of a gap that are filled from the past.
        interval: the time from row to row.
    """

    ingredients: tuple[Ingredient, ...]
    scale: Scale
    fill: int
    interval: np.timedelta64

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a table must have, each once."""
        return tuple(dict.fromkeys(item.column for item in self.ingredients if item.kind != "calendar"))

    def apply(self, readings: Table) -> tuple[np.ndarray, list[str]]:
        """The features of a table's rows.

        Args:
            readings: rows of the same interval with the same columns, in any order and among others.

        Returns:
            (rows, features) float32, scaled, NaN where a gap is longer than what is filled; and what was
            met on the way, in sentences.

        Raises:
            SunhwanError: a column is missing, holds text where numbers were learnt, or the rows are another
                interval apart.
        """
        self.check(readings)
        words = {
            item.column: text_of(features.column_of(readings, item.column))
            for item in self.ingredients
            if item.kind == "category"
        }
        raw = np.empty((len(readings), len(self.ingredients)))
        for i, item in enumerate(self.ingredients):
            if item.kind == "number":
                raw[:, i] = readings.column(item.column)
            elif item.kind == "category":
                raw[:, i] = features.indicator(words[item.column], item.value)
        read = [i for i, item in enumerate(self.ingredients) if item.kind in ("number", "category")]
        raw[:, read], mask = missing.fill_forward(raw[:, read], readings.series, self.fill)
        columns = [self.ingredients[i].column for i in read]
        phases, names = features.calendar(
            readings.time,
            list(dict.fromkeys(item.column for item in self.ingredients if item.kind == "calendar")),
        )
        for i, item in enumerate(self.ingredients):
            if item.kind == "filled":
                raw[:, i] = mask[:, columns.index(item.column)]
            elif item.kind == "calendar":
                raw[:, i] = phases[:, names.index(item.name)]
        notes = [note for name, column in words.items() if (note := self.unseen(name, column))]
        return self.scale.apply(raw), notes

    def check(self, readings: Table) -> None:
        """Refuse a table that cannot be what the recipe was learnt from."""
        lacking = [name for name in self.columns if name not in readings.columns.columns]
        if lacking:
            raise SunhwanError(
                f"{readings.name} lacks {listed(lacking)}, from which was learnt; it has "
                f"{listed(readings.columns.columns)}"
            )
        if readings.interval != self.interval:
            found, learnt = (
                duration(seconds_of(interval)) for interval in (readings.interval, self.interval)
            )
            raise SunhwanError(
                f"the rows of {readings.name} are {found} apart, but learnt was from rows {learnt} apart; "
                f"give rows of {learnt}"
            )

    def unseen(self, name: str, column: pl.Series) -> str:
        """What is to be said of values of a text column that no training row held; "" if there are none."""
        known = [item.value for item in self.ingredients if item.kind == "category" and item.column == name]
        strange = column.filter(~column.is_in(known)).drop_nulls().unique().sort().to_list()
        if not strange:
            return ""
        return f"{name}: {listed(strange)} stood in no training row and count as none of {listed(known)}"

    def as_dict(self) -> dict:
        """For JSON."""
        return {
            "ingredients": [asdict(item) for item in self.ingredients],
            "feature_mean": self.scale.mean.tolist(),
            "feature_std": self.scale.std.tolist(),
            "fill_rows": self.fill,
            "interval_seconds": seconds_of(self.interval),
        }

    @classmethod
    def from_dict(cls, kept: dict) -> Recipe:
        """What `as_dict` gave.

        Raises:
            SunhwanError: something is missing or is not what `as_dict` writes.
        """
        try:
            recipe = cls(
                tuple(Ingredient(**item) for item in kept["ingredients"]),
                Scale(np.array(kept["feature_mean"], float), np.array(kept["feature_std"], float)),
                int(kept["fill_rows"]),
                np.timedelta64(int(kept["interval_seconds"]), "s"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise SunhwanError(
                f"the kept preparation cannot be read ({type(error).__name__}: {error}); expected what a run "
                "of this sunhwan writes into preparation.json: run it again"
            ) from None
        shapes = {recipe.scale.mean.shape, recipe.scale.std.shape}
        if shapes != {(len(recipe.ingredients),)} or any(i.kind not in KINDS for i in recipe.ingredients):
            raise SunhwanError(
                "the kept preparation has features of which some have no scale or are of no known kind; "
                "restore preparation.json, or run it again"
            )
        return recipe


def text_of(column: np.ndarray | pl.Series) -> pl.Series:
    """A column as text, where a table that holds numbers alone has them where words were learnt."""
    if isinstance(column, pl.Series):
        return column
    return pl.Series(column).fill_nan(None).cast(pl.String)


def ingredients(chosen: features.Features, calendar: Sequence[str]) -> tuple[Ingredient, ...]:
    """What the features of training rows are made of.

    Args:
        chosen: after `features.filled` and the calendar.
        calendar: the calendar features' names, which stand last.
    """
    made = []
    for name, column in zip(chosen.names, chosen.columns, strict=True):
        values = chosen.categories.get(column, ())
        if name in calendar:
            made.append(Ingredient(name, "calendar", name.rsplit(" ", 1)[0]))
        elif name == features.filled_name(column):
            made.append(Ingredient(name, "filled", column))
        elif values:
            value = next(value for value in values if features.category_name(column, value) == name)
            made.append(Ingredient(name, "category", column, value))
        else:
            made.append(Ingredient(name, "number", column))
    return tuple(made)
