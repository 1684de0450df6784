"""What is each part of pocket-llava for?

One part is broken at a time, and the same questions are asked again: 100 of each skill. A layer of
the vision tower is cut by setting both of its outputs to zero, so that the residual stream passes
it by; two of six are cut at three depths, so that one depth is no accident. What is drawn at random
(the order of shuffled patches, the weights of an untrained projector) is drawn with two seeds.

An answer is right if every one of its tokens, its end too, is the likeliest after those before it:
that is when greedy decoding writes it. `majority` is the floor: the commonest answer of each skill.
"""

from __future__ import annotations

import copy
import functools

import numpy as np
import torch
from PIL import Image

import vlm_helpers as vh

SKILLS = ("color", "shape", "size", "count", "exists", "relation", "word")
EACH = 100  # questions of a skill
PATCH = 48  # pixels of the drawn picture that become one patch of the model: 384 / 8
BATCH = 32  # pictures


def shuffled(picture, rng):
    """The picture with its patches in another order."""
    rows = picture.height // PATCH
    grid = (rows, PATCH, rows, PATCH, 3)
    tiles = np.array(picture).reshape(grid).swapaxes(1, 2).reshape(-1, PATCH, PATCH, 3)
    mixed = rng.permutation(tiles).reshape(rows, rows, PATCH, PATCH, 3).swapaxes(1, 2)
    return Image.fromarray(mixed.reshape(picture.height, picture.width, 3))


def cut(first: int):
    def damage(model, seed: int) -> None:
        for layer in model.model.vision_tower.encoder.layers[first : first + 2]:
            for output in (layer.self_attn.out_proj, layer.mlp.fc2):
                output.weight.zero_()
                output.bias.zero_()

    return damage


def new_projector(model, seed: int) -> None:
    torch.manual_seed(seed)
    for linear in ("linear_1", "linear_2"):
        getattr(model.model.multi_modal_projector, linear).reset_parameters()


# What is done to a picture, given dice; and what to the model.
PICTURES = {
    "picture grey": lambda picture, rng: Image.new("RGB", picture.size, (128, 128, 128)),
    "patches shuffled": shuffled,
}
MODELS = {
    "layers 1 and 2 cut": cut(0),
    "layers 3 and 4 cut": cut(2),
    "layers 5 and 6 cut": cut(4),
    "projector untrained": new_projector,
}


def settings() -> list[dict]:
    seeds = {"patches shuffled": (0, 1), "projector untrained": (0, 1)}
    names = ("none", *PICTURES, *MODELS)
    return [{"damage": name, "seed": seed} for name in names for seed in seeds.get(name, (0,))]


@functools.cache
def _asked():
    """The model, the pictures, and of each question its picture's number, skill, and tokens."""
    vlm, pairs = vh.load(), vh.evaluation.exam(vh.scenes, SKILLS, EACH).pairs
    scenes = {scene.key: scene for scene, _ in pairs}
    number = {key: i for i, key in enumerate(scenes)}
    tokenizer = vlm.processor.tokenizer
    starts = [tokenizer(f"\n{q.text} ASSISTANT:", add_special_tokens=False) for _, q in pairs]
    ends = [tokenizer(f" {q.answer}</s>", add_special_tokens=False) for _, q in pairs]
    tokens = [(a["input_ids"], b["input_ids"]) for a, b in zip(starts, ends)]
    questions = [(number[s.key], q.skill, *both) for (s, q), both in zip(pairs, tokens)]
    floors = vh.evaluation.floors({**vars(q), "question": q.text} for _, q in pairs)
    return vlm, [scene.render() for scene in scenes.values()], questions, floors["majority"]


def answered(model, tokenizer, pictures, questions) -> list[bool]:
    """For each question whether the right answer is what the model would write.

    A picture is read once; its keys and values serve all questions about it.
    """
    embed = model.get_input_embeddings()
    before = tokenizer("USER: ", return_tensors="pt")["input_ids"].expand(len(pictures), -1)
    seen = torch.stack(list(model.get_image_features(pictures).pooler_output))
    read = torch.cat([embed(before), seen], dim=1)
    past = model.model.language_model(inputs_embeds=read, use_cache=True).past_key_values
    past.batch_select_indices(torch.tensor([number for number, *_ in questions]))
    rows = [start + end for _, _, start, end in questions]
    ids = torch.tensor([row + [0] * (max(map(len, rows)) - len(row)) for row in rows])
    out = model.model.language_model(inputs_embeds=embed(ids), past_key_values=past)
    likeliest = model.lm_head(out.last_hidden_state).argmax(-1).tolist()
    return [
        row[len(start) - 1 : len(start) - 1 + len(end)] == end
        for (_, _, start, end), row in zip(questions, likeliest)
    ]


@torch.no_grad()
def run(damage: str, seed: int) -> list[dict]:
    vlm, pictures, questions, majority = _asked()
    rng, model = np.random.default_rng(seed), vlm.model
    if change := PICTURES.get(damage):
        pictures = [change(picture, rng) for picture in pictures]
    if change := MODELS.get(damage):
        model = copy.deepcopy(model)
        change(model, seed)
    right = dict.fromkeys(SKILLS, 0)
    for at in range(0, len(pictures), BATCH):
        shown = vlm.processor.image_processor(pictures[at : at + BATCH], return_tensors="pt")
        asked = [(n - at, *rest) for n, *rest in questions if at <= n < at + BATCH]
        found = answered(model, vlm.processor.tokenizer, shown["pixel_values"], asked)
        for (_, skill, *_), whole in zip(asked, found):
            right[skill] += whole
    return [
        {"skill": skill, "right": right[skill], "n": EACH, "majority": majority[skill]}
        for skill in SKILLS
    ]
