"""Diagrams: boxes with words, and arrows between them.

A prior on purpose: many show what one knows (the seasons, what eats what). One of four such
(`SWAPPED`) has two boxes in each other's place: whoever knows without looking is wrong there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from vlm_helpers._draws import Draws
from vlm_helpers._questions import NONE, box_tokens
from vlm_helpers._words import choice, listed
from vlm_helpers.pages import _lexicon, _reading, fonts
from vlm_helpers.pages._canvas import Box, Canvas, Color, Point
from vlm_helpers.pages._kind import UNSEEN, Kind

SWAPPED = 0.25
IDS = "abcdefghi"  # what the boxes are called in `fields`; their labels may change

CYCLES = {
    "Seasons": "Spring,Summer,Fall,Winter",
    "Water": "Sea,Cloud,Rain,River",
    "Butterfly": "Egg,Caterpillar,Pupa,Butterfly",
    "Frog": "Eggs,Tadpole,Froglet,Frog",
    "Day": "Morning,Noon,Evening,Night",
    "Plant": "Seed,Sprout,Plant,Flower,Fruit",
    "Hens": "Egg,Chick,Hen",
    "Recycling": "Buy,Use,Collect,Recycle",
    "Week": "Mon,Tue,Wed,Thu,Fri,Sat,Sun",
    "Design": "Plan,Build,Test,Learn",
    "Traffic light": "Red,Green,Yellow",
}
STEPS = {
    "Tea": "Boil water,Add tea,Wait,Pour,Drink",
    "Bread": "Mix,Knead,Rest,Bake,Cool",
    "A letter": "Write,Seal,Stamp,Send,Read",
    "Trip": "Plan,Book,Pack,Travel,Return",
    "Garden": "Dig,Sow,Water,Weed,Harvest",
    "Order": "Order,Pay,Pack,Ship,Deliver",
    "Laundry": "Sort,Wash,Hang,Iron,Fold",
    "Program": "Design,Code,Test,Release",
    "Bottles": "Clean,Fill,Close,Label,Sell",
    "House": "Draw,Dig,Build,Paint,Move in",
    "Film": "Idea,Script,Shoot,Cut,Show",
    "Growth": "Baby,Child,Teenager,Adult",
    "Wool": "Sheep,Wool,Yarn,Sweater",
}
EATERS = {  # eaten: by whom
    "Grass": ("Rabbit", "Deer", "Zebra", "Cricket", "Mouse"),
    "Leaves": ("Caterpillar", "Giraffe", "Snail", "Deer"),
    "Seeds": ("Mouse", "Sparrow"),
    "Algae": ("Shrimp", "Snail"),
    "Shrimp": ("Fish", "Squid"),
    "Fish": ("Seal", "Heron", "Penguin"),
    "Caterpillar": ("Sparrow", "Robin"),
    "Cricket": ("Frog", "Lizard", "Robin"),
    "Mouse": ("Owl", "Cat", "Snake", "Fox"),
    "Rabbit": ("Fox", "Eagle", "Wolf"),
    "Deer": ("Wolf", "Lynx"),
    "Zebra": ("Lion", "Crocodile"),
    "Giraffe": ("Lion",),
    "Snail": ("Hedgehog", "Robin"),
    "Sparrow": ("Hawk", "Cat"),
    "Robin": ("Hawk", "Cat"),
    "Frog": ("Snake", "Heron"),
    "Lizard": ("Hawk", "Snake"),
    "Snake": ("Eagle", "Hawk"),
    "Squid": ("Seal", "Shark"),
    "Penguin": ("Orca", "Seal"),
    "Seal": ("Shark", "Orca"),
}
PLANTS = ("Grass", "Leaves", "Seeds", "Algae")
TOPICS = {
    "Animals": {"Birds": "Owl,Duck,Hawk", "Fish": "Shark,Trout,Eel", "Mammals": "Cat,Bear,Whale"},
    "Food": {"Fruit": "Apple,Plum,Pear", "Bread": "Roll,Bagel,Toast", "Dairy": "Milk,Cheese,Cream"},
    "Music": {"Strings": "Violin,Cello,Harp", "Wind": "Flute,Horn,Oboe", "Drums": "Bongo,Snare"},
    "Sports": {"Ball": "Soccer,Tennis,Golf", "Water": "Rowing,Diving", "Snow": "Ski,Sled,Biathlon"},
    "Travel": {"Road": "Car,Bus,Bike", "Rail": "Train,Tram,Metro", "Water": "Ship,Ferry,Canoe"},
    "Plants": {"Trees": "Oak,Pine,Birch", "Flowers": "Rose,Tulip,Lily", "Herbs": "Basil,Mint,Dill"},
    "Disk": {
        "Photos": "Beach,Party,Cats",
        "Music": "Rock,Jazz,Folk",
        "Work": "Letters,Plans,Bills",
    },
}
ROLES = (
    "Sales",
    "Design",
    "Finance",
    "Legal",
    "Support",
    "Press",
    "Store",
    "Lab",
    "Travel",
    "Data",
)
DECISIONS = (
    ("Rain?", "Umbrella", "Hat"), ("Hungry?", "Cook", "Read"), ("Bus late?", "Walk", "Ride"),
    ("Open?", "Go in", "Ring"), ("Test ok?", "Release", "Repair"), ("Paid?", "Ship", "Remind"),
    ("Full?", "Empty it", "Go on"), ("Cold?", "Heat", "Air"), ("Tired?", "Sleep", "Work"),
    ("Known?", "Greet", "Ask"), ("Light on?", "Turn off", "Leave"), ("Too big?", "Cut", "Keep"),
    ("Ripe?", "Eat", "Wait"), ("Broken?", "Fix", "Use"), ("Late?", "Run", "Stroll"),
)  # fmt: skip
FIRST_STEPS = ("Look", "Check", "Measure", "Ask", "Go there", "Call", "Open it", "Think")


def facts(draws: Draws, split: str) -> dict:
    kind = draws.pick(("food chain", "steps", "cycle", "tree", "flow chart", "network"))
    title, labels, arrows = _MAKERS[kind](draws)
    return {
        "kind": kind,
        "title": title if draws.chance(0.5) else "",
        "boxes": dict(zip(IDS, labels)),
        "arrows": [{"from": IDS[a], "to": IDS[b], "label": label} for a, b, label in arrows],
    }


def _row(n: int) -> list[tuple[int, int, str]]:
    return [(i, i + 1, "") for i in range(n - 1)]


def _swapped(draws: Draws, labels: list[str]) -> list[str]:
    labels = list(labels)
    if len(labels) > 2 and draws.chance(SWAPPED):
        i, j = _lexicon.several(draws, range(len(labels)), 2)
        labels[i], labels[j] = labels[j], labels[i]
    return labels


def _food_chain(draws: Draws):
    chain = [draws.pick(PLANTS)]
    while chain[-1] in EATERS and len(chain) < 5:
        chain.append(draws.pick(EATERS[chain[-1]]))
    chain = chain[: max(3, 2 + draws.below(4))]
    return "Who eats whom", _swapped(draws, chain), _row(len(chain))


def _steps(draws: Draws):
    if draws.chance(0.4):  # a line of trains: nothing that one could know
        labels = _lexicon.several(draws, _lexicon.CITIES, 3 + draws.below(3))
        return f"Line {1 + draws.below(19)}", labels, _row(len(labels))
    title = draws.pick(tuple(STEPS))
    labels = STEPS[title].split(",")
    labels = _swapped(draws, labels[draws.below(len(labels) - 2) :])
    return title, labels, _row(len(labels))


def _cycle(draws: Draws):
    if draws.chance(0.4):
        title, labels = "Round", _lexicon.several(draws, _lexicon.FIRST_NAMES, 3 + draws.below(4))
    else:
        title = draws.pick(tuple(CYCLES))
        labels = _swapped(draws, CYCLES[title].split(","))
        first = draws.below(len(labels))
        labels = labels[first:] + labels[:first]
    return title, labels, [*_row(len(labels)), (len(labels) - 1, 0, "")]


def _tree(draws: Draws):
    how = draws.pick(("people", "topics", "firm"))
    branches = 2 + draws.below(2)
    leaves = [draws.below(3) for _ in range(branches - 1)]
    leaves = draws.shuffled([*leaves, min(draws.below(3), 5 - sum(leaves))])
    if how == "topics":
        root = draws.pick(tuple(TOPICS))
        names = _lexicon.several(draws, tuple(TOPICS[root]), branches)
        parts = [_lexicon.several(draws, tuple(TOPICS[root][name].split(",")), n)
                 for name, n in zip(names, leaves)]  # fmt: skip
        title = "Overview"
    else:
        people = _lexicon.several(draws, _lexicon.FIRST_NAMES, 10)
        root, title = (people.pop(), "Family") if how == "people" else ("Director", "Our firm")
        names = _lexicon.several(draws, ROLES if how == "firm" else people[:4], branches)
        rest = [person for person in people if person not in names]
        parts = [[rest.pop() for _ in range(n)] for n in leaves]
    labels, arrows = [root, *names], [(0, i + 1, "") for i in range(branches)]
    for i, part in enumerate(parts):
        for leaf in part:
            arrows.append((i + 1, len(labels), ""))
            labels.append(leaf)
    return title, labels, arrows


def _flow_chart(draws: Draws):
    question, yes, no = draws.pick(DECISIONS)
    if draws.chance(0.3):
        yes, no = no, yes
    step = draws.pick([step for step in FIRST_STEPS if step not in (yes, no)])
    how = draws.pick(("meet", "ends", "again"))
    if how == "meet":
        labels = ["Start", question, yes, no, "End"]
        arrows = [(0, 1, ""), (1, 2, "yes"), (1, 3, "no"), (2, 4, ""), (3, 4, "")]
    elif how == "ends":
        labels = ["Start", step, question, yes, no]
        arrows = [(0, 1, ""), (1, 2, ""), (2, 3, "yes"), (2, 4, "no")]
    else:
        labels = ["Start", step, question, yes, no]
        arrows = [(0, 1, ""), (1, 2, ""), (2, 3, "yes"), (2, 4, "no"), (4, 1, "")]
    return draws.pick(("What to do", "Plan", "Rules")), labels, arrows


def _network(draws: Draws):
    n = 4 + draws.below(3)
    labels = _lexicon.several(draws, draws.pick((_lexicon.NOUNS, _lexicon.CITIES, ROLES)), n)
    arrows = [(draws.below(i), i) for i in range(1, n)]
    for _ in range(draws.below(3)):
        a, b = _lexicon.several(draws, range(n), 2)
        if (a, b) not in arrows and (b, a) not in arrows:
            arrows.append((a, b))
    turned = [(b, a) if draws.chance(0.4) else (a, b) for a, b in arrows]
    return "Links", labels, [(a, b, "") for a, b in turned]


_MAKERS = {
    "food chain": _food_chain, "steps": _steps, "cycle": _cycle, "tree": _tree,
    "flow chart": _flow_chart, "network": _network,
}  # fmt: skip


# --- where the boxes stand: their centres as fractions of the room --------------------------------

Spots = dict[str, Point]


def _chain_spots(names: list[str], way: str) -> Spots:
    n, last = len(names), max(1, len(names) - 1)
    if way == "right":
        return {name: (i / last, 0.5) for i, name in enumerate(names)}
    if way == "down":
        return {name: (0.5, i / last) for i, name in enumerate(names)}
    if way == "stairs":
        return {name: (i / last, i / last) for i, name in enumerate(names)}
    columns = math.ceil(n / 2)  # "snake": to the right, and below back to the left
    places = [(i / max(1, columns - 1), 0) for i in range(columns)]
    return dict(zip(names, places + [(x, 1) for x, _ in reversed(places)]))


def _ring_spots(names: list[str], start: float, clockwise: bool) -> Spots:
    spots = {}
    for i, name in enumerate(names):
        angle = math.radians(start - 90) + (1 if clockwise else -1) * 2 * math.pi * i / len(names)
        spots[name] = (0.5 + 0.5 * math.cos(angle), 0.5 + 0.5 * math.sin(angle))
    return spots


def _tree_spots(fields: dict, way: str) -> Spots:
    below: dict[str, list[str]] = {}
    for arrow in fields["arrows"]:
        below.setdefault(arrow["from"], []).append(arrow["to"])
    root = next(iter(fields["boxes"]))
    if sorted(arrow["to"] for arrow in fields["arrows"]) != sorted(set(fields["boxes"]) - {root}):
        return {}
    across, depth, ends = {}, {root: 0}, [0]

    def place(name: str) -> float:
        children = below.get(name, [])
        for child in children:
            depth[child] = depth[name] + 1
        spots = [place(child) for child in children]
        across[name] = (spots[0] + spots[-1]) / 2 if spots else float(ends[0])
        ends[0] += not spots
        return across[name]

    place(root)
    wide, deep = max(1, ends[0] - 1), max(1, *depth.values())
    spots = {name: (across[name] / wide, depth[name] / deep) for name in across}
    if way == "right":
        return {name: (y, x) for name, (x, y) in spots.items()}
    return {name: (x, 1 - y) if way == "up" else (x, y) for name, (x, y) in spots.items()}


def _flow_spots(fields: dict, mirrored: bool) -> Spots:
    n = len(fields["arrows"])
    last = fields["arrows"][-1]
    if last["from"] == "d" and last["to"] == "e":  # both ways meet
        spots = [(0.5, 0), (0.5, 0.33), (0, 0.68), (1, 0.68), (0.5, 1)]
    elif n == 4:
        spots = [(0.5, 0), (0.5, 0.33), (0.5, 0.66), (0, 1), (1, 1)]
    else:
        spots = [(0, 0), (0, 0.33), (0, 0.68), (0, 1), (1, 0.5)]
    return {name: (1 - x if mirrored else x, y) for name, (x, y) in zip(IDS, spots)}


def _grid_spots(names: list[str], draws: Draws) -> Spots:
    columns, rows = draws.pick(((3, 2), (2, 3), (3, 3)))
    cells = [(i, j) for j in range(rows) for i in range(columns)]
    chosen = draws.shuffled(cells)[: len(names)]
    found = {}
    for name, (i, j) in zip(names, chosen):
        x = (i + draws.uniform(-0.16, 0.16)) / (columns - 1)
        y = (j + draws.uniform(-0.16, 0.16)) / (rows - 1)
        found[name] = (min(1.0, max(0.0, x)), min(1.0, max(0.0, y)))
    return found


# --- drawing --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Palette:
    page: Color
    ink: Color  # of arrows and letters outside of boxes
    fills: tuple[Color, ...]
    letters: Color
    edge: Color | None


PALETTES = (
    Palette((255, 255, 255), (60, 60, 66), ((222, 234, 250),), (20, 34, 60), (70, 110, 180)),
    Palette((252, 250, 244), (90, 76, 60), ((250, 230, 190), (238, 216, 220), (216, 234, 210)),
            (50, 38, 26), (140, 116, 84)),
    Palette((246, 248, 248), (60, 80, 80), ((52, 130, 122),), (255, 255, 255), None),
    Palette((34, 38, 48), (210, 214, 222), ((70, 84, 116),), (238, 240, 246), (150, 164, 196)),
    Palette((255, 255, 255), (40, 40, 40), ((255, 255, 255),), (20, 20, 20), (30, 30, 30)),
    Palette((240, 244, 236), (70, 84, 60), ((186, 214, 160), (250, 232, 160), (200, 222, 240)),
            (36, 46, 28), (96, 124, 74)),
    Palette((250, 246, 250), (92, 60, 110), ((236, 214, 242),), (64, 30, 84), (150, 100, 176)),
    Palette((255, 255, 255), (90, 90, 96), ((238, 120, 70), (60, 140, 200), (90, 160, 90)),
            (255, 255, 255), None),
)  # fmt: skip
UNSEEN_PALETTES = (
    Palette((24, 60, 96), (220, 236, 250), ((24, 60, 96),), (240, 248, 255), (220, 236, 250)),
    Palette((250, 236, 214), (120, 60, 30), ((206, 150, 96),), (60, 26, 10), (120, 60, 30)),
    Palette((228, 240, 240), (20, 90, 100), ((255, 250, 120), (255, 190, 200)), (20, 60, 70), None),
)  # fmt: skip
SHAPES = (
    (192, 192),
    (288, 192),
    (192, 288),
    (288, 288),
    (384, 96),
    (288, 96),
    (96, 288),
    (96, 384),
)


@dataclass(frozen=True)
class Look:
    palette: Palette
    font: str
    form: str  # of the boxes: "square", "round", "oval", or "cut", which only unseen styles have
    width: float  # of the arrows
    bold: bool


def draw(fields: dict, draws: Draws, split: str) -> Canvas:
    for arrow in fields["arrows"]:
        for end in (arrow["from"], arrow["to"]):
            if end not in fields["boxes"]:
                raise ValueError(
                    f"An arrow goes to or from a box {end!r}; the boxes are "
                    f"{listed(map(repr, fields['boxes']))}."
                )
    choice("A diagram's kind", fields["kind"], _MAKERS)
    unseen = split == UNSEEN
    look = Look(
        palette=draws.pick(UNSEEN_PALETTES if unseen else PALETTES),
        font=fonts.pick(draws, split, "sans", "serif"),
        form="cut" if unseen else draws.pick(("square", "round", "oval")),
        width=draws.pick((1.2, 1.6, 2.2)),
        bold=draws.chance(0.3),
    )
    names, kind = list(fields["boxes"]), fields["kind"]
    start, clockwise = draws.pick((0, 45, 90, 180)), not unseen
    mirrored, way = draws.chance(0.3), draws.pick(("right", "down", "snake"))
    tree = "up" if unseen else draws.pick(("down", "right"))
    wanted = draws.weighted((9, 10, 11, 12, 13), (2, 3, 3, 2, 1))
    shapes = draws.shuffled(SHAPES)
    if draws.chance(0.8):  # mostly no larger than it has to be
        shapes.sort(key=lambda shape: shape[0] * shape[1])
    ring = _ring_spots(names, start, clockwise)
    if kind == "cycle":
        plans = [ring]
    elif kind == "tree":
        plans = [_tree_spots(fields, tree)]
    elif kind == "flow chart":
        plans = [_flow_spots(fields, mirrored)]
    elif kind == "network":
        plans = [_grid_spots(names, draws) for _ in range(12)]
    else:
        plans = [_chain_spots(names, "stairs" if unseen else way)]
    if any(spots.keys() != ring.keys() for spots in plans):
        raise ValueError(f"These arrows make no {kind}: give 'kind' and their ends as they were.")
    plans.append(ring)  # there, no arrow meets a third box
    for spots in plans:
        size = wanted
        while size >= 8:
            for shape in shapes:
                sketch = _Sketch(fields, look, size, shape, spots)
                if sketch.fits():
                    return sketch.paint()
            size -= 1
    raise ValueError("This diagram is too full: shorten its texts.")


class _Sketch:
    """Boxes and arrows at a size of letters in a picture of some shape."""

    def __init__(self, fields: dict, look: Look, size: float, shape, spots: Spots):
        self.fields, self.look, self.size, self.spots = fields, look, size, spots
        self.width, self.height = shape
        self.small = max(8.0, 0.85 * size)  # of the letters beside arrows
        self.font = fonts.bold(look.font) if look.bold else look.font
        self.questions = {a["from"] for a in fields["arrows"] if a["label"]}
        self.top = 1.9 * size + 4 if fields["title"] else 0.0
        self.boxes: dict[str, Box] = {}
        extents = {name: self.extent(name, text) for name, text in fields["boxes"].items()}
        wide, tall = (max(e[axis] for e in extents.values()) for axis in (0, 1))
        room = (self.width - 10 - wide, self.height - self.top - 10 - tall)
        for name, (u, v) in spots.items():
            x, y = 5 + wide / 2 + u * room[0], self.top + 5 + tall / 2 + v * room[1]
            w, h = extents[name]
            self.boxes[name] = tuple(map(round, (x - w / 2, y - h / 2, x + w / 2, y + h / 2)))
        self.roomy = room[0] >= 0 and room[1] >= 0

    def text_width(self, text: str) -> float:
        return fonts.width(text, self.font, round(2 * self.size) / 2, True)

    def form_of(self, name: str) -> str:
        return "diamond" if name in self.questions else self.look.form

    def extent(self, name: str, text: str) -> tuple[float, float]:
        w, h = self.text_width(text) + 1.2 * self.size, 2.0 * self.size
        diamond, oval = (1.25 * w + self.size, 3.1 * self.size), (1.25 * w, 2.3 * self.size)
        return {"diamond": diamond, "oval": oval}.get(self.form_of(name), (w, h))

    def fits(self) -> bool:
        """Whether no box is too near to another, and no arrow too short or across a third box."""
        title = fonts.width(self.fields["title"], fonts.bold(self.look.font), 1.1 * self.size, True)
        if not self.roomy or title > self.width - 8:
            return False
        shown = list(self.boxes.values())
        if any(_apart(one, two) < 6 for i, one in enumerate(shown) for two in shown[:i]):
            return False
        self.routes = [self.route(arrow) for arrow in self.fields["arrows"]]
        for arrow, points in zip(self.fields["arrows"], self.routes):
            if sum(math.dist(a, b) for a, b in zip(points, points[1:])) < 13:
                return False
            for name, box in self.boxes.items():
                if name not in (arrow["from"], arrow["to"]) and _meets(points, box, 4):
                    return False
        self.labels = [
            self.label(arrow["label"], points) if arrow["label"] else None
            for arrow, points in zip(self.fields["arrows"], self.routes)
        ]
        return None not in [
            label for arrow, label in zip(self.fields["arrows"], self.labels) if arrow["label"]
        ]

    def route(self, arrow: dict) -> list[Point]:
        ends = [(self.boxes[name], self.form_of(name)) for name in (arrow["from"], arrow["to"])]
        (one, form), (other, other_form) = ends
        return [_edge(one, form, _middle(other), 2), _edge(other, other_form, _middle(one), 3)]

    def label(self, text: str, points: list[Point]) -> Point | None:
        """Where the label of an arrow goes, its middle: beside it, over nothing else."""
        (x0, y0), (x1, y1) = points[0], points[-1]
        size = self.small
        wide = fonts.width(text, self.look.font, round(2 * size) / 2, True) / 2 + 2
        length = math.dist((x0, y0), (x1, y1)) or 1
        nx, ny = (y1 - y0) / length, (x0 - x1) / length
        for part in (0.4, 0.55, 0.7):
            for side in (1, -1):
                reach = 3 + abs(nx) * wide + abs(ny) * 0.6 * size
                x = x0 + part * (x1 - x0) + side * nx * reach
                y = y0 + part * (y1 - y0) + side * ny * reach
                box = (x - wide, y - 0.6 * size, x + wide, y + 0.6 * size)
                inside = box[0] > 2 and box[2] < self.width - 2 and box[3] < self.height - 2
                if inside and not any(
                    _apart(box, other) < 1 for other in self.boxes.values()
                ) and not any(_meets(route, box, 0) for route in self.routes):  # fmt: skip
                    return x, y
        return None

    def paint(self) -> Canvas:
        look, palette, fields = self.look, self.look.palette, self.fields
        c = Canvas(self.width, self.height, palette.page)
        if fields["title"]:
            c.text(self.width / 2, 5, fields["title"], fonts.bold(look.font), 1.1 * self.size,
                   palette.ink, anchor="m", role="title", name="title")  # fmt: skip
        for number, points in enumerate(self.routes):
            c.arrow(points, palette.ink, look.width, 4.5 + 1.5 * look.width)
            xs, ys = zip(*points)
            c.element("arrow", (min(xs) - 3, min(ys) - 3, max(xs) + 3, max(ys) + 3),
                      name=f"arrows.{number}")  # fmt: skip
        for number, (name, text) in enumerate(fields["boxes"].items()):
            self.outline(c, name, self.boxes[name], palette.fills[number % len(palette.fills)])
            c.element("box", self.boxes[name], text, f"boxes.{name}")
        ink, light = palette.ink, palette.letters
        texts = [
            (_middle(self.boxes[name]), text, self.font, self.size, light, "label", "")
            for name, text in fields["boxes"].items()
        ] + [
            (spot, arrow["label"], look.font, self.small, ink, "arrow label", f"arrows.{i}.label")
            for i, (arrow, spot) in enumerate(zip(fields["arrows"], self.labels))
            if spot
        ]
        for row in _rows(texts, 0.7 * self.size):
            for number, ((x, y), text, font, size, color, role, name) in enumerate(row):
                more = {"role": role, "name": name, "join": number > 0}
                c.text(x, y - 0.37 * size, text, font, size, color, anchor="m", **more)
        return c

    def outline(self, c: Canvas, name: str, box: Box, fill: Color) -> None:
        x0, y0, x1, y1 = box
        edge, form = self.look.palette.edge, self.form_of(name)
        if form == "oval":
            c.ellipse(*box, fill, edge, 1.3)
        elif form in ("diamond", "cut"):
            x, y = _middle(box)
            cut = 5

            def corners(inset: float) -> list[Point]:
                a0, b0, a1, b1 = x0 + inset, y0 + inset, x1 - inset, y1 - inset
                if form == "diamond":
                    return [(x, b0), (a1, y), (x, b1), (a0, y)]
                return [(a0 + cut, b0), (a1 - cut, b0), (a1, b0 + cut), (a1, b1 - cut),
                        (a1 - cut, b1), (a0 + cut, b1), (a0, b1 - cut), (a0, b0 + cut)]  # fmt: skip

            c.polygon(corners(0), edge or fill)
            if edge:
                c.polygon(corners(1.8 if form == "diamond" else 1.3), fill)
        else:
            c.rect(x0, y0, x1, y1, fill, edge, 1, 5 if form == "round" else 0)


def _rows(texts: list[tuple], apart: float) -> list[list[tuple]]:
    """Texts by the heights of their middles: rows from top to bottom, each from left to right."""
    rows: list[list[tuple]] = []
    for text in sorted(texts, key=lambda text: text[0][1]):
        if rows and text[0][1] - rows[-1][0][0][1] < apart:
            rows[-1].append(text)
        else:
            rows.append([text])
    return [sorted(row, key=lambda text: text[0][0]) for row in rows]


def _middle(box: Box) -> Point:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _apart(one: Box, other: Box) -> float:
    """The gap between two boxes along the axis where it is wider; below 0 they overlap."""
    return max(one[0] - other[2], other[0] - one[2], one[1] - other[3], other[1] - one[3])


def _edge(box: Box, form: str, toward: Point, gap: float) -> Point:
    """Where the line from the middle of a box leaves its outline, and `gap` pixels further."""
    x, y = _middle(box)
    dx, dy = toward[0] - x, toward[1] - y
    across, down = 2 * abs(dx) / (box[2] - box[0]), 2 * abs(dy) / (box[3] - box[1])
    reach = {"oval": math.hypot(across, down), "diamond": across + down}.get(
        form, max(across, down)
    )
    part = 1 / max(1.0, reach) + gap / (math.hypot(dx, dy) or 1)
    return x + part * dx, y + part * dy


def _meets(points: list[Point], box: Box, margin: float) -> bool:
    """Whether a line of straight pieces comes nearer to the box than `margin`."""
    x0, y0, x1, y1 = box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin
    for (ax, ay), (bx, by) in zip(points, points[1:]):
        low, high = 0.0, 1.0
        for a, b, least, most in ((ax, bx, x0, x1), (ay, by, y0, y1)):
            if a == b:
                if not least <= a <= most:
                    low, high = 1.0, 0.0
                continue
            enter, leave = sorted(((least - a) / (b - a), (most - a) / (b - a)))
            low, high = max(low, enter), min(high, leave)
        if low <= high:
            return True
    return False


# --- questions ------------------------------------------------------------------------------------


def _after(page, name: str) -> list[str]:
    return [arrow["to"] for arrow in page.fields["arrows"] if arrow["from"] == name]


def _before(page, name: str) -> list[str]:
    return [arrow["from"] for arrow in page.fields["arrows"] if arrow["to"] == name]


def _boxes(page, names) -> list:
    return [page.get(f"boxes.{name}") for name in names]


def _labels(page) -> list[str]:
    return list(page.fields["boxes"].values())


def _single(page, draws, neighbors, wordings):
    """A question for the only neighbour of a box, seldom for that of one that has none."""
    boxes = page.fields["boxes"]
    one = [name for name in boxes if len(neighbors(page, name)) == 1]
    none = [name for name in boxes if not neighbors(page, name)]
    if not one and not none:
        return None
    name = draws.pick(none if none and (not one or draws.chance(0.08)) else one)
    found = neighbors(page, name)
    text = draws.pick(wordings).format(boxes[name])
    answer = boxes[found[0]] if found else NONE
    return text, answer, _boxes(page, [name, *found]), _labels(page)


def leads_to(page, draws):
    wordings = ["What does {} lead to?", "What comes after {}?", "Where does the arrow from {} go?"]
    if page.fields["kind"] == "food chain":
        wordings = [*wordings, "In the diagram, what eats {}?"]
    return _single(page, draws, _after, wordings)


def comes_before(page, draws):
    wordings = [
        "What comes before {}?",
        "What leads to {}?",
        "Where does the arrow to {} come from?",
    ]
    if page.fields["kind"] == "food chain":
        wordings = [*wordings, "In the diagram, what does {} eat?"]
    return _single(page, draws, _before, wordings)


def two_steps(page, draws):
    """What comes two arrows further on, where there is only one way."""
    boxes = page.fields["boxes"]
    ways = []
    for name in boxes:
        first = _after(page, name)
        second = _after(page, first[0]) if len(first) == 1 else []
        if len(second) == 1 and second[0] != name:
            ways.append((name, first[0], second[0]))
    if not ways:
        return None
    way = draws.pick(ways)
    wordings = ("What comes two steps after {}?", "Follow two arrows from {}: where are you?")
    text = draws.pick(wordings).format(boxes[way[0]])
    return text, boxes[way[2]], _boxes(page, way), _labels(page)


def branch(page, draws):
    """Where it goes from a question, by its answer."""
    labelled = [arrow for arrow in page.fields["arrows"] if arrow["label"]]
    if not labelled:
        return None
    arrow, boxes = draws.pick(labelled), page.fields["boxes"]
    wordings = ("What comes after {}, if the answer is {}?", "{}, {}: what is next?")
    text = draws.pick(wordings).format(boxes[arrow["from"]], arrow["label"])
    found = _boxes(page, [arrow["from"], arrow["to"]])
    return text, boxes[arrow["to"]], found, _labels(page)


def arrow(page, draws):
    boxes = page.fields["boxes"]
    pairs = [(a["from"], a["to"]) for a in page.fields["arrows"]]
    there = draws.chance(0.5)
    if there:
        one, other = draws.pick(pairs)
    else:
        turned = [(b, a) for a, b in pairs if (b, a) not in pairs]
        none = [(a, b) for a in boxes for b in boxes if a != b and (a, b) not in pairs
                and (b, a) not in pairs]  # fmt: skip
        one, other = draws.pick(turned if not none or (turned and draws.chance(0.5)) else none)
    wordings = ("Is there an arrow from {} to {}?", "Does an arrow lead from {} to {}?")
    text = draws.pick(wordings).format(boxes[one], boxes[other])
    return text, "yes" if there else "no", _boxes(page, [one, other]), ("yes", "no")


def count(page, draws):
    boxes, arrows = page.fields["boxes"], page.fields["arrows"]
    name = draws.pick(tuple(boxes))
    what, number = draws.pick((
        ("boxes are there", len(boxes)), ("arrows are there", len(arrows)),
        (f"arrows leave {boxes[name]}", len(_after(page, name))),
        (f"arrows end at {boxes[name]}", len(_before(page, name))),
    ))  # fmt: skip
    return f"How many {what}?", str(number), (), tuple("0123456789")


def start_or_end(page, draws):
    """The only box that no arrow leads to, or that none leaves."""
    boxes = page.fields["boxes"]
    first = [name for name in boxes if not _before(page, name)]
    last = [name for name in boxes if not _after(page, name)]
    options = []
    if len(first) == 1:
        word = "What is the root of the tree?" if page.fields["kind"] == "tree" else (
            "Where does it start?"
        )  # fmt: skip
        options += [(word, first[0]), ("Which box has no arrow to it?", first[0])]
    if len(last) == 1:
        options += [("Where does it end?", last[0]), ("Which box does no arrow leave?", last[0])]
    if not options:
        return None
    text, name = draws.pick(options)
    return text, boxes[name], _boxes(page, [name]), _labels(page)


def children(page, draws):
    """All boxes that one with several arrows leads to."""
    boxes = page.fields["boxes"]
    several = [name for name in boxes if len(_after(page, name)) > 1]
    if not several:
        return None
    name = draws.pick(several)
    found = _after(page, name)
    wordings = ("Which boxes does {} lead to?", "Name all boxes that {} leads to.")
    text = draws.pick(wordings).format(boxes[name])
    return text, listed(boxes[other] for other in found), _boxes(page, [name, *found])


KINDS = {"food chain": "chain", "steps": "chain"}  # what one sees of it


def kind(page, draws):
    wordings = (
        "What kind of diagram is it?",
        "Is it a chain, a cycle, a tree, a flow chart or a network?",
    )
    candidates = ("chain", "cycle", "tree", "flow chart", "network")
    name = page.fields["kind"]
    return draws.pick(wordings), KINDS.get(name, name), (), candidates


def locate(page, draws):
    name = draws.pick(tuple(page.fields["boxes"]))
    found = page.get(f"boxes.{name}")
    wordings = ("Where is the box {}?", "Locate the box {}.", "Give the box of {}.")
    text = draws.pick(wordings).format(page.fields["boxes"][name])
    candidates = [box_tokens(e.box) for e in page.elements if e.role == "box"]
    return text, box_tokens(found.box), [found], candidates


def box_text(page, draws):
    found = page.get(f"boxes.{draws.pick(tuple(page.fields['boxes']))}")
    wordings = ("What stands in the box at {}?", "Read the box at {}.")
    return draws.pick(wordings).format(box_tokens(found.box)), found.text, [found], _labels(page)


KIND = Kind(
    "diagram",
    facts,
    draw,
    _reading.READING
    | {
        "leads_to": leads_to,
        "comes_before": comes_before,
        "two_steps": two_steps,
        "branch": branch,
        "arrow": arrow,
        "count": count,
        "start_or_end": start_or_end,
        "children": children,
        "diagram": kind,
        "locate": locate,
        "box_text": box_text,
    },
)
