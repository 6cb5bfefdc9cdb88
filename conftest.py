"""The doctests of an adapter are collected where its framework is installed."""

from importlib.util import find_spec

collect_ignore = [
    f"src/sunhwan/recurrence/ops/{framework}.py"
    for framework in ("torch", "tensorflow")
    if find_spec(framework) is None
]
