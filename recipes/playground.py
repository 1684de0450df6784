"""Writes what the playground in `site/playground/` takes from Python, and what it is tested by.

    python -m recipes.playground

`site/playground/world.json`: the shapes, colours and signs of `vlm_helpers.scenes`, the form of the
prompt, scenes, and pages with questions and what is true; `site/playground/pages/`: the pages.
`tests/playground/`: pictures as Pillow draws, resizes and cuts them, and the token ids, logits,
attention and answers that PyTorch gives for them in float32, from each of the two models.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from string import ascii_lowercase

import numpy as np
import torch
from PIL import Image

import vlm_helpers as vh
from vlm_helpers.scenes import world

ROOT = Path(__file__).parent.parent
WORLD = ROOT / "site" / "playground" / "world.json"
PAGES = WORLD.parent / "pages"
CASES = ROOT / "tests" / "playground"

GREY = 128
# Scenes of the page: one of each kind of difficulty, and some with signs.
SHOWN = [vh.scenes.sample(seed, "test") for seed in (3, 4, 7, 8, 11, 16, 21, 27)]
SHOWN += [vh.scenes.sample(seed, "unseen_pairs") for seed in (2, 5)]
# Pages: of at most four tiles, which a browser looks at in two seconds rather than five.
SHOWN_PAGES = {
    "a receipt": vh.pages.sample(9, "test", kind="receipt"),
    "a table": vh.pages.sample(6, "test", kind="table"),
    "a chart": vh.pages.sample(12, "test", kind="bars"),
    "a screen": vh.pages.sample(4, "test", kind="screen"),
    "a diagram": vh.pages.sample(9, "test", kind="diagram"),
    "things": vh.pages.sample(31, "test", kind="things"),
}
# Scenes of the tests: others than those of the page.
TESTED = [vh.scenes.sample(seed, "test") for seed in (5001, 5002)]
TESTED += [vh.scenes.sample(5003, "unseen_pairs")]
# What is cut out of the first scene, and the sizes that it is brought to, one after the other.
RESIZES = [
    ((0, 0, 384, 384), [(96, 96)]),
    ((10, 20, 301, 377), [(96, 96)]),
    ((0, 0, 384, 96), [(96, 96)]),
    ((0, 0, 190, 384), [(96, 96)]),
    ((100, 100, 130, 150), [(96, 96)]),
    ((0, 0, 384, 384), [(37, 111)]),
    ((200, 150, 201, 151), [(96, 96)]),
    ((0, 0, 384, 384), [(5000, 10), (96, 96)]),
]
# Pages of the tests, how much larger they are drawn, and what is cut out of them: portrait, wide,
# larger than any grid, and of a shape that no grid has.
TESTED_PAGES = [
    (vh.pages.sample(2, "test", kind="receipt"), 1, None),
    (vh.pages.sample(7, "test", kind="diagram"), 1, None),
    (vh.pages.sample(5, "test", kind="screen"), 3, (0, 0, 570, 431)),
    (vh.pages.sample(35, "test", kind="things"), 1, (20, 10, 170, 141)),
]
# (width, height) of pictures that are cut into tiles: on every grid, and far from any
TILED = [
    (96, 96), (192, 384), (385, 97), (97, 500), (288, 288), (301, 283), (283, 131), (1000, 999),
    (640, 480), (33, 47), (1, 1), (1, 700), (5000, 10),
]  # fmt: skip
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


def plain_page(name: str, page) -> dict:
    """A page as the playground shows it: its file, and with their truth questions for buttons."""
    questions = [
        question for question in page.questions(seed=1)
        if len(question.text) < 60 and not re.search("<loc_|\n", question.text)
    ]  # fmt: skip
    questions.sort(key=lambda question: question.skill == "read")  # a long answer comes last
    return {
        "name": name,
        "file": file_of(page),
        "size": page.size,
        "questions": [
            {"question": question.text, "truth": question.answer} for question in questions
        ],
    }


def file_of(picture) -> str:
    return picture.key.replace("/", "-") + ".png"


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
    widths = dict(zip(ascii_lowercase, world.LETTER_WIDTHS))
    widths |= dict.fromkeys("0123456789", world.DIGIT_WIDTH)
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
        "font_sizes": {"number": world.font_size("1"), "short": world.font_size("five5"),
                       "long": world.font_size("longer"), "short_letters": 5},
        "scenes": [plain(scene) for scene in SHOWN],
        "pages": [plain_page(name, page) for name, page in SHOWN_PAGES.items()],
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
                "file": file_of(scene),
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


def tiled(vlm, picture: Image.Image, size: tuple[int, int]) -> dict:
    """What the processor makes of a picture of that size: all views' bytes, and how many tokens."""
    processor = vlm.processor
    picture = picture.resize(size, Image.Resampling.BILINEAR)
    views = processor.image_processor(
        picture, do_rescale=False, do_normalize=False, return_tensors="np"
    )["pixel_values"][0]
    ids = processor(text=processor.image_token, images=picture)["input_ids"][0]
    rows = np.ascontiguousarray(views.astype(np.uint8).transpose(0, 2, 3, 1))
    return {
        "size": size,
        "views": len(views),
        "tokens": ids.count(vlm.model.config.image_token_index),
        "sha256": hashlib.sha256(rows.tobytes()).hexdigest(),
    }


def page_pictures() -> list[Image.Image]:
    return [page.render(scale).crop(box) for page, scale, box in TESTED_PAGES]


@torch.inference_mode()
def next_cases(vlm) -> dict:
    """What the second model gives, for pages of several shapes and a scene's sizes."""
    pages = []
    for (page, _, _), picture in zip(TESTED_PAGES, page_pictures()):
        questions = [question.text for question in page.questions(seed=1)[::2]]
        pages.append(
            {
                "file": file_of(page),
                "answers": dict(zip(questions, vlm.ask(picture, questions, batch_size=1))),
                "steps": steps(vlm, picture, questions[1], 1),
            }
        )
    return {
        "made by": "python -m recipes.playground",
        "texts": [
            {"text": text, "ids": vlm.processor.tokenizer.encode(text, add_special_tokens=False)}
            for text in TEXTS
        ],
        "tiled": [tiled(vlm, TESTED[0].image, size) for size in TILED],
        "pages": pages,
    }


def write(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    vlm = vh.load(dtype="float32", device="cpu")
    write(WORLD, the_world(vlm))
    CASES.mkdir(exist_ok=True)
    for scene in TESTED:
        scene.image.save(CASES / file_of(scene), optimize=True)
    write(CASES / "cases.json", cases(vlm))
    PAGES.mkdir(exist_ok=True)
    for page in SHOWN_PAGES.values():
        page.image.save(PAGES / file_of(page), optimize=True)
    for (page, _, _), picture in zip(TESTED_PAGES, page_pictures()):
        picture.save(CASES / file_of(page), optimize=True)
    second = vh.load("pocket-llava-next", dtype="float32", device="cpu")
    write(CASES / "next.json", next_cases(second))


if __name__ == "__main__":
    main()
