"""The arena as a widget: a picture, a question, two answers, four buttons, and the ratings."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ipywidgets

from vlm_helpers import figures
from vlm_helpers._words import count, first_line
from vlm_helpers.evaluation import VOTES as KINDS
from vlm_helpers.evaluation import Arena, Pair
from vlm_helpers.pictures import to_rgb

_BUTTONS = {"A": "A is better", "B": "B is better", "tie": "tie", "both bad": "both bad"}
_SIDE = 320  # pixels of a picture, at most


class ArenaView(ipywidgets.VBox):
    """What `arena` gives: put it at the end of a cell. `arena` is the `Arena` behind it.

    Attributes:
        pair: what is to be voted on; None once it is, and where no pair could be had.
        buttons: the four, by their vote; `further` asks for the next pair.
    """

    def __init__(self, arena: Arena):
        self.arena: Arena = arena
        self.pair: Pair | None = None
        self.question, self.status = ipywidgets.HTML(), ipywidgets.HTML()
        self.pictures = ipywidgets.HBox()
        self.answers = {side: ipywidgets.HTML() for side in "AB"}
        self.buttons = {vote: ipywidgets.Button(description=_BUTTONS[vote]) for vote in KINDS}
        self.further = ipywidgets.Button(description="next pair", button_style="primary")
        self.chart = ipywidgets.Image(format="png", layout={"display": "none"})
        for vote, button in self.buttons.items():
            button.on_click(lambda _, vote=vote: self.cast(vote))
        self.further.on_click(lambda _: self.show_next())
        super().__init__(
            [
                self.question,
                self.pictures,
                ipywidgets.HBox(list(self.answers.values())),
                ipywidgets.HBox([*self.buttons.values(), self.further]),
                self.status,
                self.chart,
            ]
        )
        if arena.votes:
            self._draw()
        self.show_next()

    def _repr_mimebundle_(self, **options: Any) -> dict:
        """Where no widget can be, as on GitHub, the pair that is to be voted on: as a picture."""
        bundle = super()._repr_mimebundle_(**options)
        if self.pair:
            a, b = self.pair.answer_a, self.pair.answer_b
            words = f"{self.pair.question}\nA: {a}\nB: {b}"
            figures.show(self.pair.pictures, [words, *[""] * (len(self.pair.pictures) - 1)])
            picture = base64.b64encode(_png_of_figure()).decode()
            bundle |= {"text/plain": words, "image/png": picture}
        return bundle

    def show_next(self) -> None:
        """Asks two contestants, and shows what they answer; or says in a sentence what is wrong."""
        self._allow(voting=False, further=False)
        self.status.value = "Asking two contestants …"
        try:
            self.pair = self.arena.next()
        except Exception as error:  # a contestant is anybody's function
            self.pair = None
            self._show("", [], A="", B="")
            self._say(f"No pair could be had: {first_line(error)} Go on with the next.")
            self._allow(voting=False, further=True)
            return
        pair = self.pair
        self._show(
            pair.question,
            pair.pictures,
            A=_answer("A", pair.answer_a),
            B=_answer("B", pair.answer_b),
        )
        self._say(f"{count(len(self.arena.votes), 'vote')} so far. Which answer is better?")
        self._allow(voting=True, further=False)

    def cast(self, vote: str) -> None:
        """Keeps the vote, says who was who, and draws the ratings anew."""
        if self.pair is None:
            return
        try:
            self.arena.vote(self.pair, vote)
        except OSError as error:
            self._say(f"Your vote could not be kept: {first_line(error)} You can try it again.")
            return
        pair = self.pair
        self.answers["A"].value = _answer(f"A: {pair.a}", pair.answer_a)
        self.answers["B"].value = _answer(f"B: {pair.b}", pair.answer_b)
        where = "" if self.arena.path is None else f", kept in {self.arena.path}"
        self._say(f"{count(len(self.arena.votes), 'vote')} so far{where}.")
        self.pair = None
        self._allow(voting=False, further=True)
        self._draw()

    def _allow(self, *, voting: bool, further: bool) -> None:
        for button in self.buttons.values():
            button.disabled = not voting
        self.further.disabled = not further

    def _say(self, sentence: str) -> None:
        self.status.value = html.escape(sentence)

    def _show(self, question: str, pictures: list[Any], **answers: str) -> None:
        self.question.value = f"<b>{html.escape(question)}</b>"
        self.pictures.children = [_image(picture) for picture in pictures]
        for side, text in answers.items():
            self.answers[side].value = text

    def _draw(self) -> None:
        figures.ranking(self.arena.ratings().table, label="rating, with its 95 % interval")
        self.chart.value, self.chart.layout.display = _png_of_figure(), None


def _answer(who: str, said: str) -> str:
    said = html.escape(said) or "<i>(nothing)</i>"
    return (
        f'<div style="width: 22em; margin: 0.5em; line-height: 1.4"><b>{html.escape(who)}</b>'
        f'<div style="white-space: pre-wrap">{said}</div></div>'
    )


def _png_of_figure() -> bytes:
    """The current figure as a PNG; it is closed, so that Jupyter does not show it besides."""
    from matplotlib import pyplot as plt

    png = io.BytesIO()
    plt.savefig(png, format="png")
    plt.close()
    return png.getvalue()


def _image(picture: Any) -> ipywidgets.Image:
    picture = to_rgb(picture).copy()
    picture.thumbnail((_SIDE, _SIDE))
    png = io.BytesIO()
    picture.save(png, "png")
    return ipywidgets.Image(value=png.getvalue(), format="png", layout={"max_width": f"{_SIDE}px"})


def arena(
    contestants: Mapping[str, Any],
    items: Iterable[Mapping[str, Any]],
    *,
    votes: str | Path | None = "runs/arena.jsonl",
    seed: int = 0,
) -> ArenaView:
    """Two answers side by side, a vote, and only then the names: to be shown at a cell's end.

    Below the buttons stand the ratings of all votes so far, with one imagined vote for each
    contestant, so that those are rated too who have won none.

    Args:
        contestants, items, seed: as for `vh.evaluation.Arena`.
        votes: where the votes are kept, in the folder that the notebook runs in unless another is
            named, and gone on with when the cell runs again; None keeps them in memory only.
    """
    return ArenaView(Arena(contestants, items, votes=votes, seed=seed))
