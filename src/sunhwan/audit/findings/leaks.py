"""What makes a result flatter: each function looks for one leak and yields what the arrays prove of it.

A finding of a part that is not the reported one is a warning: it misleads the choice of an epoch or a model,
but not the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sunhwan.audit.baselines import Comparison
from sunhwan.audit.findings import overlap, scaling, shingles
from sunhwan.audit.findings.finding import Finding
from sunhwan.audit.fits import Fit, Part, outputs, windows
from sunhwan.audit.observe.trace import Trace
from sunhwan.audit.observe.watch import Record

SHUFFLES = (
    *("train_test_split", "ShuffleSplit", "KFold", "random_split"),
    *("shuffle", "permutation", "permuted", "sample"),
)
"""What is called where rows are split without regard to time."""

EXACT = 1e-5
"""By so much of the target's spread an input may miss it and still be it: float32 and a scaler's rounding."""


FORMULA = 1e-3
"""What a sum of inputs may miss of a target's spread and still be its formula."""


@dataclass(eq=False)
class Case:
    """What a finding may be made of; leaks are looked for before there is a comparison."""

    fit: Fit
    record: Record
    trace: Trace
    fits: list[Fit]
    comparison: Comparison | None = None
    overlaps: dict[int, overlap.Overlap | None] = field(default_factory=dict)
    copies: dict[int, overlap.Copies | None] = field(default_factory=dict)

    @property
    def parts(self) -> list[Part]:
        """Those that are judged; what was predicted without targets only where no test has any."""
        reported = self.fit.reported
        parts = [reported] if reported is not self.fit.train else []
        if self.fit.val and reported.name != "validation":
            parts.append(self.fit.val)
        if reported.name != "test":
            parts += [part for part in self.fit.tests if part.rows.y is None]
        return [part for part in parts if len(part.rows) and part.rows.x.shape[1:] == self.train.x.shape[1:]]

    @property
    def train(self):
        return self.fit.train.rows

    @cached_property
    def training(self) -> np.ndarray:
        return windows(self.train.x)

    def level(self, part: Part) -> str:
        decides = part is self.fit.reported or part.name == "test"
        return "leak" if decides else "warning"

    def overlap(self, part: Part) -> overlap.Overlap | None:
        if id(part) not in self.overlaps:
            of_numbers = self.fit.kind == "numbers"
            self.overlaps[id(part)] = (
                overlap.later(windows(part.rows.x), self.training) if of_numbers else None
            )
        return self.overlaps[id(part)]


def window_overlap(case: Case) -> Iterator[Finding]:
    """Judged windows that training windows go on from: what is to be forecast stands in training."""
    for part in case.parts:
        found = case.overlap(part)
        if not found or found.share < 0.05 or found.windows < 3:
            continue
        copied = copied_rows(case, part)
        if copied and copied.share > 0.5 * found.share:
            continue  # whole windows recur, of which `duplicates` tells
        what = f"{found.windows:,} of {found.looked_at:,} {part.name} windows" + (
            " that were looked at" if found.looked_at < len(part.rows) else ""
        )
        most = max(common for _, _, common in found.examples)
        yield Finding(
            case.level(part),
            "window_overlap",
            f"{what} share up to {most} of {found.timesteps} rows with training windows that begin after "
            "them: the split is shuffled, so what is to be told stands in training",
            True,
            "Cut the series in time first, and windows from each part after that.",
            lines=[*case.trace.calls(*SHUFFLES), *case.fit.lines],
            evidence={
                "part": part.name,
                "windows": found.windows,
                "of": found.looked_at,
                "share": round(found.share, 4),
                "shared_rows": found.shared,
                "timesteps": found.timesteps,
                "examples": [
                    {part.name: judged, "training": training, "rows": common}
                    for judged, training, common in found.examples
                ],
            },
        )


