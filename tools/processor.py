"""What the tests cost, in processor time: a plugin of pytest.

    python -m pytest -p tools.processor

At the end it prints the ten slowest tests and the sum of everything, in user and system time of
pytest's own processes and of all that they start. On a busy machine the time on the wall grows by
any factor; this does not. A notebook counts as one test: its kernel is one process. With
`--junitxml=FILE`, FILE holds the figure of every test, as the property `processor`.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

SLOWEST = 10
_start = pytest.StashKey[float]()
_seconds: Counter[str] = Counter()  # test or notebook: its processor time


def used() -> float:
    """Seconds of processor that this process has taken, with all that it started and that ended."""
    return sum(os.times()[:4])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item):
    item.stash[_start] = used()
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item):
    try:
        return (yield)
    finally:  # what it adds travels with the test's last report, from xdist's workers too
        item.user_properties.append(("processor", round(used() - item.stash[_start], 3)))


def pytest_runtest_logreport(report):
    path, _, _ = report.nodeid.partition("::")
    name = path if path.endswith(".ipynb") else report.nodeid
    if report.when == "teardown":
        _seconds[name] += dict(report.user_properties)["processor"]


def pytest_terminal_summary(terminalreporter):
    terminalreporter.section(f"processor time: {used() / 60:.1f} minutes; the {SLOWEST} slowest")
    for name, seconds in _seconds.most_common(SLOWEST):
        terminalreporter.write_line(f"{seconds:8.1f} s  {name}")
