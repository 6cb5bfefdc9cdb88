"""The page of a run of `classify`: the verdict, then the evidence for it."""

from __future__ import annotations

import numpy as np

from sunhwan.report.page.charts import heat, line, view
from sunhwan.report.page.page import Chart, Facts, Page, Section, Table, Text
from sunhwan.report.pages.parts import about, curves, histories, reproduce
from sunhwan.report.words import elide, label
from sunhwan.rundir import Run

MOST_CLASSES = 30
"""A confusion matrix of more classes is not drawn; the most frequent confusions are listed in any case."""

CONFUSED = 10


def page(run: Run) -> Page:
    """The page of a run."""
    metrics = run.metrics
    total = sum(row["support"] for row in metrics["per_class"])
    sections = [
        Section("Scores", [scores(metrics), weighed(metrics), by_class(metrics)]),
        Section("Confusions", confusion(metrics)),
        Section("Probabilities", [reliability(metrics)]),
        Section("Mistakes", [mistakes(run)]),
        Section("Training", [curves(histories(run), "cross-entropy")]),
        Section("Data", [Facts(run.record["notes"])]),
        Section("Reproduce", reproduce(run)),
    ]
    facts = [*about(run), f"{len(metrics['classes'])} classes, {total:,} test examples"]
    title = f"Classification of {' and '.join(run.record['data'])}"
    return Page(title, metrics["verdict"], facts, sections)


def scores(metrics: dict) -> Table:
    """Accuracy, macro-F1 and calibration of the model, the network alone and the baselines."""
    rows = [
        [
            label(metrics, name),
            *(f"{scores[key]:.4f}" for key in ("accuracy", "macro_f1", "ece", "ece_before")),
        ]
        for name, scores in metrics["test"].items()
    ]
    head = ["", "accuracy", "macro-F1", "calibration error", "before calibration"]
    return Table("Test part", head, rows, strong=0)


def weighed(metrics: dict) -> Text:
    """The weights of the model's members, and McNemar's test against the best baseline."""
    baseline, compared = label(metrics, metrics["best_baseline"]), metrics["mcnemar"]
    parts = ", ".join(f"{label(metrics, name)} {share:.2f}" for name, share in metrics["weights"].items())
    return Text(
        f"The model is a weighted sum of logits; the weights, chosen on validation: {parts}. McNemar's test "
        f"against the best baseline of the test part, {baseline}: p = {compared['p_value']:.2g}."
    )


def by_class(metrics: dict) -> Table:
    """Precision, recall and F1 of each class."""
    rows = [
        [
            elide(row["class"], 60),
            *(f"{row[key]:.3f}" for key in ("precision", "recall", "f1")),
            f"{row['support']:,}",
        ]
        for row in metrics["per_class"]
    ]
    return Table("Scores of the model by class", ["class", "precision", "recall", "F1", "examples"], rows)


def confusion(metrics: dict) -> list[Chart | Table | Text]:
    """The confusion matrix, and the most frequent confusions."""
    counts, classes = np.array(metrics["confusion"]), metrics["classes"]
    wrong = counts * (1 - np.eye(len(classes), dtype=int))
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSED]
    rows = [
        [elide(classes[label], 60), elide(classes[predicted], 60), f"{wrong[label, predicted]:,}"]
        for label, predicted in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[label, predicted]
    ]
    if not rows:
        return [Text("Every test example was classified correctly.")]
    listed = Table("Most frequent confusions", ["label", "predicted", "examples"], rows, texts=(0, 1))
    if len(classes) > MOST_CLASSES:
        return [listed]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [elide(name, 24) for name in classes]
    # Names that are equal after elision would be one row.
    names = names if len(set(names)) == len(names) else [f"{i + 1}: {name}" for i, name in enumerate(names)]
    return [
        Chart(
            "Confusion matrix",
            f"{counts.trace():,} of {counts.sum():,} examples were classified correctly. The most frequent "
            f"confusion: {rows[0][0]} predicted as {rows[0][1]}, {rows[0][2]} times.",
            {
                "all": view(
                    [
                        heat(
                            names,
                            names,
                            share,
                            [[f"{count:,}" for count in row] for row in counts] if len(names) <= 12 else None,
                            customdata=counts.tolist(),
                            hovertemplate="%{y} predicted as %{x}: %{customdata:,} (%{z:.1%})",
                        )
                    ],
                    "predicted",
                    "label",
                    xaxis={"type": "category"},
                    yaxis={"type": "category", "autorange": "reversed"},
                    hovermode="closest",
                    height=160 + 36 * len(names),
                )
            },
        ),
        listed,
    ]


def reliability(metrics: dict) -> Chart:
    """Accuracy by confidence, before and after calibration."""
    tables = metrics["reliability"]
    after, model = tables["after"], metrics["test"]["model"]
    lines = [
        line("perfectly calibrated", "truth", np.array([0.0, 1.0]), np.array([0.0, 1.0]), "dot"),
        *(
            line(
                f"{when} calibration",
                color,
                np.array(table["confidence"]),
                np.array(table["accuracy"]),
                dash,
                mode="lines+markers",
            )
            for (when, table), color, dash in zip(
                tables.items(), ("baseline", "model"), ("dash", "solid"), strict=True
            )
        ),
    ]
    percent = {"tickformat": ".0%"}
    rows = [
        [f"{confidence:.1%}", f"{accuracy:.1%}", f"{number:,}"]
        for confidence, accuracy, number in zip(*(after[k] for k in after), strict=True)
    ]
    return Chart(
        "Accuracy by confidence",
        f"Confidence and accuracy differ by {model['ece']:.1%} on average after calibration and by "
        f"{model['ece_before']:.1%} before it.",
        {"all": view(lines, "confidence", "accuracy", xaxis=percent, yaxis=percent, hovermode="closest")},
        Table("After calibration", ["confidence", "accuracy", "examples"], rows),
    )


def mistakes(run: Run) -> Table | Text:
    """The most confident mistakes."""
    examples = run.read("mistakes")["examples"] if run.has("mistakes") else []
    if not examples:
        return Text("The run has no list of mistakes.")
    rows = [
        [str(number), row["label"], row["predicted"], f"{row['probability']:.1%}", row["example"]]
        for number, row in enumerate(examples, start=1)
    ]
    head = ["", "label", "predicted", "probability", "example"]
    return Table("Most confident mistakes", head, rows, texts=(0, 1, 2, 4))