def shuffled_split(case: Case) -> Iterator[Finding]:
    """Rows that do not overlap, but whose neighbours in time stand in training, before and after them."""
    for part in case.parts:
        known = part.rows.y is not None and case.train.y is not None and case.fit.kind == "numbers"
        if not known or case.fit.task != "regression" or outputs(case.train.y).shape[1] != 1:
            continue
        overlapping = case.overlap(part)
        if overlapping and overlapping.share >= 0.05:
            continue  # told by `window_overlap`
        found = overlap.neighbours(
            (windows(part.rows.x), outputs(part.rows.y)[:, 0]), (case.training, outputs(case.train.y)[:, 0])
        )
        if not found or found.count < 20 or found.between < 0.3 * found.count:
            continue
        yield Finding(
            case.level(part),
            "shuffled_split",
            f"{found.between:,} of {found.count:,} {part.name} rows have the row before and the row after "
            "them in training: a series was shuffled before it was split",
            True,
            "Split in time: train on what came before, judge on what came after.",
            lines=[*case.trace.calls(*SHUFFLES), *case.fit.lines],
            evidence={
                "part": part.name,
                "between": found.between,
                "of": found.count,
                "column": found.column + 1,
            },
        )


def copied_rows(case: Case, part: Part) -> overlap.Copies | None:
    if id(part) not in case.copies:
        classes = None
        if case.fit.task == "classes" and part.rows.y is not None:
            classes = case.fit.labels(part.rows.y)
        judged, training = (part.rows.x, part.rows.y), (case.train.x, case.train.y)
        case.copies[id(part)] = overlap.copies(judged, training, classes)
    return case.copies[id(part)]


def duplicates(case: Case) -> Iterator[Finding]:
    """Judged rows that are training rows: a part that reaches into another, or copies made before the split.

    Texts recur by themselves: where training holds as many copies of its own rows, spread over all classes,
    that is no more than a warning.
    """
    for part in case.parts:
        found = copied_rows(case, part)
        if not found or found.rows < 3 or found.share < 0.002:
            continue
        floats = case.fit.kind == "numbers" and not np.array_equal(case.train.x, np.floor(case.train.x))
        recurring = found.within > 0.5 * found.share
        shares = sorted(found.of_class.values())
        one_class = len(shares) > 1 and shares[-1] > 0.5 and shares[0] < 0.2 * shares[-1]
        certain_leak = found.share >= 0.01 and (not recurring or one_class or floats)
        if floats and recurring and not one_class and found.share > 0.9:
            certain_leak = False  # the series repeats itself
        name = "duplicates" if recurring else "row_overlap"
        text = f"{found.rows:,} of {found.count:,} {part.name} rows stand in training, bit by bit"
        if one_class:
            copied = max(found.of_class, key=found.of_class.get)
            share = found.of_class[copied]
            text += f", {share:.0%} of those of class {copied}: it was multiplied before the split"
        elif recurring:
            text += f"; so do {found.within:.1%} of the training rows within training"
        yield Finding(
            case.level(part) if certain_leak else "warning",
            name,
            text,
            True,
            "Remove copies before the split, or keep all copies of a row in one part."
            if recurring
            else "Let the parts have no row in common.",
            lines=case.fit.lines,
            evidence={
                "part": part.name,
                "rows": found.rows,
                "of": found.count,
                "within_training": round(found.within, 4),
                "of_class": found.of_class,
                "examples": [
                    {part.name: judged, "training": training} for judged, training in found.examples
                ],
            },
        )


def near_duplicates(case: Case) -> Iterator[Finding]:
    """Judged rows that are training rows but for a rounding, a little noise, or some words.

    Windows that overlap each other resemble their neighbours by nature; of these nothing is said.
    """
    if not len(case.train):
        return
    if case.fit.kind == "tokens":
        yield from near_texts(case)
        return
    within = None
    for part in case.parts:
        found = overlap.near(part.rows.x, case.train.x)
        if not found or found.rows < 5 or found.share < 0.02:
            continue
        if within is None:
            within = overlap.later(case.training, case.training)
        overlapping = case.overlap(part)
        if any(one and one.share >= 0.05 for one in (within, overlapping)):
            continue
        rounding = found.difference < 1e-3
        yield Finding(
            case.level(part),
            "near_duplicates",
            f"{found.rows:,} of {found.count:,} {part.name} rows that were looked at are nearly a training "
            f"row: they differ by {found.difference:.1g} of the inputs' spread, where neighbours differ by "
            f"{found.usual:.1g}",
            rounding,
            "Split before copies are made, rounded or given noise, or keep all copies of a row in one part.",
            lines=[*case.trace.calls(*SHUFFLES), *case.fit.lines],
            evidence={
                "part": part.name,
                "rows": found.rows,
                "of": found.count,
                "difference": found.difference,
                "usual": found.usual,
                "examples": [
                    {part.name: judged, "training": training, "difference": by}
                    for judged, training, by in found.examples
                ],
            },
        )


