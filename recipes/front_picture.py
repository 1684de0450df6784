"""Draws the picture of the front page, `docs/front.png`: `python -m recipes.front_picture`.

Three in one: what pocket-llava answers, what a wrong prompt template costs it, and when binding
comes in a training. The first is computed here, the others come from the stored experiments of
notebooks 03 and 07.
"""

from __future__ import annotations

import itertools
import textwrap
from pathlib import Path

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

import vlm_helpers as vh

PICTURE = Path(__file__).parents[1] / "docs" / "front.png"
SEED = 12  # of the scene
BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#C4C4C4"
INK = "#333333"
TEMPLATES = {  # as the experiment calls them: as the picture does
    "right": "as trained",
    "lower-case roles": "user: for USER:",
    "space at the end": "one space too many",
    "no generation prompt": "no ASSISTANT:",
    "question first": "question before picture",
    "no template": "no template",
}
LINES = {  # of binding: objects in the picture, and the line's colour
    1: GREEN,
    2: BLUE,
    3: ORANGE,
}


def answers(vlm, scene) -> list[tuple[str, str]]:
    """Questions about a scene with the model's answers, one of each skill that is shown."""
    asked = []
    for skill in ("count", "color", "relation"):
        for question in scene.questions([skill])[:1]:
            asked.append((question.text, vlm.ask(scene.image, question.text)))
    return asked


def located(vlm, scene):
    """A question where something is, the answer as text and as a box, and the true box."""
    asked = (scene.questions(["locate"], seed=seed)[0] for seed in itertools.count())
    question = next(q for q in asked if q.answer != "none")
    said = vlm.ask(scene.image, question.text)
    return question.text, said, vh.boxes.parse(said, "pocket-llava").boxes[0]


def show_scene(ax, beside, vlm, scene) -> None:
    question, said, box = located(vlm, scene)
    ax.imshow(scene.image)
    width, height = scene.image.size
    x0, y0, x1, y1 = box.x0 * width, box.y0 * height, box.x1 * width, box.y1 * height
    ax.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=INK, lw=2, ls="--"))
    ax.axis("off")
    ax.set_title("Ask: every answer is computed, offline", loc="left")
    for place, (asked, answer) in enumerate([*answers(vlm, scene), (question, said)]):
        asked = textwrap.fill(asked, 32)
        lower = 0.07 * (1 + asked.count("\n"))
        beside.text(0, 0.98 - 0.26 * place, asked, va="top", fontsize=9.5)
        beside.text(0.03, 0.98 - 0.26 * place - lower, answer, va="top", fontsize=9.5, color=BLUE)
    beside.axis("off")


def show_templates(ax) -> None:
    stored = vh.evaluation.experiment("templates").groupby("template")
    share = stored["right"].sum() / stored["n"].sum()
    floor = stored["majority"].mean().iloc[0]
    shown = [share[name] for name in TEMPLATES]
    colors = [BLUE, *[VERMILION] * (len(shown) - 1)]
    ax.barh(list(TEMPLATES.values()), shown, color=colors, height=0.65)
    for place, value in enumerate(shown):
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # over the floor's line
        ax.text(value + 0.02, place, f"{value:.2f}", va="center", fontsize=9, bbox=ground)
    ax.axvline(floor, color=INK, lw=1, ls=":")
    ax.text(floor + 0.015, len(shown) - 0.42, "commonest answer", fontsize=8.5, va="center")
    ax.invert_yaxis()
    ax.set(xlim=(0, 1.12), xticks=(0, 0.5, 1), xlabel="share of 900 answers that are right")
    ax.set_ylim(len(shown) - 0.1, -0.6)
    ax.set_title("Break it: a wrong prompt", loc="left")


def show_binding(ax) -> None:
    stored = vh.evaluation.experiment("binding")
    stored = stored[stored["skill"] == "color"]
    for objects, color in LINES.items():
        mine = stored[stored["objects"] == objects].groupby("step")
        share = mine["right"].sum() / mine["n"].sum()
        pictures = share.index * 8
        ax.plot(pictures.where(pictures > 0, 50), share, color=color, marker="o", ms=3.5)
        ax.text(
            7600, share.iloc[-1] - 0.012 * (objects - 1), f"{objects} object{'s' * (objects > 1)}",
            color=color, fontsize=9, va="center",
        )  # fmt: skip
        if objects > 1:
            any_object = stored[stored["objects"] == objects]["any_object"].mean()
            ax.axhline(any_object, color=color, lw=1, ls=":")
    ax.text(
        21000, any_object - 0.03, "naming any that is there", fontsize=8.5, va="top", ha="right"
    )
    ax.set_xscale("log")
    ax.set(
        ylim=(0, 1.04), xlim=(45, 22000), yticks=(0, 0.5, 1),
        xlabel="pictures seen in stage two (log scale)", ylabel="colours right",
    )  # fmt: skip
    ax.set_xticks([100, 1000, 6400], ["100", "1,000", "6,400"])
    ax.minorticks_off()
    ax.set_title("Train it: telling objects apart", loc="left")


def main() -> None:
    vlm = vh.load("pocket-llava")
    scene = vh.scenes.sample(SEED, "test")
    matplotlib.rcParams.update(
        {"font.size": 10, "axes.titlesize": 11, "axes.titleweight": "bold", "text.color": INK,
         "axes.spines.top": False, "axes.spines.right": False, "text.parse_math": False}
    )  # fmt: skip
    figure = plt.figure(figsize=(14, 3.7), dpi=100, facecolor="white")
    boxes = ((0.005, 0.05, 0.235, 0.84), (0.252, 0.05, 0.16, 0.84), (0.535, 0.16, 0.16, 0.73),
             (0.765, 0.16, 0.225, 0.73))  # fmt: skip
    picture, beside, templates, binding = (figure.add_axes(box) for box in boxes)
    show_scene(picture, beside, vlm, scene)
    show_templates(templates)
    show_binding(binding)
    figure.savefig(PICTURE, metadata={"Software": None})
    print(f"{PICTURE.name}: {PICTURE.stat().st_size / 1e3:.0f} KB")


if __name__ == "__main__":
    main()
