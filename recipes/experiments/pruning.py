"""How many picture tokens does pocket-llava need, and which?

Of 64 picture tokens, 32, 16, 8 or 4 are kept, chosen by five rules. Two don't look at the picture:
*random* (five seeds) and *even* (a chequerboard or a grid). Two look at it alone:
*median* keeps the tokens farthest from the median token, feature by feature, as the playground
does, and *class token* those that the vision tower's class token attends to most in the last layer,
as VisionZip and FasterVLM rank them. The fifth knows the question: *last token* keeps what the
prompt's last token attends to most in the decoder's second layer, and drops the rest from the third
layer on, as FastV does; its first two layers work on all tokens.

A dropped token is hidden from every later layer, and each kept one stays at its own position.
24 questions of each skill, one a picture; "locate" is right at IoU 0.5, others letter for letter.
`all` keeps all tokens, `none` none: that is the blind score. `majority` is the floor.
The model is not trained here: what varies is the dice of the random rule, and the pictures.

The 216 questions share 66 pictures. For three of the rules with 16 tokens (even, median, last
token) intervals that draw pictures anew, with all their questions, were 1.2, 0.9 and 1.1 times as
wide as Wilson's for independent questions.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from types import SimpleNamespace

import torch

import vlm_helpers as vh
from recipes.places import is_right

SKILLS = ("color", "shape", "size", "count", "exists", "relation", "number", "word", "locate")
EACH = 24  # questions of a skill, and a batch
FIRST_SEED = 70_000
KEPT = (32, 16, 8, 4)
AHEAD = 2  # layers of the decoder that see all tokens where the last token chooses, as in FastV


# Any first 4, 16 of these 8 × 8 places are a grid, any first 8, 32 a chequerboard.
ROW, COLUMN = torch.arange(64) // 8, torch.arange(64) % 8
EVEN = sum(
    (((ROW ^ COLUMN) >> bit & 1) * 2 + (ROW >> bit & 1)) << 2 * (2 - bit) for bit in range(3)
)


def settings() -> list[dict]:
    rules = [("random", seed) for seed in range(5)]
    rules += [(rule, 0) for rule in ("even", "median", "class token", "last token")]
    pruned = [{"rule": r, "kept": k, "seed": s} for r, s in rules for k in KEPT]
    return [{"rule": "all", "kept": 64, "seed": 0}, {"rule": "none", "kept": 0, "seed": 0}, *pruned]


@functools.cache
def _vlm() -> vh.VLM:
    vlm = vh.load("pocket-llava", device="cpu", dtype="float32")
    vlm.model.set_attn_implementation("eager")  # the others give no attention away
    return vlm


@functools.cache
@torch.inference_mode()
def _batches() -> list[SimpleNamespace]:
    """A batch a skill, with the picture tokens and what the rules look at, [questions, 64]."""
    vlm = _vlm()
    model, batches = vlm.model, []
    for skill in SKILLS:
        items = list(vh.evaluation.exam(vh.scenes, skill, EACH, first_seed=FIRST_SEED))
        inputs = vlm.processor(
            text=[vlm.processor.apply_chat_template(_chat(i), add_generation_prompt=True)
                  for i in items],
            images=[item["image"] for item in items],
            padding=True, padding_side="left", return_tensors="pt",
        )  # fmt: skip
        seen = model.model.vision_tower(inputs["pixel_values"], output_attentions=True)
        tokens = model.model.multi_modal_projector(seen.last_hidden_state[:, 1:])
        rows = model.get_input_embeddings()(inputs["input_ids"])
        places = inputs["input_ids"] == model.config.image_token_index
        rows[places] = tokens.flatten(0, 1)
        mask = inputs["attention_mask"]
        read = model.model.language_model(
            inputs_embeds=rows, attention_mask=mask, output_attentions=True
        )
        last = read.attentions[AHEAD - 1].mean(1)[:, -1]  # [questions, tokens]
        batches.append(SimpleNamespace(
            skill=skill, items=items, rows=rows, mask=mask, places=places, tokens=tokens,
            class_token=seen.attentions[-1].mean(1)[:, 0, 1:], last=last[places].view(EACH, -1),
        ))  # fmt: skip
    return batches


def _chat(item: dict) -> list[dict]:
    parts = [{"type": "image"}, {"type": "text", "text": item["question"]}]
    return [{"role": "user", "content": parts}]


def chosen(batch, rule: str, kept: int, dice: torch.Generator) -> torch.Tensor:
    """Which picture tokens are kept, [questions, 64] of bool."""
    worth = {
        "all": lambda: torch.zeros(batch.tokens.shape[:2]),
        "none": lambda: torch.zeros(batch.tokens.shape[:2]),
        "random": lambda: torch.rand(batch.tokens.shape[:2], generator=dice),
        "even": lambda: -EVEN.expand(batch.tokens.shape[:2]),
        # numpy's median, the mean of the two in the middle: torch's is the lower one
        "median": lambda: (batch.tokens - batch.tokens.quantile(0.5, 1, keepdim=True)).norm(dim=2),
        "class token": lambda: batch.class_token,
        "last token": lambda: batch.last,
    }[rule]()
    best = worth.float().topk(kept, dim=1).indices
    return torch.zeros(worth.shape, dtype=torch.bool).scatter(1, best, True)


@contextlib.contextmanager
def _hidden(columns: torch.Tensor, first: int) -> Iterator[None]:
    """Hides tokens ([questions, prompt] of bool) from the decoder's layers from `first` on."""

    def hide(layer, args, kwargs):
        mask = kwargs["attention_mask"]  # [questions, 1, new tokens, all tokens], added to scores
        wide = torch.nn.functional.pad(columns, (0, mask.shape[-1] - columns.shape[1]))
        hidden = mask.masked_fill(wide[:, None, None], torch.finfo(mask.dtype).min)
        return args, {**kwargs, "attention_mask": hidden}

    layers = _vlm().model.model.language_model.layers[first:]
    hooks = [layer.register_forward_pre_hook(hide, with_kwargs=True) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@torch.inference_mode()
def run(rule: str, kept: int, seed: int) -> list[dict]:
    vlm, dice, rows = _vlm(), torch.Generator().manual_seed(seed), []
    for batch in _batches():
        columns = torch.zeros_like(batch.places)
        columns[batch.places] = ~chosen(batch, rule, kept, dice).flatten()
        with _hidden(columns, AHEAD if rule == "last token" else 0):
            ids = vlm.model.generate(
                inputs_embeds=batch.rows, attention_mask=batch.mask, max_new_tokens=10,
                do_sample=False,
            )  # fmt: skip
        answers = vlm.processor.batch_decode(ids, skip_special_tokens=True)
        floors = vh.evaluation.floors([{**i, "image": None} for i in batch.items])
        rows.append({
            "skill": batch.skill,
            "right": sum(is_right(a.strip(), i["answer"]) for a, i in zip(answers, batch.items)),
            "n": EACH,
            "majority": floors.loc[batch.skill, "majority"],
        })  # fmt: skip
    return rows
