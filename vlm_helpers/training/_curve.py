"""`LiveCurve`: losses and scores, drawn in Jupyter while they grow."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from vlm_helpers import figures
from vlm_helpers._words import number, whole_number

# Drawing may take this share of the time. A picture costs a tenth of a second and more, which
# would slow a loop of short steps to a crawl if every step drew one.
SHARE = 0.05


class LiveCurve:
    """Learning curves that are redrawn in one place, with a bar of the steps that are done.

        with LiveCurve(200, panels=("loss", "accuracy"), levels={"accuracy": {"blind": 0.2}}) as c:
            for step in range(1, 201):
                c.add(step, loss=1 / step)

    In Jupyter the picture is drawn anew at most every `every` seconds, less often where drawing is
    slow, and once more at the end, without the bar: that last picture is what a notebook stores.
    Nothing goes to stdout or stderr. Outside Jupyter nothing is shown at all, and the values are
    collected all the same.

    Args:
        steps: how many steps there will be.
        panels: the axes, side by side; each label is the keyword under which `add` takes values.
        levels: for a panel, named dashed lines to compare with, such as the blind baseline.
        every: seconds between two pictures, at least.
    Attributes:
        history: {panel: {series: [(step, value), …]}}, the form that `vh.figures.curves` takes.
    Raises:
        ValueError: no steps, no panels, a panel twice, or levels of a panel that is not there.
    """

    def __init__(
        self,
        steps: int,
        panels: Sequence[str] = ("loss",),
        *,
        levels: Mapping[str, Mapping[str, float]] | None = None,
        every: float = 1.0,
    ):
        panels = (panels,) if isinstance(panels, str) else tuple(panels)
        self.steps = whole_number("steps", steps, 1)
        if not panels or len(set(panels)) < len(panels):
            raise ValueError(f"panels must name each panel once, and at least one: {panels!r}.")
        if unknown := [name for name in levels or {} if name not in panels]:
            raise ValueError(f"levels has {unknown[0]!r}; the panels are {', '.join(panels)}.")
        self.every = every
        self.history: dict[str, dict[str, list[tuple[int, float]]]] = {p: {} for p in panels}
        self._levels = {name: dict(lines) for name, lines in (levels or {}).items()}
        self._step = 0
        self._next = 0.0  # when a picture may be drawn again, in seconds of `time.monotonic`
        self._handle: Any = None

    def __enter__(self) -> LiveCurve:
        if _in_jupyter():
            from IPython.display import DisplayHandle

            self._handle = DisplayHandle()
            self._handle.display(self._bundle(bar=True), raw=True)
        return self

    def __exit__(self, *error: Any) -> None:
        # After an error or a stop by hand too: the curve up to there is what one wants to see.
        if self._handle is not None:
            self._handle.update(self._bundle(bar=False), raw=True)
            self._handle = None

    def add(self, step: int, **values: float | Mapping[str, float]) -> None:
        """Add points at `step`, and draw if it is time.

        `values`: for a panel a number, whose series is named as the panel, or a number for each
        of several series, {"color": 0.4, "shape": 0.7}. Zero-dimensional tensors are numbers.

        Raises:
            ValueError: a step that is not from 0 to `steps` or goes back, or an unknown panel.
            TypeError: a value that is not a number.
        """
        if not self._step <= step <= self.steps:
            raise ValueError(
                f"Step {step!r} cannot follow step {self._step}: steps go up to {self.steps}."
            )
        points = [
            (
                panel,
                name,
                number(f"{panel}, {name}" if name != panel else panel, value, finite=False),
            )
            for panel, given in values.items()
            for name, value in (given if isinstance(given, Mapping) else {panel: given}).items()
        ]
        for panel in values:
            if panel not in self.history:
                raise ValueError(
                    f"There is no panel {panel!r}; the panels are {', '.join(self.history)}."
                )
        for panel, name, value in points:
            self.history[panel].setdefault(name, []).append((step, value))
        self._step = step
        if self._handle is not None and time.monotonic() >= self._next:
            self._handle.update(self._bundle(bar=True), raw=True)

    def png(self) -> bytes:
        """The curves so far, as the bytes of a PNG picture."""
        return self._draw(bar=False)

    def _bundle(self, bar: bool) -> dict[str, Any]:
        """What Jupyter shows: the picture, and a line for those who cannot see it."""
        import base64

        start = time.monotonic()
        picture = base64.b64encode(self._draw(bar)).decode()
        end = time.monotonic()
        self._next = end + max(self.every, (end - start) / SHARE)
        text = f"Learning curves, {self._step} of {self.steps} steps: {', '.join(self.history)}"
        return {"image/png": picture, "text/plain": text}

    def _draw(self, bar: bool) -> bytes:
        from matplotlib import pyplot as plt

        before = plt.get_fignums()
        current = plt.gcf() if before else None
        figures.curves(
            self.history, levels=self._levels, steps=self.steps, done=self._step if bar else None
        )
        figure, file = plt.gcf(), io.BytesIO()
        try:
            figure.savefig(file, format="png")
        finally:
            # Closed, or Jupyter would show it once more below the cell; and whatever figure the
            # reader was drawing is the current one again.
            plt.close(figure)
            if current is not None:
                plt.figure(current.number)
        return file.getvalue()


def _in_jupyter() -> bool:
    if "IPython" not in sys.modules:  # nobody runs in a kernel without it
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None
