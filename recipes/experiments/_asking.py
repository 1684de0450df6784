"""What experiments share: the pocket models in float32, and a quick way to ask a picture a lot."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Iterator, Sequence

import torch
from PIL import Image

import vlm_helpers as vh
from recipes.places import is_right

AT_ONCE = 32  # pictures
GREY = (128, 128, 128)  # what a blind model sees
TILE = 96  # pixels: the side of a tile of pocket-llava-next


@functools.cache
def model(name: str = "pocket-llava") -> vh.VLM:
    return vh.load(name, device="cpu", dtype="float32")


class Shown:
    """Pictures that the model has looked at; each can be asked any number of questions.

    What stands before a question, the picture above all, is read once and its keys and values are
    kept: that is some five times quicker than `vlm.ask`, and gives the same answers.
    An image that occurs several times, the same object, is looked at once. `vlm`: who looks, by
    default `model()`.
    """

    def __init__(self, images: Sequence[Image.Image], vlm: vh.VLM | None = None):
        self.vlm, self.caches = vlm or model(), []
        self.places: dict[int, tuple[int, int]] = {}  # of a picture: its cache, and its row there
        first = {id(image): i for i, image in reversed(list(enumerate(images)))}
        by_size: dict[tuple[int, int], list[int]] = {}  # as many tokens each
        for i in sorted(first.values()):
            by_size.setdefault(images[i].size, []).append(i)
        for same in by_size.values():
            for start in range(0, len(same), AT_ONCE):
                self._look(images, same[start : start + AT_ONCE])
        self.places = {i: self.places[first[id(image)]] for i, image in enumerate(images)}

    @torch.inference_mode()
    def _look(self, images: Sequence[Image.Image], some: list[int]) -> None:
        self.places |= {i: (len(self.caches), row) for row, i in enumerate(some)}
        inputs = self.vlm.processor(
            text=["USER: <image>\n"] * len(some),
            images=[images[i] for i in some],
            return_tensors="pt",
        )
        out = self.vlm.model(**inputs, use_cache=True, logits_to_keep=1)
        self.caches.append(out.past_key_values)

    def ask(
        self, asked: Sequence[tuple[int, str]], first: int = 1, most: int = 8
    ) -> list[tuple[str, float]]:
        """For each (number of the picture, question) the greedy answer, and its confidence.

        `first`: the confidence is the probability of so many first tokens. `most`: tokens in all.
        """
        tokenizer, end = self.vlm.processor.tokenizer, self.vlm.model.generation_config.eos_token_id
        found: dict[int, tuple[str, float]] = {}
        for here, steps in self._parts(asked):
            written, logs = [], []
            for scores in itertools.islice(steps, most):
                best = scores.max(-1)
                logs.append(best.values)
                written.append(best.indices)
                if all(end in row for row in torch.stack(written, 1).tolist()):
                    break
            sure = torch.stack(logs, 1)[:, :first].sum(1).exp().tolist()
            for i, row, one in zip(here, torch.stack(written, 1).tolist(), sure, strict=True):
                row = row[: row.index(end)] if end in row else row
                found[i] = tokenizer.decode(row, skip_special_tokens=True).strip(), one
        return [found[i] for i in range(len(asked))]

    def odds(self, asked: Sequence[tuple[int, str]], one: str, other: str) -> list[float]:
        """For each (number of the picture, question) the logit of the answer `one` minus `other`'s,
        at the first token in which they differ: that is their first."""
        tokenizer = self.vlm.processor.tokenizer
        first = [tokenizer(f" {w}", add_special_tokens=False).input_ids[0] for w in (one, other)]
        found: dict[int, float] = {}
        for here, steps in self._parts(asked):
            scores = next(steps)[:, first]
            found |= zip(here, (scores[:, 0] - scores[:, 1]).tolist(), strict=True)
        return [found[i] for i in range(len(asked))]

    def _parts(self, asked) -> Iterator[tuple[list[int], Iterator[torch.Tensor]]]:
        """For each cache, which of the questions are asked of it, and their `_steps`."""
        for part, cache in enumerate(self.caches):
            here = [i for i, (picture, _) in enumerate(asked) if self.places[picture][0] == part]
            if here:
                rows = [self.places[asked[i][0]][1] for i in here]
                yield here, _steps(self.vlm, cache, rows, [asked[i][1] for i in here])


class Asked:
    """Pages of one kind, and of each so many questions of some skills (`asked`)."""

    def __init__(self, split: str, first: int, number: int, asked: dict[str, int], kind="things"):
        samples = [vh.pages.sample(seed, split, kind=kind) for seed in range(first, first + number)]
        self.pictures = [sample.image for sample in samples]
        self.questions = [
            (picture, question)
            for picture, sample in enumerate(samples)
            for skill, each in asked.items()
            for question in sample.questions([skill], per_skill=each)
        ]

    def shown(self, vlm: vh.VLM, grey: bool = False) -> Shown:
        """The pictures, or grey ones of the same sizes, as a model has looked at them."""
        greys = {picture.size: Image.new("RGB", picture.size, GREY) for picture in self.pictures}
        return Shown([greys[one.size] for one in self.pictures] if grey else self.pictures, vlm)

    def asked(self) -> list[tuple[int, str]]:
        return [(picture, question.text) for picture, question in self.questions]

    def answers(self, shown: Shown, most: int = 16) -> list[str]:
        return [answer for answer, _ in shown.ask(self.asked(), most=most)]

    def right(self, answers: list[str]) -> list[bool]:
        both = zip(answers, self.questions, strict=True)
        return [is_right(answer, question.answer) for answer, (_, question) in both]


def gain(now: Sequence[float], was: Sequence[float], each: int) -> dict[str, float]:
    """The right answers to each picture's `each` questions compared: as a share of all questions,
    with its interval and p. Pictures are paired, for questions about one are not independent."""
    runs = (
        vh.evaluation.Run([{"id": i, "score": right / each} for i, right in enumerate(one)])
        for one in (now, was)
    )
    found = vh.evaluation.paired(*runs)
    return {"gain": found.difference, "low": found.low, "high": found.high, "p": found.p}


def compared(found: dict, was: dict, each: int) -> dict[str, float]:
    """`gain` by picture, and how many of the other questions were `lost`, and `won`."""
    then, now = was["scores"], found["scores"]
    return {
        **gain(found["by picture"], was["by picture"], each),
        "old": sum(now), "n_old": len(now),
        "lost": sum(a > b for a, b in zip(then, now)), "won": sum(a < b for a, b in zip(then, now)),
    }  # fmt: skip


@torch.inference_mode()
def _steps(vlm, cache, rows, questions) -> Iterator[torch.Tensor]:
    """The log-probabilities [questions, vocabulary] of each next token, decoding greedily."""
    texts = vlm.processor.tokenizer(
        [f"{question} ASSISTANT:" for question in questions],
        padding=True,
        padding_side="right",
        add_special_tokens=False,
        return_tensors="pt",
    )
    cache = copy.deepcopy(cache)
    cache.batch_select_indices(torch.tensor(rows))
    before = cache.get_seq_length()
    mask = torch.cat([torch.ones(len(rows), before, dtype=torch.long), texts.attention_mask], 1)
    lengths = texts.attention_mask.sum(1)
    ids, places = texts.input_ids, before + texts.attention_mask.cumsum(1) - 1
    last = lengths - 1
    for step in itertools.count():
        hidden = vlm.model.model.language_model(
            input_ids=ids, past_key_values=cache, attention_mask=mask, position_ids=places
        ).last_hidden_state  # [questions, tokens, hidden]
        scores = vlm.model.lm_head(hidden[torch.arange(len(rows)), last]).log_softmax(-1)
        yield scores
        ids, last = scores.argmax(-1)[:, None], torch.zeros_like(lengths)
        places = (before + lengths + step)[:, None]
        mask = torch.cat([mask, torch.ones_like(ids)], 1)
