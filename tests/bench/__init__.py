"""The benchmark: every tool in turn in one run, ratios to aria2c. ``python -m tests.bench --help``."""