MULTIPLIED = 0.3
"""A share of texts that are nearly others which no collection has by itself."""


def near_texts(case: Case) -> Iterator[Finding]:
    """Texts that have most of their runs of words in common with one of training.

    Texts recur by themselves: where training has as many that are nearly others of it, it is a warning,
    unless these are so many that somebody made them.
    """
    within = None
    for part in case.parts:
        found = shingles.alike(part.rows.x, case.train.x)
        if not found or found.rows < 3 or found.share < 0.005:
            continue
        within = within or shingles.alike(case.train.x, case.train.x, within=True)
        recurring = 0.5 * found.share < within.share < MULTIPLIED
        text = (
            f"{found.rows:,} of {found.count:,} {part.name} texts that were looked at are nearly a training "
            f"text, with {found.shared:.0%} of all their runs of {found.run} ids in common"
        )
        if recurring:
            text += f"; so are {within.share:.1%} of the training texts that were looked at"
        yield Finding(
            case.level(part) if found.share >= 0.01 and not recurring else "warning",
            "near_duplicates",
            text,
            False,
            "Remove texts that are nearly others before the split, or keep them in one part.",
            lines=[*case.trace.calls(*SHUFFLES), *case.fit.lines],
            evidence={
                "part": part.name,
                "rows": found.rows,
                "of": found.count,
                "shared": round(found.shared, 4),
                "ids_of_a_run": found.run,
                "within_training": round(within.share, 4),
                "examples": [
                    {part.name: judged, "training": training, "shared": round(shared, 4)}
                    for judged, training, shared in found.examples
                ],
            },
        )


def target_in_inputs(case: Case) -> Iterator[Finding]:
    """An input that is the target: in every row, in its own units or in a scaler's."""
    y = case.train.y
    if case.fit.kind != "numbers" or y is None or case.fit.declined or len(y) < 30:
        return
    index = np.linspace(0, len(y) - 1, min(len(y), 5_000)).astype(np.int64)
    x = case.training[index].astype(np.float64)
    of_classes = case.fit.task == "classes"
    cells = classes_in(x, case.fit.labels(y[index])) if of_classes else targets_in(x, outputs(y[index]))
    if not cells:
        if not of_classes:
            yield from target_from_inputs(case)
        return
    step, feature, output = cells[0]
    back, columns = x.shape[1] - 1 - step, x.shape[2]
    where = f"column {feature + 1} of {columns}" if columns > 1 else "the inputs"
    at = "their last timestep" if not back else f"{back} timesteps before the last"
    yield Finding(
        "leak",
        "target_in_inputs",
        f"the target stands in {where}, at {at}, in all {len(index):,} training rows looked at",
        True,
        "Leave that column out, or move the target: what is forecast must lie after the last input row.",
        lines=case.fit.lines,
        evidence={
            "timestep": step + 1,
            "column": feature + 1,
            "output": output + 1,
            "rows": len(index),
            "examples": [
                {
                    "row": int(row),
                    "input": float(x[k, step, feature]),
                    "target": float(np.ravel(y[row])[output]),
                }
                for k, row in enumerate(index[:3])
            ],
        },
    )


