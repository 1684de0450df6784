"""The experiments behind what the notebooks claim: `python -m recipes.experiments NAME`.

An experiment is a module of this package. Its docstring says what is asked and how it is kept fair;
`settings()` gives the settings to run, one dict each, its seed among them; `run(**setting)` gives
what came out: a dict, or a list of dicts for several rows. The result is
`data/experiments/NAME.csv`, a line for each row with its setting, and the card `NAME.md` beside it.

A run that is stopped goes on where it was: each setting's outcome is kept in
`runs/experiments/NAME.jsonl` as soon as it is there. Remove that file to begin anew.

A setting whose tool is not on this machine raises `MissingTool`: it is skipped with that sentence,
and table and card are written once none is missing.
"""


class MissingTool(RuntimeError):
    """A program or package that an experiment needs is not here; the message names it."""
