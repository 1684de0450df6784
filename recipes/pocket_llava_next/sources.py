"""What is drawn for training: tiles for the tower, pictures with questions for the whole model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from recipes.pocket_llava import packing as shapes_packing
from recipes.pocket_llava.parts import IMAGE_SIZE
from recipes.pocket_llava.stages import EVERYTHING
from recipes.pocket_llava_next import sight, text
from recipes.pocket_llava_next.packing import Turns, Views, levels
from vlm_helpers import pages, scenes
from vlm_helpers.pages import atlas
from vlm_helpers.scenes import Draws

Tile = tuple[np.ndarray, dict[str, np.ndarray]]  # pixels [3, 96, 96], labels [64, …] of each kind


# --- tiles for the tower --------------------------------------------------------------------------


def text_tiles(draws: Draws, count: int, hard: float, plain: float = 0.0) -> Iterator[Tile]:
    """Tiles cut anywhere from one sheet of text, some of them shrunk unless it is plain print."""
    is_plain = draws.chance(plain)
    sheet = text.sheet(draws, hard, plain=is_plain)
    for _ in range(count):
        scale = draws.uniform(0.7, 1.3) if not is_plain and draws.chance(0.25 * hard) else 1.0
        room = sheet.ink.width - IMAGE_SIZE * scale
        strength = draws.uniform(0, 9) * draws.chance(0.2 if is_plain else 0.5 * hard)
        noise = np.random.RandomState(draws.below(2**31)).normal(0, 1, (IMAGE_SIZE,) * 2)
        x, y = (draws.uniform(0, room) for _ in range(2))
        if scale == 1:  # the tiles of a page that fits its grid are cut between pixels
            x, y = round(x), round(y)
        pixels, letters = sight.cut(
            sheet, x, y, scale,
            (strength * noise).astype(np.float32),
        )  # fmt: skip
        yield pixels, {"letters": letters}


def shape_tile(draws: Draws, seed: int) -> Tile:
    scene = scenes.sample(seed)
    return shapes_packing.pixels(scene, draws), {"shapes": shapes_packing.patch_labels(scene)}


def thing_tile(draws: Draws) -> Tile:
    """A few things of all sizes, some cut by the edge, some in front of others."""
    corners = np.array([[draws.uniform(150, 256) for _ in range(3)] for _ in range(2)])
    if draws.chance(0.15):
        corners -= 110
    along = np.linspace(0, 1, IMAGE_SIZE)[:, None, None]
    ground = corners[0] + along * (corners[1] - corners[0]) * draws.chance(0.6)
    ground = np.broadcast_to(ground, (IMAGE_SIZE, IMAGE_SIZE, 3)).astype(np.uint8)
    picture, names, boxes = Image.fromarray(ground), [], []
    for _ in range(draws.weighted((1, 2, 3, 4, 5), (2, 3, 3, 2, 1))):
        name = draws.pick(atlas.things().names)
        side = draws.uniform(18, 44) if draws.chance(0.75) else draws.uniform(44, 96)
        size = [max(1, round(side * share)) for share in atlas.proportions(name)]
        x, y = (round(draws.uniform(-0.3 * s, IMAGE_SIZE - 0.7 * s)) for s in size)
        box = (x, y, x + size[0], y + size[1])
        if any(_overlap(box, other) > 0.25 for other in boxes):
            continue
        mirrored = name not in atlas.things().still and draws.chance(0.3)
        drawing = atlas.picture(name, *size, mirrored=mirrored)
        picture.paste(drawing, (x, y), drawing)
        names.append(name)
        boxes.append(box)
    fractions = [[value / IMAGE_SIZE for value in box] for box in boxes]
    pixels = np.asarray(picture, np.float32).transpose(2, 0, 1)
    return sight.normalized(pixels), {"things": sight.thing_labels(fractions, names)}


def _overlap(a, b) -> float:
    """The shared area, as a share of the smaller box."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return max(0, wide) * max(0, high) / min(areas)


def tiles(
    draws: Draws, seed: int, counts: dict[str, int], hard: float, plain: float = 0.0
) -> dict[str, np.ndarray]:
    """A batch for the tower: so many tiles of each kind, with all their labels."""
    found: list[Tile] = []
    while (left := counts.get("text", 0) - len(found)) > 0:
        found += text_tiles(draws, min(6, left), hard, plain)
    found += [shape_tile(draws, seed + i) for i in range(counts.get("shapes", 0))]
    found += [thing_tile(draws) for _ in range(counts.get("things", 0))]
    found += page_tiles(draws, seed, counts.get("pages", 0))
    labels = sight.unknown(len(found))
    for at, (_, known) in enumerate(found):
        for kind, value in known.items():
            labels[kind][at] = value
    return {"pixels": levels(np.stack([pixels for pixels, _ in found]))} | labels


