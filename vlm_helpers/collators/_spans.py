"""Where the answers stand in a rendered prompt: as characters, and as tokens after the processor.

No template needs to mark them. What follows from the template alone: the prompt up to an answer,
rendered with a generation prompt, is how the whole begins; the answer is what comes then, up to the
token that ends it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from vlm_helpers.conversations import place, texts_in

Messages = list[dict[str, Any]]
Span = tuple[int, int]
Piece = tuple[int, int, int]

_EDGE = 4  # tokens beside a picture that may join what the processor writes there
_CHANGED = (
    "the processor changes the text of the prompt, so the answers cannot be found among its "
    "tokens: check its chat template and its tokenizer."
)


def answers(
    messages: Messages,
    whole: str,
    render: Callable[..., str],
    ends: re.Pattern,
    *,
    only_last: bool = False,
) -> list[Span]:
    """The characters (start, end) of each answer in `whole`, with the token that ends it.

    `whole`: `messages`, rendered. `render(messages, add_generation_prompt=False)` renders. `ends`
    matches any token that may end an answer. Where the template writes no such token, all that it
    writes after the answer belongs to it: that is what tells the model to stop.

    Raises `ValueError` where the template changes an answer beyond recognition.
    """
    turns = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    return [_answer(messages, i, whole, render, ends) for i in (turns[-1:] if only_last else turns)]


def _answer(messages: Messages, turn: int, whole: str, render: Callable, ends: re.Pattern) -> Span:
    text = "".join(part["text"] for part in messages[turn]["content"])
    before = render(messages[:turn], add_generation_prompt=True)
    rest = whole[len(before) :]
    lead = len(rest) - len(rest.lstrip())
    if whole.startswith(before) and rest[lead:].startswith(text.strip()):
        start, stop = len(before), len(before) + lead + len(text.strip())
    else:
        start, stop = _found(messages, turn, whole, render)
    if turn == len(messages) - 1:
        bound = len(whole)
    else:
        upto = render(messages[: turn + 1])
        # A template may treat the last answer in its own way.
        bound = len(upto) if whole.startswith(upto) else stop
    end = ends.search(whole, stop, bound)
    if end is None and bound == stop:  # it may stand right behind the answer all the same
        end = re.compile(rf"\s*(?:{ends.pattern})").match(whole, stop)
    return start, end.end() if end else bound


def _found(messages: Messages, turn: int, whole: str, render: Callable) -> Span:
    """An answer's place, by rendering it between marks."""
    places = texts_in(messages, whole, render, only=turn)
    if places is None:
        raise ValueError(
            f"the chat template changes the answer in {place(turn)}, so it cannot be found in the "
            "prompt: mend the template."
        )
    return places[0][0], places[-1][1]


def pieces(rendered: list[int], processed: list[int], markers: set[int]) -> list[Piece]:
    """The text between markers, each piece as (start in `rendered`, start in `processed`, tokens).

    The processor puts many tokens where one marker stood, and may add some at either end. What it
    puts there may join the text beside it, as two newlines and one do in a token of three: up to
    `_EDGE` tokens beside a marker belong to no piece where they differ.

    Raises `ValueError` where the processor changed more of the text.
    """
    found: list[Piece] = []
    cuts = [i for i, token in enumerate(rendered) if token in markers] + [len(rendered)]
    runs = _runs(processed, markers)
    start = run = 0
    for cut in cuts:
        first, last = not found, cut == len(rendered)
        piece = rendered[start:cut]
        edges = (0 if first else _EDGE, 0 if last else _EDGE)
        if first:
            where = [0]
        else:
            where = [len(runs) - 1] if last else list(range(run + 1, len(runs) - 1))
        for at in where:
            match = _match(processed[: runs[at][1]], piece, runs[at][0], edges, last and not first)
            if match is not None:
                found.append((start + match[0], match[1], match[2]))
                run = at
                break
        else:
            if len(piece) > sum(edges):
                raise ValueError(_CHANGED)
            found.append((start, 0, 0))  # all of it may have joined what stands beside it
        start = cut + 1
    return found


def _runs(processed: list[int], markers: set[int]) -> list[Span]:
    """(start, end) of the tokens before the first marker, between two, and after the last."""
    cuts = [i for i, token in enumerate(processed) if token in markers]
    return list(zip([0, *(cut + 1 for cut in cuts)], [*cuts, len(processed)]))


def _match(
    within: list[int], piece: list[int], start: int, edges: tuple[int, int], backwards: bool
) -> Piece | None:
    """(tokens left out before, where the rest stands in `within`, tokens), as few out as can be."""
    for left_out in range(min(sum(edges), max(len(piece) - 1, 0)) + 1):
        for before in range(left_out + 1):
            after = left_out - before
            if before <= edges[0] and after <= edges[1]:
                core = piece[before : len(piece) - after]
                at = _find(within, core, start, backwards)
                if at is not None:
                    return before, at, len(core)
    return None


def _find(within: list[int], piece: list[int], start: int, backwards: bool) -> int | None:
    last = len(within) - len(piece)
    order = range(last, start - 1, -1) if backwards else range(start, last + 1)
    return next((i for i in order if within[i : i + len(piece)] == piece), None)


def tokens(encoding: Any, span: Span) -> range:
    """The tokens that hold a character of `span`; `encoding` is one of `tokenizers`.

    One character may take several: an emoji in bytes takes four.
    """
    start, end = span
    held = [i for i, (left, right) in enumerate(encoding.offsets) if left < end and right > start]
    return range(held[0], held[-1] + 1) if held else range(0)


def moved(span: range, pieces: list[Piece]) -> list[tuple[int, int]]:
    """Tokens of the rendered prompt as (start, end) after the processor, without the markers."""
    found = []
    for start, at, number in pieces:
        low, high = max(span.start, start), min(span.stop, start + number)
        if low < high:
            found.append((low - start + at, high - start + at))
    return found


def check_whole(
    spans: list[range], moved: list[tuple[int, int]], rendered: list[int], markers: set[int]
) -> None:
    """Raises `ValueError` where the processor changed tokens of `spans` that are no markers."""
    wanted = sum(rendered[token] not in markers for span in spans for token in span)
    if sum(end - start for start, end in moved) < wanted:
        raise ValueError(_CHANGED)
