"""The stored experiments: what the notebooks claim, measured with several seeds."""

from __future__ import annotations

from typing import Any

from vlm_helpers._data import data_file


def experiment(name: str) -> Any:
    """The rows of a stored experiment, as a pandas DataFrame.

    `recipes/experiments/NAME.py` says what was run, and `data/experiments/NAME.md` on what machine
    and when.

    Raises:
        FileNotFoundError: there is no such experiment.
    """
    import pandas as pd

    return pd.read_csv(data_file(f"experiments/{name}.csv"))
