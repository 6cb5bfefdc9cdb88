"""The page of a run of `classify`: the answer, then what it rests on."""

from __future__ import annotations

import numpy as np

from sunhwan.files import read_json
from sunhwan.report.page.charts import heat, line, view
from sunhwan.report.page.page import Chart, Facts, Page, Section, Table, Text
from sunhwan.report.pages.evidence import Evidence, about, curves, reproduce
from sunhwan.report.words import elide

MOST_CLASSES = 30
"""A confusion matrix of more is no picture; its largest confusions are listed in any case."""

CONFUSED = 10


def page(evidence: Evidence) -> Page:
    """The page of a run."""
    metrics = evidence.metrics
    total = sum(one["support"] for one in metrics["per_class"])
    sections = [
        Section("Scores", [scores(metrics), weighed(metrics), by_class(metrics)]),
        Section("Confusions", confusion(metrics)),
        Section("Probabilities", [reliability(metrics)]),
        Section("Mistakes", [mistakes(evidence)]),
        Section("Training", [curves(evidence, "cross-entropy")]),
        Section("Data", [Facts(evidence.run["notes"])]),
        Section("Reproduce", reproduce(evidence)),
    ]
    facts = [*about(evidence), f"{len(metrics['classes'])} classes, {total:,} examples of the test part"]
    title = f"Classes of {' and '.join(evidence.run['data'])}"
    return Page(title, metrics["verdict"], facts, sections)


def called(metrics: dict, name: str) -> str:
    """How people call what is compared, as the run says."""
    return metrics.get("names", {}).get(name, name.replace("_", " "))


def scores(metrics: dict) -> Table:
    """Accuracy, macro-F1 and calibration of the model, the network alone and the baselines."""
    rows = [
        [
            called(metrics, name),
            *(f"{one[key]:.4f}" for key in ("accuracy", "macro_f1", "ece", "ece_before")),
        ]
        for name, one in metrics["test"].items()
    ]
    head = ["", "accuracy", "macro-F1", "calibration error", "before calibration"]
    return Table("On the test part", head, rows, strong=0)


def weighed(metrics: dict) -> Text:
    """What the model is made of, and whether the best baseline differs by more than chance."""
    rival, compared = called(metrics, metrics["best_baseline"]), metrics["mcnemar"]
    parts = ", ".join(f"{called(metrics, name)} {share:.2f}" for name, share in metrics["weights"].items())
    return Text(
        f"Validation weighs the logits of {parts}. Against {rival}, the best baseline of the test part, "
        f"McNemar's test gives p = {compared['p_value']:.2g}."
    )


def by_class(metrics: dict) -> Table:
    """Precision, recall and F1 of each class."""
    rows = [
        [
            elide(one["class"], 60),
            *(f"{one[key]:.3f}" for key in ("precision", "recall", "f1")),
            f"{one['support']:,}",
        ]
        for one in metrics["per_class"]
    ]
    return Table("The model, class by class", ["class", "precision", "recall", "F1", "examples"], rows)


def confusion(metrics: dict) -> list[Chart | Table | Text]:
    """Which class was taken for which."""
    counts, classes = np.array(metrics["confusion"]), metrics["classes"]
    wrong = counts * (1 - np.eye(len(classes), dtype=int))
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSED]
    rows = [
        [elide(classes[truth], 60), elide(classes[told], 60), f"{wrong[truth, told]:,}"]
        for truth, told in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[truth, told]
    ]
    if not rows:
        return [Text("No example of the test part was told wrong.")]
    listed = Table("The commonest confusions", ["class", "told as", "examples"], rows, texts=(0, 1))
    if len(classes) > MOST_CLASSES:
        return [listed]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [elide(name, 24) for name in classes]
    # Equal names after elision would be one row.
    names = names if len(set(names)) == len(names) else [f"{i + 1}: {name}" for i, name in enumerate(names)]
    return [
        Chart(
            "What was told of each class",
            f"{counts.trace():,} of {counts.sum():,} examples were told right. The commonest confusion: "
            f"{rows[0][0]} told as {rows[0][1]}, {rows[0][2]} times.",
            {
                "all": view(
                    [
                        heat(
                            names,
                            names,
                            share,
                            [[f"{count:,}" for count in row] for row in counts] if len(names) <= 12 else None,
                            customdata=counts.tolist(),
                            hovertemplate="%{y} told as %{x}: %{customdata:,} (%{z:.1%})",
                        )
                    ],
                    "told",
                    "class",
                    xaxis={"type": "category"},
                    yaxis={"type": "category", "autorange": "reversed"},
                    hovermode="closest",
                    height=160 + 36 * len(names),
                )
            },
        ),
        listed,
    ]


def reliability(metrics: dict) -> Chart | Text:
    """How often the model was right where it was so sure, before and after calibration."""
    tables = metrics.get("reliability")
    if not tables:
        return Text("The run was made before reliability was kept; make it anew to see it.")
    after, model = tables["after"], metrics["test"]["model"]
    found = [
        line("as sure as right", "truth", np.array([0.0, 1.0]), np.array([0.0, 1.0]), "dot"),
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
        "How often the model was right, by how sure it was",
        f"Confidence and accuracy differ by {model['ece']:.1%} on average after calibration, by "
        f"{model['ece_before']:.1%} before.",
        {"all": view(found, "confidence", "accuracy", xaxis=percent, yaxis=percent, hovermode="closest")},
        Table("After calibration", ["confidence", "right", "examples"], rows),
    )


def mistakes(evidence: Evidence) -> Table | Text:
    """The examples that were told wrong with the most confidence."""
    path = evidence.folder / "wrong.json"
    wrong = read_json(path)["examples"] if path.is_file() else []
    if not wrong:
        return Text("No mistakes are kept with this run.")
    rows = [
        [str(number + 1), one["label"], one["predicted"], f"{one['probability']:.1%}", one["example"]]
        for number, one in enumerate(wrong)
    ]
    head = ["", "class", "told as", "with", "example"]
    return Table("Told wrong with the most confidence", head, rows, texts=(0, 1, 2, 4))
