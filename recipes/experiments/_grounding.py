"""What the experiments on grounding share: their pictures, and a quick way to ask much of each."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Iterator, Sequence

import torch
from PIL import Image, ImageFilter

import vlm_helpers as vh

PICTURES = ("clean", "unseen pairs", "blurred")
FIRST_SEEDS = (20_000, 30_000, 40_000, 50_000, 60_000)
AT_ONCE = 32  # pictures


@functools.cache
def model() -> vh.VLM:
    return vh.load("pocket-llava", device="cpu", dtype="float32")


def scenes(pictures: str, first_seed: int) -> Iterator:
    split = "unseen_pairs" if pictures == "unseen pairs" else "test"
    for seed in itertools.count(first_seed):
        yield vh.scenes.sample(seed, split)


def seen(image: Image.Image, pictures: str) -> Image.Image:
    """The picture as the model gets it."""
    if pictures != "blurred":
        return image
    return image.resize((192, 192)).filter(ImageFilter.GaussianBlur(4.5))  # pixels of 192


class Shown:
    """Pictures that the model has looked at; each can be asked any number of questions.

    What stands before a question, the picture above all, is read once and its keys and values are
    kept: that is some five times quicker than `vlm.ask`, and gives the same answers.
    `vlm`: who looks, by default `model()`.
    """

    def __init__(self, images: Sequence[Image.Image], vlm: vh.VLM | None = None):
        self.vlm, self.caches = vlm or model(), []
        for start in range(0, len(images), AT_ONCE):
            some = list(images[start : start + AT_ONCE])
            inputs = self.vlm.processor(
                text=["USER: <image>\n"] * len(some), images=some, return_tensors="pt"
            )
            with torch.inference_mode():
                out = self.vlm.model(**inputs, use_cache=True, logits_to_keep=1)
            self.caches.append(out.past_key_values)

    def ask(
        self, asked: Sequence[tuple[int, str]], first: int = 1, most: int = 8
    ) -> list[tuple[str, float]]:
        """For each (number of the picture, question) the greedy answer, and its confidence.

        `first`: the confidence is the probability of so many first tokens. `most`: tokens in all.
        """
        found: dict[int, tuple[str, float]] = {}
        for part, cache in enumerate(self.caches):
            here = [i for i, (picture, _) in enumerate(asked) if picture // AT_ONCE == part]
            if here:
                rows = [asked[i][0] % AT_ONCE for i in here]
                questions = [asked[i][1] for i in here]
                found |= zip(
                    here, _answers(self.vlm, cache, rows, questions, first, most), strict=True
                )
        return [found[i] for i in range(len(asked))]


@torch.inference_mode()
def _answers(vlm, cache, rows, questions, first, most) -> list[tuple[str, float]]:
    tokenizer, end = vlm.processor.tokenizer, vlm.model.generation_config.eos_token_id
    texts = tokenizer(
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
    last, written, logs = lengths - 1, [], []
    for step in range(most):
        hidden = vlm.model.model.language_model(
            input_ids=ids, past_key_values=cache, attention_mask=mask, position_ids=places
        ).last_hidden_state  # [questions, tokens, hidden]
        scores = vlm.model.lm_head(hidden[torch.arange(len(rows)), last]).log_softmax(-1)
        best = scores.max(-1)
        logs.append(best.values)
        written.append(best.indices)
        ids, last = best.indices[:, None], torch.zeros_like(lengths)
        places = (before + lengths + step)[:, None]
        mask = torch.cat([mask, torch.ones_like(ids)], 1)
        if all(end in row for row in torch.stack(written, 1).tolist()):
            break
    answers = []
    for row in torch.stack(written, 1).tolist():
        row = row[: row.index(end)] if end in row else row
        answers.append(tokenizer.decode(row, skip_special_tokens=True).strip())
    return list(zip(answers, torch.stack(logs, 1)[:, :first].sum(1).exp().tolist()))
