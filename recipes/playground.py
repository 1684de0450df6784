"""Writes what the playground in `site/playground/` takes from Python, and what it is tested by.

    python -m recipes.playground

`site/playground/world.json`: the shapes, colours and signs of `vlm_helpers.scenes`, the form of the
prompt, and scenes with questions. `tests/playground/`: pictures as Pillow draws and resizes them,
and the token ids, logits, attention and answers that PyTorch gives for them in float32.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from string import ascii_lowercase

import numpy as np
import torch
from PIL import Image

import vlm_helpers as vh
from vlm_helpers.scenes import _world

ROOT = Path(__file__).parent.parent
WORLD = ROOT / "site" / "playground" / "world.json"
CASES = ROOT / "tests" / "playground"

GREY = 128
# Scenes of the page: one of each kind of difficulty, and some with signs.
SHOWN = [vh.scenes.sample(seed, "test") for seed in (3, 4, 7, 8, 11, 16, 21, 27)]
SHOWN += [vh.scenes.sample(seed, "unseen_pairs") for seed in (2, 5)]
# Scenes of the tests: others than those of the page.
TESTED = [vh.scenes.sample(seed, "test") for seed in (5001, 5002)]
TESTED += [vh.scenes.sample(5003, "unseen_pairs")]
# What is cut out of the first scene, and the sizes that it is brought to, one after the other.
RESIZES = [
    ((0, 0, 384, 384), [(96, 96)]),
    ((10, 20, 301, 377), [(96, 96)]),
    ((0, 0, 384, 96), [(96, 96)]),
    ((100, 100, 130, 150), [(96, 96)]),
    ((0, 0, 384, 384), [(37, 111)]),
    ((200, 150, 201, 151), [(96, 96)]),
    ((0, 0, 384, 384), [(5000, 10), (96, 96)]),
]
# Conversations about the first two: what is meant after the first turn, only that turn says.
TALKS = [
    ["Is there a {} in the picture?", "Where is it?", "What size is it?"],
    ["Locate the {}.", "What color is it?", "Point to it.", "Where is it?"],
]
TEXTS = [
    "USER: ",
    "\nWhat color is the star? ASSISTANT:",
    " Count the crosses.  12 34\n\n\tOK?",
    "Wie groß ist der ★ von Müller’s Bäckerei, ½ oder ²?",
    "it's they'll we've I'M  x",
    "What is at <loc_05><loc_06><loc_63><loc_40>?",
    "\u00a0no\u0085break \ufeffmark 日本語 🙂",
    "",
]


def plain(scene) -> dict:
    """A scene as the page draws it."""
    corners, strength, angle = scene.background
    return {
        "key": scene.key,
        "background": {"corners": corners, "strength": strength, "angle": angle},
        "objects": [
            {
                "shape": thing.shape,
                "color": thing.color,
                "size": thing.size,
                "center": thing.center,
                "radius": thing.radius,
            }
            for thing in scene.objects
        ],
        "sign": scene.sign and {"text": scene.sign.text, "box": scene.sign.box},
    }


def prompt(vlm) -> dict:
    """The prompt's text before and after the picture, and what each further turn adds to it.

    "{question}" stands where a question goes, "{answer}" where the answer before it does.
    """
    asked = {"type": "text", "text": "{question}"}
    messages = [
        {"role": "user", "content": [{"type": "image"}, asked]},
        {"role": "assistant", "content": [{"type": "text", "text": "{answer}"}]},
        {"role": "user", "content": [asked]},
    ]
    first, both = (
        vlm.processor.apply_chat_template(turns, add_generation_prompt=True)
        for turns in (messages[:1], messages)
    )
    before, after = first.split(vlm.processor.image_token)
    return {"before": before, "after": after, "next": both.removeprefix(first)}


def the_world(vlm) -> dict:
    shapes = (*vh.scenes.SHAPES, *vh.scenes.HELD_OUT_SHAPES)
    unit = {s: vh.scenes.SceneObject(s, "red", "large", (0, 0), 1).outline() for s in shapes}
    widths = dict(zip(ascii_lowercase, _world.LETTER_WIDTHS))
    widths |= dict.fromkeys("0123456789", _world.DIGIT_WIDTH)
    return {
        "picture_size": vh.scenes.PICTURE_SIZE,
        "grey": GREY,
        "locations": vh.scenes.N_LOCATIONS,
        "prompt": prompt(vlm),
        "colors": vh.scenes.COLORS,
        "sizes": vh.scenes.SIZES,
        "shapes": vh.scenes.SHAPES,
        "unknown_shapes": vh.scenes.HELD_OUT_SHAPES,
        "outlines": {s: np.round(points, 6).tolist() for s, points in unit.items()},
        "words": vh.scenes.WORDS,
        "letter_widths": widths,
        "font_sizes": {"number": _world.font_size("1"), "short": _world.font_size("five5"),
                       "long": _world.font_size("longer"), "short_letters": 5},
        "scenes": [plain(scene) for scene in SHOWN],
    }  # fmt: skip


def asked(scene) -> list[str]:
    """Questions of every skill that the scene has one for, and one of an unseen form."""
    texts = [question.text for question in scene.questions(seed=1)]
    return [*texts, "Where is the sign hanging, please?"]


def packed(values: torch.Tensor) -> str:
    return base64.b64encode(values.detach().numpy().astype("<f4").tobytes()).decode()


def steps(vlm, image, question: str, n: int) -> dict:
    """The prompt's token ids, and of the answer's first `n` tokens the logits and the attention.

    Attention is what the position that a token was taken from gives each picture token, averaged
    over the heads: layer after layer.
    """
    message = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
    text = vlm.processor.apply_chat_template(message, add_generation_prompt=True)
    inputs = vlm.processor(text=text, images=image, return_tensors="pt")
    ids = inputs["input_ids"][0]
    vlm.model.set_attn_implementation("eager")  # the only one that gives its weights away
    made = vlm.model.generate(
        **inputs, max_new_tokens=n, do_sample=False, output_logits=True, output_attentions=True,
        return_dict_in_generate=True,
    )  # fmt: skip
    vlm.model.set_attn_implementation("sdpa")
    picture = (ids == vlm.model.config.image_token_index).nonzero()[:, 0]
    looks = [
        torch.stack([layer[0, :, -1, picture].mean(dim=0) for layer in layers])
        for layers in made.attentions
    ]
    return {
        "question": question,
        "ids": ids.tolist(),
        "logits": [packed(row[0]) for row in made.logits],
        "looks": [packed(token) for token in looks],
    }


def pruned(vlm, image, question: str, keep: int) -> dict:
    """The picture tokens farthest from the median one, and the first logits with no others."""
    message = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
    text = vlm.processor.apply_chat_template(message, add_generation_prompt=True)
    inputs = vlm.processor(text=text, images=image, return_tensors="pt")
    ids, model = inputs["input_ids"][0], vlm.model
    features = model.model.get_image_features(inputs["pixel_values"]).pooler_output[0]
    median = torch.from_numpy(np.median(features.detach().numpy(), axis=0))
    kept = (features - median).norm(dim=1).argsort(descending=True)[:keep].sort().values
    places = (ids == model.config.image_token_index).nonzero()[:, 0]
    embeddings = model.get_input_embeddings()(ids).clone()
    embeddings[places] = features
    used = torch.ones(len(ids), dtype=torch.bool)
    used[places] = False
    used[places[kept]] = True
    positions = used.nonzero()[:, 0]
    hidden = model.model.language_model(
        inputs_embeds=embeddings[positions][None], position_ids=positions[None]
    ).last_hidden_state
    logits = model.lm_head(hidden[0, -1])
    return {"question": question, "kept": kept.tolist(), "logits": packed(logits)}


def talk(vlm, image, questions: list[str]) -> list[dict]:
    """A conversation: each question with the answer that it gets after all before it."""
    messages, turns = [], []
    for question in questions:
        content = [{"type": "text", "text": question}]
        if not messages:
            content.insert(0, {"type": "image", "image": image})
        messages.append({"role": "user", "content": content})
        answer = vlm.chat(messages)
        messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
        turns.append({"question": question, "answer": answer})
    return turns


def digest(picture: Image.Image, sizes: list[tuple[int, int]]) -> str:
    for size in sizes:
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    return hashlib.sha256(picture.tobytes()).hexdigest()


@torch.inference_mode()
def cases(vlm) -> dict:
    tokenizer = vlm.processor.tokenizer
    first = TESTED[0].image
    grey = Image.new("RGB", first.size, (GREY,) * 3)
    scenes = []
    for scene in TESTED:
        questions = asked(scene)
        answers = [vlm.ask(scene.image, question) for question in questions]
        scenes.append(
            {
                "file": scene.key.replace("/", "-") + ".png",
                "scene": plain(scene),
                "answers": dict(zip(questions, answers)),
            }
        )
    few = asked(TESTED[0])[1:8:3]
    return {
        "made by": "python -m recipes.playground",
        "texts": [
            {"text": text, "ids": tokenizer.encode(text, add_special_tokens=False)}
            for text in TEXTS
        ],
        "resizes": [
            {"box": box, "sizes": sizes, "sha256": digest(first.crop(box), sizes)}
            for box, sizes in RESIZES
        ],
        "scenes": scenes,
        "talks": [
            talk(vlm, scene.image, [turn.format(scene.objects[-1].name) for turn in turns])
            for scene, turns in zip(TESTED, TALKS)
        ],
        "steps": [steps(vlm, first, question, 3) for question in few],
        "pruned": [pruned(vlm, first, few[0], keep) for keep in (32, 8)],
        "blind": {question: vlm.ask(grey, question) for question in asked(TESTED[0])[4:12]},
    }


def write(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    vlm = vh.load(dtype="float32", device="cpu")
    write(WORLD, the_world(vlm))
    CASES.mkdir(exist_ok=True)
    for scene in TESTED:
        scene.image.save(CASES / (scene.key.replace("/", "-") + ".png"), optimize=True)
    write(CASES / "cases.json", cases(vlm))


if __name__ == "__main__":
    main()
