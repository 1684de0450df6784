"""Draws the picture of the front page, `docs/front.png`: `python -m recipes.front_picture`.

Above: what pocket-llava-next answers about a receipt, things and a screen, right or wrong. Below:
what resolution buys, what a wrong prompt template costs, and when binding comes in a training. The
answers are computed here, the rest comes from the stored experiments of notebooks 05, 03 and 07.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

import vlm_helpers as vh
from recipes.pocket_llava_next import scores

PICTURE = Path(__file__).parents[1] / "docs" / "front.png"
BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#C4C4C4"
INK = "#333333"
ASKED = {  # kind of page: its seed, and of which skills a question is shown
    "receipt": (40004, ("price", "total", "exists", "count")),
    "things": (40005, ("exists_random", "exists_adversarial", "relation", "locate")),
    "screen": (40003, ("tab", "entry", "ticked", "click")),
}
JUDGES = {"locate": scores.located, "click": scores.clicks}  # by default: letter for letter
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


def is_right(page, question, answer: str) -> bool:
    judge = JUDGES.get(question.skill, scores.exact)
    return next(iter(judge([answer], [question.answer], [(page, question)]).values())) == 1


def draw(ax, page, answer: str, color: str) -> None:
    """Boxes and points of an answer."""
    said = vh.boxes.parse(answer, "pocket-llava")
    width, height = page.size
    for box in said.boxes:
        corner, size = (box.x0 * width, box.y0 * height), (box.x1 - box.x0, box.y1 - box.y0)
        ax.add_patch(
            Rectangle(corner, size[0] * width, size[1] * height, fill=False, ec=color, lw=2.5)
        )
    for point in said.points:
        ax.plot(point.x * width, point.y * height, "o", mfc="none", mec=color, mew=2.5, ms=15)


def show_page(ax, beside, vlm, kind: str) -> None:
    seed, skills = ASKED[kind]
    page = vh.pages.sample(seed, "test", kind=kind)
    ax.imshow(page.image, interpolation="antialiased")
    ax.add_patch(Rectangle((0, 0), 1, 1, transform=ax.transAxes, fill=False, ec=GREY, lw=1))
    ax.set_anchor("NW")
    ax.axis("off")
    y, line = 0.98, 0.062
    for question in (page.questions([skill])[0] for skill in skills):
        answer = vlm.ask(page.image, question.text)
        right = is_right(page, question, answer)
        color = BLUE if right else VERMILION
        shown = answer
        if question.skill in JUDGES:
            draw(ax, page, answer, color)
            shown = "see the picture"
        asked = textwrap.fill(question.text, 29)
        beside.text(0, y, asked, va="top", fontsize=9.5)
        y -= line * (1 + asked.count("\n"))
        if right:
            shown = f"\N{CHECK MARK} {shown}"
        elif question.skill in JUDGES:
            shown = f"\N{MULTIPLICATION X} {shown}"
        else:
            shown = f"\N{MULTIPLICATION X} {shown} (true: {question.answer})"
        beside.text(0.02, y, shown, va="top", fontsize=9.5, color=color)
        y -= 1.75 * line
    beside.axis("off")


def show_resolution(ax) -> None:
    stored = vh.evaluation.experiment("resolution")
    pages = stored[stored["picture"] == "page"].groupby("tiles")
    right, count = pages["right"].sum(), pages["right"].size()
    spans = [vh.evaluation.interval(int(k), int(n)) for k, n in zip(right, count)]
    share = right / count
    ax.plot(share.index, share, color=BLUE, marker="o")
    ax.vlines(share.index, *zip(*spans), color=BLUE)
    ax.set(
        ylim=(0, 1), yticks=(0, 0.5, 1), xticks=list(share.index), xlim=(0.5, 9.5),
        ylabel="fields and cells read", xlabel="tiles of 96 pixels that the model sees the page in",
    )  # fmt: skip
    ax.set_title("See: what resolution buys", loc="left")


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
    vlm = vh.load("pocket-llava-next")
    matplotlib.rcParams.update(
        {"font.size": 10, "axes.titlesize": 11, "axes.titleweight": "bold", "text.color": INK,
         "axes.spines.top": False, "axes.spines.right": False, "text.parse_math": False}
    )  # fmt: skip
    figure = plt.figure(figsize=(14, 7.2), dpi=100, facecolor="white")
    size = vlm.card.bytes / 1e6  # as it is stored
    figure.text(
        0.012, 0.965,
        f"Ask: every answer is computed, offline, by a model of {size:.0f} MB; right or wrong",
        fontsize=11, weight="bold",
    )  # fmt: skip
    for kind, left, wide, text in (
        ("receipt", 0.012, 0.148, 0.17), ("things", 0.325, 0.221, 0.556),
        ("screen", 0.69, 0.148, 0.848),
    ):  # fmt: skip
        picture = figure.add_axes((left, 0.515, wide, 0.43))
        show_page(picture, figure.add_axes((text, 0.515, 0.14, 0.43)), vlm, kind)
    resolution, templates, binding = (
        figure.add_axes((left, 0.085, wide, 0.345))
        for left, wide in ((0.055, 0.22), (0.445, 0.18), (0.70, 0.285))
    )
    show_resolution(resolution)
    show_templates(templates)
    show_binding(binding)
    figure.savefig(PICTURE, metadata={"Software": None})
    print(f"{PICTURE.name}: {PICTURE.stat().st_size / 1e3:.0f} KB")


if __name__ == "__main__":
    main()
