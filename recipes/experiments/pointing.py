"""Do attention and occlusion point at the object that was asked about?

For each picture, two questions about the colours of two objects. Each map gives the 64 patches a
number: attention is that of the prompt's last token, mean over heads; occlusion is how much less
probable the answer becomes when the patch is covered with grey. A hit: the map's brightest patch
lies in the box of the object that was asked about. Two floors: `other`, how often the brightest
patch of the *other* question's map lies in that box, which is what a map scores that has not read
the question; and `area`, how much of the picture the box covers.
"""

from __future__ import annotations

import functools

import torch

import vlm_helpers as vh

SCENES = {"attention": 60, "occlusion": 8}  # in one setting
SIDE = 8  # patches


def settings() -> list[dict]:
    starts = [("attention", 0), *(("occlusion", first) for first in (0, 1000, 2000))]
    return [{"map": name, "first_seed": first} for name, first in starts]


@functools.cache
def _model():
    vlm = vh.load()
    vlm.model.set_attn_implementation("eager")  # the one that hands out its weights
    return vlm


def pairs(first_seed: int, number: int):
    """(picture, two questions about two of its objects), `number` of them."""
    seed = first_seed
    while number:
        scene, seed = vh.scenes.sample(seed, "test", sign=False), seed + 1
        about = {q.objects[0]: q for q in scene.questions(["color"], 3) if q.answer != "none"}
        if len(about) > 1:
            number -= 1
            yield scene.image, list(about.values())[:2]


def inside(box) -> torch.Tensor:
    """Which patches a box touches, [64]."""
    edges = torch.arange(SIDE) / SIDE
    x, y = ((edges + 1 / SIDE > box[i]) & (edges < box[i + 2]) for i in (0, 1))
    return (y[:, None] & x).flatten()


def attention(image, questions) -> dict[str, list]:
    """For each layer, a map for each question."""
    vlm = _model()
    maps = []
    for question in questions:
        prompt = f"USER: <image>\n{question.text} ASSISTANT:"
        batch = vlm.processor(images=image, text=prompt, return_tensors="pt")
        places = batch["input_ids"][0] == vlm.model.config.image_token_id
        with torch.no_grad():
            out = vlm.model(**batch, output_attentions=True)
        maps.append([layer[0, :, -1, places].mean(0) for layer in out.attentions])
    return {f"layer {i}": list(both) for i, both in enumerate(zip(*maps), 1)}


def occlusion(image, questions) -> dict[str, list]:
    """The picture whole and with each of its patches covered, under both questions at once."""
    vlm = _model()
    pixels = vlm.processor.image_processor(image, return_tensors="pt")["pixel_values"]
    size = pixels.shape[-1] // SIDE
    covered = pixels.repeat(SIDE * SIDE + 1, 1, 1, 1)
    for i in range(SIDE * SIDE):
        y, x = i // SIDE * size, i % SIDE * size
        covered[i, :, y : y + size, x : x + size] = 0
    maps = []
    with torch.no_grad():
        features = vlm.model.get_image_features(covered).pooler_output
        features = torch.stack(list(features))
        for question in questions:
            prompt = f"USER: <image>\n{question.text} ASSISTANT:"
            ids = vlm.processor(images=image, text=prompt, return_tensors="pt")["input_ids"]
            embeds = vlm.model.get_input_embeddings()(ids).repeat(len(covered), 1, 1)
            embeds[:, ids[0] == vlm.model.config.image_token_id] = features
            out = vlm.model.model.language_model(inputs_embeds=embeds).last_hidden_state[:, -1]
            chances = vlm.model.lm_head(out).log_softmax(-1)
            chances = chances[:, chances[-1].argmax()]
            maps.append(chances[-1] - chances[:-1])
    return {"occlusion": maps}


def run(map: str, first_seed: int) -> list[dict]:
    make, counts, areas = {"attention": attention, "occlusion": occlusion}[map], {}, []
    for image, questions in pairs(first_seed, SCENES[map]):
        boxes = [inside(question.objects[0].box) for question in questions]
        areas += [box.float().mean().item() for box in boxes]
        for name, maps in make(image, questions).items():
            bright = [int(values.argmax()) for values in maps]
            count = counts.setdefault(name, {"hits": 0, "other": 0, "n": 0})
            count["n"] += 2
            for box, own, other in zip(boxes, bright, bright[::-1]):
                count["hits"] += bool(box[own])
                count["other"] += bool(box[other])
    area = sum(areas) / len(areas)
    return [{"of": name, **count, "area": area} for name, count in counts.items()]
