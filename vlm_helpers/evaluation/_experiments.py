"""The stored experiments: what the notebooks claim, measured with several seeds."""

from __future__ import annotations

from typing import Any

from vlm_helpers._data import data_file
from vlm_helpers._words import did_you_mean


def experiment(name: str) -> Any:
    """The rows of a stored experiment, as a pandas DataFrame.

    `recipes/experiments/NAME.py` says what was run, and `data/experiments/NAME.md` on what machine
    and when.

    Raises:
        FileNotFoundError: there is no such experiment; the message names the nearest.
    """
    import pandas as pd

    files = {file.stem: file for file in sorted(data_file("experiments").glob("*.csv"))}
    if name not in files:
        raise FileNotFoundError(f"There is no experiment {name!r}; {did_you_mean(name, files)}")
    return pd.read_csv(files[name])
