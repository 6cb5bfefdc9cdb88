"""All finders: functions that read a `Case` and yield the findings of one kind, or nothing."""

from __future__ import annotations

from sunhwan.audit.findings.copies import duplicates
from sunhwan.audit.findings.layers import padding_without_mask, stateful_shuffled
from sunhwan.audit.findings.metrics import (
    accuracy_of_numbers,
    class_imbalance,
    constant_predictions,
    worse_than_baseline,
)
from sunhwan.audit.findings.near import near_duplicates
from sunhwan.audit.findings.overlap import shuffled_split, window_overlap
from sunhwan.audit.findings.scaling import inverse_scaling, scaled_on_test
from sunhwan.audit.findings.selection import (
    many_models,
    no_test,
    one_seed,
    selected_on_reported,
    targets_unknown,
)
from sunhwan.audit.findings.target import target_in_inputs
from sunhwan.audit.findings.training import broken_loss, exploding_gradients, vanishing_gradients

LEAKS = (
    window_overlap,
    shuffled_split,
    duplicates,
    near_duplicates,
    target_in_inputs,
    scaled_on_test,
    selected_on_reported,
)
"""Looked for in all fits before the first baseline is fitted, so they must not read the comparison."""

FINDERS = (
    *LEAKS,
    worse_than_baseline,
    constant_predictions,
    accuracy_of_numbers,
    class_imbalance,
    padding_without_mask,
    stateful_shuffled,
    broken_loss,
    exploding_gradients,
    vanishing_gradients,
    inverse_scaling,
    no_test,
    targets_unknown,
    many_models,
    one_seed,
)