def targets_in(x: np.ndarray, y: np.ndarray) -> list[tuple[int, int, int]]:
    """(timestep, feature, output) of the inputs that are a target, or a straight line of it, in every row.

    A series that is a straight line itself has its target in every input, and nothing leaks.
    """
    found = []
    flat = x.reshape(len(x), -1)
    spread = flat.std(axis=0)
    for output in range(min(y.shape[1], 8)):
        target = y[:, output]
        known = np.isfinite(target) & np.isfinite(flat).all(axis=1)
        if known.sum() < 30 or len(np.unique(target[known])) < 10:
            continue
        a, b = flat[known], target[known]
        off, moved = b - b.mean(), a - a.mean(axis=0)
        with np.errstate(all="ignore"):
            slope = moved.T @ off / (moved**2).sum(axis=0)
            correlation = slope * spread / b.std()
        for cell in np.flatnonzero(np.abs(correlation) > 1 - 1e-6):
            missed = np.abs(moved[:, cell] * slope[cell] - off).max()
            shifted = abs(slope[cell] - 1) < EXACT and abs(b.mean() - a[:, cell].mean()) > EXACT * b.std()
            if missed < EXACT * 10 * b.std() and not shifted:
                found.append((int(cell) // x.shape[2], int(cell) % x.shape[2], output))
    ramps = {feature for _, feature, _ in found}
    for feature in ramps:
        mine = [cell for cell in found if cell[1] == feature]
        if len(mine) > 1 and len({cell[0] for cell in mine}) > x.shape[1] / 2:
            found = [cell for cell in found if cell[1] != feature]
    return sorted(found, reverse=True)


def classes_in(x: np.ndarray, labels: np.ndarray) -> list[tuple[int, int, int]]:
    """Likewise of classes: a column that has one value for each class, in all rows."""
    found, classes = [], np.unique(labels)
    if len(classes) < 2 or min(np.bincount(labels)[classes]) < 10:
        return []
    last = x[:, -1]
    for feature in range(x.shape[2]):
        values = [np.unique(last[labels == each, feature]) for each in classes]
        if all(len(each) == 1 for each in values) and len(np.unique(np.concatenate(values))) == len(classes):
            found.append((x.shape[1] - 1, feature, 0))
    return found


def target_from_inputs(case: Case) -> Iterator[Finding]:
    """A weighted sum of the inputs that is the target, though the target's own past does not give it.

    So it is where a column was made of later rows: a centred moving average holds the target as a sum with
    values of its past. Real series have noise, so that nothing but the target itself gives it exactly.
    """
    x, target = case.training, outputs(case.train.y)[:, 0]
    cells, columns = x[0].size, x.shape[2]
    if (
        columns < 2
        or cells > 600
        or len(x) < 4 * cells
        or not np.isfinite(target).all()
        or not np.ptp(target)
    ):
        return
    own = own_column(x[:, -1], target)
    if own is None or unexplained(x, target) > FORMULA:
        return
    by_past = unexplained(x[:, :, [own]], target)
    if by_past < 10 * FORMULA:
        return
    holding = [
        column
        for column in range(columns)
        if column != own and unexplained(np.delete(x, column, axis=2), target) > 10 * FORMULA
    ]
    if not holding:
        return
    named = ", ".join(str(column + 1) for column in holding)
    yield Finding(
        "leak",
        "target_in_inputs",
        f"a weighted sum of the inputs is the target, to {100 * FORMULA:g} % of its spread, while its own "
        f"past misses {100 * by_past:.0f} %: it is held by column{'s' if len(holding) > 1 else ''} {named} "
        f"of {columns}",
        False,
        "Make each row of a column from that row and earlier ones alone: rolling means without center=True, "
        "no totals over what is still to come.",
        lines=case.fit.lines,
        evidence={
            "columns": [column + 1 for column in holding],
            "own_column": own + 1,
            "unexplained_by_own_past": by_past,
        },
    )


def own_column(last: np.ndarray, target: np.ndarray) -> int | None:
    """The column of the last timesteps (rows, features) in which a row's target is found some rows later."""
    last, target = last[:20_000], target[:20_000]
    for later in range(1, min(49, len(target) // 2)):
        for column in range(last.shape[1]):
            a, b = last[later:, column].astype(np.float64), target[:-later]
            if a.std() and abs(np.corrcoef(a, b)[0, 1]) > 1 - 1e-6:
                return column
    return None


def unexplained(x: np.ndarray, target: np.ndarray) -> float:
    """What a line through windows (rows, timesteps, features) misses of a target, in shares of its spread.

    It is learnt on every second row, and judged on the others.
    """
    rows = np.linspace(0, len(x) - 1, min(len(x), 4_000)).astype(np.int64)
    flat = x[rows].reshape(len(rows), -1).astype(np.float64)
    flat = np.column_stack([flat, np.ones(len(flat))])
    weights = np.linalg.lstsq(flat[::2], target[rows][::2], rcond=None)[0]
    missed = target[rows][1::2] - flat[1::2] @ weights
    return float(np.sqrt(np.mean(missed**2)) / target[rows].std())


def scaled_on_test(case: Case) -> Iterator[Finding]:
    """A scaler that learnt from the rows on which the result is told."""
    if case.fit.kind != "numbers" or case.fit.declined:
        return
    for part in case.parts:
        if case.level(part) != "leak":
            continue
        x, y = windows(part.rows.x), None if part.rows.y is None else outputs(part.rows.y)
        culprits, best = [], None
        for each in case.record.scalings:
            if each.kind != "fit" or each.count in (
                len(case.train),
                len(case.train) * case.training.shape[1],
            ):
                continue  # it learnt from the training windows themselves
            found = scaling.seen(each, x, y)
            if found.share > 0.5:
                culprits.append(each)
                best = best or found
        if best:
            yield Finding(
                "leak",
                "scaled_on_test",
                f"{' and '.join(dict.fromkeys(each.name for each in culprits))} learnt from "
                f"{culprits[0].count:,} rows, those of {best.windows:,} of {best.count:,} {part.name} "
                "windows "
                "among them",
                True,
                "Fit scalers to the training rows alone, and transform the rest by them.",
                lines=sorted({line for each in culprits for line in each.lines[:1]}),
                evidence={
                    "part": part.name,
                    "scaler": culprits[0].name,
                    "rows": culprits[0].count,
                    "windows": best.windows,
                    "of": best.count,
                },
            )
        elif found := scaling.revealed(case.training, [x]):
            alone, together = (f"{a:.3g} and {b:.3g}" for a, b in (found.training, found.all_rows))
            what = "lowest and highest value" if found.kind == "range" else "mean and standard deviation"
            yield Finding(
                "leak",
                "scaled_on_test",
                f"column {found.feature + 1} of the windows has the {what} {together} over training and "
                f"{part.name} together, and {alone} over training: it was scaled over all rows",
                False,
                "Take what scaling needs from the training rows alone.",
                lines=case.trace.calls(*(("min", "max") if found.kind == "range" else ("mean", "std")))[:4],
                evidence={
                    "part": part.name,
                    "column": found.feature + 1,
                    "training": found.training,
                    "all_rows": found.all_rows,
                },
            )


def selected_on_reported(case: Case) -> Iterator[Finding]:
    """The epoch was chosen on the rows on which the result is told."""
    fit, monitors = case.fit, {}
    for call in fit.calls:
        monitors.update({name: what for name, what in call.monitors.items() if what.startswith("val_")})
    if fit.reported.name != "validation":
        return
    if fit.tests and fit.evaluated_val is None:
        return  # other rows are predicted, and scored by hand: the result may be told of those
    history = [line for line, _ in case.trace.best_of_history()]
    if monitors:
        told = " and ".join(f"{name} of {what}" for name, what in monitors.items())
        evaluated = fit.evaluated_val is not None
        yield Finding(
            "leak" if evaluated else "note",
            "selected_on_reported",
            f"the epoch was chosen by {told} on the {fit.reported.rows.count:,} rows on which the result is "
            "told",
            True,
            "Choose on validation, and tell the result of a test part that nothing was chosen on.",
            lines=list(dict.fromkeys([*fit.lines, *(fit.reported.call.lines[:1] if evaluated else ())])),
            evidence={"rows": fit.reported.rows.count, "monitors": monitors, "evaluated": evaluated},
        )
    elif history:
        yield Finding(
            "warning",
            "selected_on_reported",
            "the best epoch of validation is told as the result, and nothing was held back from choosing it",
            False,
            "Choose the epoch on validation, and tell the result of a test part.",
            lines=history,
            evidence={"rows": fit.reported.rows.count},
        )


FINDERS = (
    window_overlap,
    shuffled_split,
    duplicates,
    near_duplicates,
    target_in_inputs,
    scaled_on_test,
    selected_on_reported,
)
