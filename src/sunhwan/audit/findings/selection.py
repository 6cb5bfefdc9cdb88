"""How the result was chosen: on which rows, from how many models and seeds, and with or without a test."""

from __future__ import annotations

from collections.abc import Iterator

from sunhwan.audit.findings.case import Case, Finding


def selected_on_reported(case: Case) -> Iterator[Finding]:
    """An epoch or a checkpoint that was chosen on the rows on which the result is reported."""
    fit = case.fit
    monitors: dict[str, str] = {}
    for call in fit.calls:
        monitors.update({name: what for name, what in call.monitors.items() if what.startswith("val_")})
    if fit.reported.name != "validation":
        return
    evaluated = fit.evaluated_validation is not None
    if fit.tests and not evaluated:
        return  # other rows are predicted and scored by hand: the result may be that of those
    rows = fit.reported.rows.count
    history = [line for line, _ in case.trace.best_of_history()]
    if monitors:
        chosen_by = " and ".join(f"{name} ({what})" for name, what in monitors.items())
        yield case.finding(
            "leak" if evaluated else "note",
            "selected_on_reported",
            f"the epoch was chosen by {chosen_by} on the same {rows:,} rows that the result is reported on",
            "Choose on validation, and report the result on a test part that nothing was chosen on.",
            lines=list(dict.fromkeys([*fit.lines, *(fit.reported.call.lines[:1] if evaluated else ())])),
            rows=rows,
            monitors=monitors,
            evaluated=evaluated,
        )
    elif history:
        yield case.finding(
            "warning",
            "selected_on_reported",
            "the best epoch on validation is reported as the result, and no rows were held out from that "
            "choice",
            "Choose the epoch on validation, and report the result on a test part.",
            certain=False,
            lines=history,
            rows=rows,
        )


def no_test(case: Case) -> Iterator[Finding]:
    """No rows are scored that neither training nor selection saw."""
    fit = case.fit
    if fit.tests:
        return
    reasons = f" ({'; '.join(dict.fromkeys(why for _, why in fit.no_tests))})" if fit.no_tests else ""
    lines = list(dict.fromkeys([*fit.lines, *(line for call, _ in fit.no_tests for line in call.lines[:1])]))
    if not fit.validation:
        level, fix = "warning", "Hold out rows (the last ones of a series), and evaluate on them once."
        rows = f"the {fit.train.rows.count:,} rows that it was trained on"
        text = f"the model is scored, if at all, on {rows}{reasons}"
    elif any(selected_on_reported(case)):
        return
    else:
        level, fix = "note", "Hold out a third part, and evaluate on it once."
        text = (
            f"there is no test part{reasons}: the result is that on validation, and everything tuned on it "
            "makes it look better"
        )
    yield case.finding(
        level,
        "no_test",
        text,
        fix,
        lines=lines,
        train=fit.train.rows.count,
        validation=fit.validation.rows.count if fit.validation else 0,
        test=0,
    )


def targets_unknown(case: Case) -> Iterator[Finding]:
    """Rows that are predicted and scored by hand, with targets that could not be found."""
    fit = case.fit
    unknown = [part for part in fit.tests if part.rows.y is None]
    if not unknown or fit.reported.name == "test" or fit.declined:
        return
    rows = " and ".join(f"{part.rows.count:,}" for part in unknown)
    yield case.finding(
        "note",
        "targets_unknown",
        f"{rows} other rows are predicted, but their targets are unknown, since no variable has a matching "
        f"name (as y_test for x_test): the comparison is on {fit.reported.words} instead",
        "Call evaluate on them, or give inputs and targets matching names.",
        lines=list(dict.fromkeys(line for part in unknown for line in part.call.lines[:1])),
        rows=[part.rows.count for part in unknown],
        compared=fit.reported.name,
    )


def one_seed(case: Case) -> Iterator[Finding]:
    """A model that was trained once."""
    alike = [
        fit
        for fit in case.fits
        if fit.architecture == case.fit.architecture and fit.train.same_inputs(case.fit.train)
    ]
    if len(alike) > 1 or case.fit.declined:
        return
    yield case.finding(
        "note",
        "one_seed",
        "the model was trained with one seed: another gives other weights and another result",
        "Train with at least three seeds, and report the spread.",
        fits=1,
    )


def many_models(case: Case) -> Iterator[Finding]:
    """Several models scored on the same rows: the best of them was chosen on these."""
    reported = case.fit.reported
    if case.fit is not case.fits[-1] or reported is case.fit.train:
        return
    fits = [fit for fit in case.fits if fit.reported.same_inputs(reported)]
    models = len({fit.architecture for fit in fits})
    if models < 3:
        return
    yield case.finding(
        "note",
        "many_models",
        f"{models} different models are scored on the same {reported.rows.count:,} {reported.words} rows: "
        "the best of them looks better than it is",
        "Choose among them on validation, and report the chosen one on test.",
        lines=sorted({line for fit in fits for line in fit.lines}),
        models=models,
        rows=reported.rows.count,
    )
