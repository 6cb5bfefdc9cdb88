"""Scripts that tests run in processes of their own have no doctests, and do their work when imported."""

collect_ignore = ["devices.py", "later_handlers.py"]