def page_tiles(draws: Draws, seed: int, count: int) -> list[Tile]:
    """`count` views of pages, overviews among them, up to four of a page."""
    found: list[Tile] = []
    while len(found) < count:
        picture = whole(pages.sample(seed))
        seed += 1
        views = Views(picture.size)
        known = picture.labels(views)
        for pick in draws.shuffled(range(len(views)))[: min(4, count - len(found))]:
            view = np.asarray(_view(picture.image, views, pick), np.float32)
            labels = {kind: value[pick] for kind, value in known.items()}
            found.append((sight.normalized(view.transpose(2, 0, 1)), labels))
    return found


def _view(image: Image.Image, views: Views, number: int) -> Image.Image:
    """An overview or tile much as the processor makes it."""
    (x, y), (width, height) = views.views[number]
    if number == 0:
        return image.resize((IMAGE_SIZE,) * 2, Image.Resampling.BILINEAR)
    inner = image.resize((round(width), round(height)), Image.Resampling.BILINEAR)
    return inner.crop((round(x), round(y), round(x) + IMAGE_SIZE, round(y) + IMAGE_SIZE))


# --- pictures with questions ----------------------------------------------------------------------


@dataclass
class Picture:
    """A picture, what can be asked about it, and what is known of its patches.

    Attributes:
        image: RGB.
        talks: without end: conversations about it, each a list of (question, answer).
        labels: `Views` of the picture -> the labels of all its patches.
    """

    image: Image.Image
    talks: Iterator[Turns]
    labels: Callable[[Views], dict[str, np.ndarray]]

    @property
    def size(self) -> tuple[int, int]:
        return self.image.size


def whole(page, talks: Iterator[Turns] | None = None) -> Picture:
    return Picture(
        page.image, talks or iter(()), lambda views: page_labels(page, views, (0, 0, 1, 1))
    )


def page_labels(page, views: Views, window) -> dict[str, np.ndarray]:
    """Letters and things of a part of a page; `window` is its box, in fractions of the page."""
    labels = sight.unknown(len(views))
    x0, y0, x1, y1 = window
    found = page.characters()
    places = found.places.copy()
    places[:, 0] = (places[:, 0] - x0) / (x1 - x0)
    places[:, 1] = (places[:, 1] - y0) / (y1 - y0)
    places[:, 2] /= y1 - y0
    # a new line begins where the writing goes back, or leaves its height
    back = np.diff(places[:, 0], prepend=0) < 0
    leap = np.abs(np.diff(places[:, 1], prepend=0)) > 0.5 * places[:, 2]
    lines = np.cumsum(back | leap)
    labels["letters"] = views.letters(found.text, places, lines, np.full(len(lines), sight.UNKNOWN))
    standing = [element for element in page.elements if element.role == "thing"]
    if standing:
        names = [element.text or element.name for element in standing]
        boxes = np.array([element.box for element in standing], np.float32).reshape(-1, 2, 2)
        boxes = (boxes - (x0, y0)) / (x1 - x0, y1 - y0)
        for view in range(len(views)):
            inside = views.points(view, boxes) / IMAGE_SIZE
            labels["things"][view] = sight.thing_labels(inside.reshape(-1, 4), names)
    return labels


def lines_of(draws: Draws, seed: int, kinds, most: int) -> Picture:
    """A strip cut from a page: one to `most` lines of it, to be read."""
    page = pages.sample(seed, kind=kinds)
    lines = page.lines
    for _ in range(8):
        count = 1 + draws.below(min(most, len(lines)))
        first = draws.below(len(lines) - count + 1)
        chosen = lines[first : first + count]
        x0, y0 = (min(line.box[i] for line in chosen) for i in (0, 1))
        x1, y1 = (max(line.box[i] for line in chosen) for i in (2, 3))
        others = [line for line in lines if line not in chosen]
        if all(_overlap((x0, y0, x1, y1), line.box) < 0.1 for line in others):
            break
    else:
        return whole(page, iter([[("Read the page.", page.text)]]))
    width, height = page.size
    margin = [draws.uniform(1, 10) for _ in range(4)]
    box = (
        max(0, round(x0 * width - margin[0])), max(0, round(y0 * height - margin[1] / 2)),
        min(width, round(x1 * width + margin[2])), min(height, round(y1 * height + margin[3] / 2)),
    )  # fmt: skip
    window = (box[0] / width, box[1] / height, box[2] / width, box[3] / height)
    talks = [[("Read the page.", "\n".join(line.text for line in chosen))]]
    if len(chosen) > 1:
        number = draws.below(len(chosen))
        talks.append([(f"Read line {number + 1}.", chosen[number].text)])
    return Picture(
        page.image.crop(box), iter(talks), lambda views: page_labels(page, views, window)
    )


def asked(draws: Draws, page, weights: dict[str, float]) -> Iterator[Turns]:
    """Without end: questions about a page, skills by weight (1 where none is given)."""
    own = sorted({question.skill for question in page.questions()})
    shares = [weights.get(skill, 1.0) for skill in own]
    while True:
        skill = draws.weighted(own, shares)
        found = page.questions([skill], seed=1 + draws.below(10**6))
        if found:
            yield [(found[0].text, found[0].answer)]


def page(draws: Draws, seed: int, kinds, weights: dict[str, float], read: float) -> Picture:
    """A page with questions; with probability `read` it is to be read whole, first."""
    drawn = pages.sample(seed, kind=kinds)

    def talks():
        if drawn.text and draws.chance(read):
            yield [("Read the page.", drawn.text)]
        yield from asked(draws, drawn, weights)

    return whole(drawn, talks())


def scene(draws: Draws, seed: int) -> Picture:
    """A scene with its own questions, most often small: one tile costs a fifth of nine."""
    drawn = scenes.sample(seed)
    side = draws.weighted((96, 192, 288), (7, 2, 1))
    skills, weights = zip(*EVERYTHING.items())

    def talks():
        while True:
            turns = shapes_packing.turns_for(drawn, draws, draws.weighted(skills, weights))
            if turns:
                yield turns

    def labels(views: Views) -> dict[str, np.ndarray]:
        known = sight.unknown(len(views))
        known["shapes"][0] = shapes_packing.patch_labels(drawn)
        return known

    return Picture(drawn.render(side, 2 if side == 96 else 1), talks(), labels)


def few(draws: Draws, weights: dict[str, float]) -> Picture:
    """One to four things, any of all, on a picture of two tiles or one: where names are learnt
    soonest, and where a picture costs least."""
    known = atlas.things()
    theme = draws.pick(tuple(known.themes)) if draws.chance(0.5) else "none"
    names = draws.shuffled(known.names)[: 1 + draws.below(4)]
    drawn = pages.picture_of(names, theme, seed=draws.below(2**31))
    while min(drawn.size) > 192:  # half of it would not fit two tiles
        drawn = pages.picture_of(names, theme, seed=draws.below(2**31))
    return shrunk(whole(drawn, asked(draws, drawn, weights)), 0.5)


def snippet(draws: Draws) -> Picture:
    """One tile of running text, 8 pixels high to 28: where reading is learnt soonest."""
    printed = text.sheet(draws, 1.0, side=160, plain=draws.chance(0.75))
    scale = draws.uniform(0.45, 1.0)
    x, y = (draws.uniform(0, 160 - IMAGE_SIZE * scale) for _ in range(2))
    pixels, centers = sight.shown(printed, x, y, scale)
    high = printed.heights / scale
    inside = ((centers > 1) & (centers < IMAGE_SIZE - 1)).all(1) & (high >= sight.READABLE)
    lines: dict[int, str] = {}
    for at in np.flatnonzero(inside):
        line = printed.lines[at]
        before = lines.get(line, "")
        gap = " " if before and printed.begins[at] else ""
        lines[line] = before + gap + printed.letters[at]
    told = list(lines.values())
    talks = [[("Read the page.", "\n".join(told))]] if told else []
    if len(told) > 1:
        number = draws.below(len(told))
        talks.append([(f"Read line {number + 1}.", told[number])])
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8).transpose(1, 2, 0))
    return Picture(image, iter(talks), lambda views: sight.unknown(len(views)))


def shrunk(drawn: Picture, scale: float) -> Picture:
    size = [round(scale * side) for side in drawn.size]
    return replace(drawn, image=drawn.image.resize(size, Image.Resampling.BILINEAR))


PAGES = {
    "pages": pages.KINDS, "charts": ("bars", "lines", "pie"), "tables": ("table",),
    "screens": ("screen",), "diagrams": ("diagram",),
}  # fmt: skip


def picture(draws: Draws, seed: int, stage) -> Picture:
    """A picture of a stage's mixture."""
    kinds, weights = zip(*stage.draws.items())
    kind = draws.weighted(kinds, weights)
    if kind == "strips":
        printed = [name for name in pages.KINDS if name != "things"]
        return lines_of(draws, seed, printed, stage.lines)
    if kind == "snippets":
        return snippet(draws)
    if kind == "few":
        return few(draws, stage.weights)
    if kind in ("things", "whole"):
        found = page(draws, seed, ("things",), stage.weights, 0.0)
        scale = 1 if kind == "whole" else draws.weighted((1, 0.67, 0.5), (3, 4, 3))
        return shrunk(found, scale)
    if kind in PAGES:
        return page(draws, seed, PAGES[kind], stage.weights, stage.read)
    return scene(draws, seed)
