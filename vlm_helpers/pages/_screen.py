"""Screens of programs and web pages: where to click, what stands there, what is switched on."""

from __future__ import annotations

from dataclasses import dataclass

from vlm_helpers._draws import Draws
from vlm_helpers._questions import NONE, box_tokens, location_tokens
from vlm_helpers._words import did_you_mean
from vlm_helpers.pages import _lexicon, _reading, fonts
from vlm_helpers.pages._apps import APPS, ENTRIES, ICONS
from vlm_helpers.pages._canvas import Canvas, Color
from vlm_helpers.pages._kind import UNSEEN, Kind

DIALOG = 0.14  # the share of screens on which a dialog waits for an answer
ON = {"yes": "on", "no": "off"}


def facts(draws: Draws, split: str) -> dict:
    key = draws.pick(tuple(APPS))
    app = APPS[key]
    fields: dict = {"app": key, "title": draws.pick(app.titles)}
    fields["icons"] = _some(draws, app.icons, draws.weighted((0, 1, 2), (1, 3, 3)))
    if app.tabs and draws.chance(0.75):
        fields["tabs"] = _some(draws, app.tabs, 2 + draws.below(len(app.tabs) - 1))
        fields["open"] = draws.pick(fields["tabs"])
    dialog = draws.chance(DIALOG)
    room = 2 if dialog else 6  # so many rows at most
    parts = [part for part in ("entries", "boxes", "choices", "rows") if getattr(app, part)]
    for part in draws.shuffled(parts)[: 1 if dialog else 3]:
        most = min(room, 4)
        if most < 1:
            break
        if part == "choices":
            label = draws.pick(tuple(app.choices))
            options = tuple(app.choices[label])
            fields["choice"] = {"label": label, "options": list(options),
                                "chosen": draws.pick(options)}  # fmt: skip
            room -= 2
        elif part == "rows":
            rows = list(dict.fromkeys(app.rows(draws) for _ in range(1 + draws.below(most) + 1)))
            starts = {_subject(row): row for row in rows}  # one of each sender
            fields["rows"] = list(starts.values())
            fields["selected"] = draws.pick(fields["rows"]) if draws.chance(0.6) else ""
            room -= len(rows)
        else:
            names = _some(draws, getattr(app, part), 1 + draws.below(most))
            room -= len(names)
            if part == "entries":
                fields[part] = {
                    n: "" if draws.chance(0.1) else app.entries[n](draws) for n in names
                }
            else:
                fields[part] = {name: draws.pick(("yes", "no")) for name in names}
    fields["buttons"] = _some(draws, app.buttons, 2 if dialog else 2 + draws.below(3))
    if dialog:
        text = draws.pick(tuple(app.dialogs))
        fields["dialog"] = {"text": text, "buttons": list(app.dialogs[text])}
    return fields


def _some(draws: Draws, names, n: int) -> list[str]:
    """`n` of the names, or all, in their order."""
    chosen = set(_lexicon.several(draws, tuple(names), min(n, len(names))))
    return [name for name in names if name in chosen]


def _subject(row: str) -> str:
    """What tells a row from others: what stands before a colon, or all of it."""
    return row.split(":")[0] if ": " in row else row


# --- the look -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Palette:
    page: Color
    bar: Color
    title: Color
    text: Color
    field: Color
    border: Color
    accent: Color
    on_accent: Color
    button: Color

    def dimmed(self) -> Palette:
        """As it looks while a dialog waits."""
        return Palette(
            *(tuple(round(0.62 * c + 42) for c in color) for color in vars(self).values())
        )


WHITE = (255, 255, 255)
PALETTES = (
    Palette((246, 248, 251), (48, 92, 166), WHITE, (28, 34, 42), WHITE, (172, 182, 194),
            (38, 108, 200), WHITE, (226, 231, 238)),
    Palette((218, 218, 214), (84, 94, 116), WHITE, (20, 20, 22), WHITE, (130, 130, 128),
            (60, 80, 140), WHITE, (232, 232, 228)),
    Palette(WHITE, (30, 122, 92), WHITE, (30, 38, 34), (250, 252, 251), (178, 196, 188),
            (24, 136, 96), WHITE, (228, 240, 235)),
    Palette((252, 247, 238), (240, 232, 216), (70, 48, 26), (62, 46, 30), WHITE, (206, 190, 164),
            (206, 108, 32), WHITE, (244, 234, 216)),
    Palette((250, 250, 250), WHITE, (30, 30, 36), (34, 34, 40), (244, 244, 246), (206, 206, 212),
            (212, 44, 96), WHITE, (238, 238, 242)),
    Palette((34, 38, 46), (24, 27, 33), (226, 230, 236), (222, 226, 232), (46, 51, 61),
            (84, 92, 106), (82, 150, 240), (16, 20, 26), (58, 64, 76)),
    Palette((22, 22, 24), (40, 40, 44), (240, 240, 240), (230, 230, 230), (34, 34, 38),
            (90, 90, 96), (40, 190, 160), (10, 20, 18), (54, 54, 60)),
    Palette((44, 34, 60), (60, 44, 86), (240, 232, 250), (232, 224, 244), (58, 46, 78),
            (112, 94, 140), (236, 150, 70), (36, 22, 10), (78, 62, 104)),
)  # fmt: skip
UNSEEN_PALETTES = (
    Palette((0, 0, 0), (0, 0, 0), (255, 236, 60), (255, 255, 255), (20, 20, 20), (255, 236, 60),
            (255, 236, 60), (0, 0, 0), (40, 40, 40)),
    Palette((238, 226, 200), (118, 92, 58), (250, 240, 220), (66, 48, 28), (248, 240, 222),
            (176, 152, 114), (128, 56, 40), (255, 246, 230), (226, 210, 178)),
    Palette((214, 236, 240), (244, 170, 190), (60, 20, 40), (20, 60, 76), (240, 250, 252),
            (130, 180, 190), (120, 70, 170), WHITE, (190, 222, 230)),
)  # fmt: skip
SHAPES = ((192, 192), (288, 192), (192, 288), (288, 288))


@dataclass(frozen=True)
class Look:
    """How a screen is drawn, but for the size of its letters."""

    palette: Palette
    font: str
    header: str  # "window", "phone" or "web"
    tabs: str  # "folders", "line", "pills", or "side", which only unseen styles have
    label: str  # "left" or "above" of a field
    switches: bool  # boxes to tick are switches
    radius: int
    flat: bool  # buttons have no border
    main: int  # which of the last buttons is filled
    across: bool  # options stand in one row
    align: str  # of the buttons: "l", "m" or "r"
    low: bool  # buttons stand at the bottom


class _Full(Exception):
    """The screen has no more room."""


def draw(fields: dict, draws: Draws, split: str) -> Canvas:
    unseen = split == UNSEEN
    for what, chosen, known in (
        ("program", fields["app"], APPS), ("tab", fields.get("open"), fields.get("tabs", [None])),
        ("row", fields.get("selected"), ["", *fields.get("rows", [None])]),
    ):  # fmt: skip
        if chosen not in known:
            raise ValueError(f"There is no {what} {chosen!r}; {did_you_mean(chosen, known)}")
    if any(icon not in ICONS for icon in fields["icons"]):
        raise ValueError(f"The icons are {', '.join(ICONS)}, not {', '.join(fields['icons'])}.")
    look = Look(
        palette=draws.pick(UNSEEN_PALETTES if unseen else PALETTES),
        font=fonts.pick(draws, split, "sans"),
        header=draws.pick(("window", "phone", "web")),
        tabs="side" if unseen else draws.pick(("folders", "line", "pills")),
        label=draws.pick(("left", "above")),
        switches=draws.chance(0.4),
        radius=draws.pick((0, 0, 2, 4)),
        flat=draws.chance(0.4),
        main=draws.below(2),
        across=draws.chance(0.6),
        align=draws.pick(("l", "m", "r")),
        low=draws.chance(0.5),
    )
    if "dialog" in fields:
        look = Look(**{**vars(look), "palette": look.palette.dimmed()})
    size = draws.weighted((9, 10, 11, 12, 13.5), (3, 4, 3, 2, 1))
    shapes = draws.shuffled(SHAPES)
    if draws.chance(0.75):  # mostly no larger than it has to be
        shapes.sort(key=lambda shape: shape[0] * shape[1])
    while size >= 7.5:
        for shape in shapes:
            try:
                return _Screen(shape, look, size).paint(fields)
            except _Full:
                pass
        size -= 0.5
    raise ValueError("This screen is too full: shorten its texts.")


class _Screen:
    """Paints a screen from top to bottom; raises `_Full` where it does not fit."""

    def __init__(self, shape: tuple[int, int], look: Look, size: float):
        self.look, self.size, self.colors = look, size, look.palette
        self.canvas = Canvas(*shape, look.palette.page)
        self.width, self.height = shape
        self.left, self.right, self.y = 7.0, self.width - 7.0, 0.0
        self.bottom = self.height - 4.0

    def wide(self, text: str, size: float = 0) -> float:
        return self.canvas.text_width(text, self.look.font, size or self.size)

    def write(self, x, middle, text, color=None, *, anchor="l", size=0.0, bold=False, **more):
        """A text whose small letters are centred on the height `middle`."""
        font = fonts.bold(self.look.font) if bold else self.look.font
        size = size or self.size
        x0, _, x1, _ = box = self.canvas.text(
            x,
            middle - 0.37 * size,
            text,
            font,
            size,
            color or self.colors.text,
            anchor=anchor,
            **more,
        )
        if x0 < 1 or x1 > self.width - 1:
            raise _Full
        return box

    def down(self, height: float) -> float:
        """Takes `height` of the room that is left; returns its middle."""
        self.y += height
        if self.y > self.bottom:
            raise _Full
        return self.y - height / 2

    def paint(self, fields: dict) -> Canvas:
        self.header(fields)
        if "tabs" in fields:
            (self.side_tabs if self.look.tabs == "side" else self.top_tabs)(fields)
        self.y += 0.5 * self.size
        below = (7.9 if "dialog" in fields else 2.3) * self.size
        if self.look.low:  # what stands at the bottom has its room kept free
            self.bottom -= below
        for label, value in fields.get("entries", {}).items():
            self.entry(label, value)
        for label, state in fields.get("boxes", {}).items():
            self.box(label, state)
        if "choice" in fields:
            self.choice(**fields["choice"])
        if "rows" in fields:
            self.rows(fields["rows"], fields["selected"])
        if self.look.low:
            self.bottom += below
            self.y = max(self.y, self.bottom - below)
        self.buttons(fields["buttons"], "buttons", self.left, self.right)
        if "dialog" in fields:
            self.dialog(**fields["dialog"])
        return self.canvas

    # --- its parts

    def header(self, fields: dict) -> None:
        c, s, colors, header = self.canvas, self.size, self.colors, self.look.header
        height = {"window": 1.7, "phone": 2.4, "web": 1.9}[header] * s
        self.y = height
        c.rect(0, 0, self.width, height, colors.bar)
        if colors.bar == colors.page or sum(colors.bar) > 720:
            c.rect(0, height - 1, self.width, height, colors.border)
        middle, side = height / 2, 1.3 * s
        before = [icon for icon in fields["icons"] if icon in ("back", "menu")]
        x0, x1 = 0.5 * s, self.width - 0.4 * s
        for icon in before:
            self.icon(fields, icon, x0, middle, side)
            x0 += side + 0.4 * s
        for icon in reversed([icon for icon in fields["icons"] if icon not in before]):
            x1 -= side
            self.icon(fields, icon, x1, middle, side)
            x1 -= 0.4 * s
        anchor, x = ("m", (x0 + x1) / 2) if header == "phone" else ("l", x0 + 0.2 * s)
        box = self.write(
            x,
            middle,
            fields["title"],
            colors.title,
            anchor=anchor,
            bold=True,
            size=s * (1.2 if header == "phone" else 1),
            role="title",
            name="title",
        )
        if box[0] < x0 or box[2] > x1:
            raise _Full
        if header == "web":
            address = f"www.{fields['title'].lower().replace(' ', '-')}.com"
            middle = self.down(1.9 * s)
            self.frame(self.left, middle - 0.75 * s, self.right, middle + 0.75 * s, colors.field)
            self.write(self.left + 0.6 * s, middle, address, role="address", name="address")

    def icon(self, fields, icon: str, x: float, middle: float, side: float) -> None:
        """A sign in a square of `side` pixels from `x` on."""
        c, color = self.canvas, self.colors.title
        x, y = round(x), round(middle - side / 2)
        c.element("icon", (x, y, x + side, y + side), name=f"icons.{fields['icons'].index(icon)}")

        def lines(*strokes):
            for stroke in strokes:
                c.line([(x + side * u, y + side * v) for u, v in stroke], color, 1.4)

        if icon == "close":
            lines([(0.2, 0.2), (0.8, 0.8)], [(0.2, 0.8), (0.8, 0.2)])
        elif icon == "back":
            lines([(0.65, 0.15), (0.3, 0.5), (0.65, 0.85)])
        elif icon == "menu":
            lines(*([(0.15, v), (0.85, v)] for v in (0.25, 0.5, 0.75)))
        elif icon == "add":
            lines([(0.5, 0.15), (0.5, 0.85)], [(0.15, 0.5), (0.85, 0.5)])
        else:
            low, high = 0.15 * side, 0.65 * side
            c.ellipse(x + low, y + low, x + high, y + high, None, color, 1.4)
            lines([(0.6, 0.6), (0.88, 0.88)])

    def frame(self, x0, y0, x1, y1, fill, outline=None) -> None:
        self.canvas.rect(round(x0), round(y0), round(x1), round(y1), fill,
                         outline or self.colors.border, 1, self.look.radius)  # fmt: skip

    def top_tabs(self, fields: dict) -> None:
        c, s, colors, style = self.canvas, self.size, self.colors, self.look.tabs
        tabs = fields["tabs"]
        middle = self.down(1.9 * s)
        top, bottom, x = middle - 0.95 * s, middle + 0.95 * s, self.left - 2
        widths = [self.wide(tab) + 1.2 * s for tab in tabs]
        if x + sum(widths) > self.width - 2:
            raise _Full
        c.rect(0, top, self.width, bottom, colors.button)
        for number, (tab, wide) in enumerate(zip(tabs, widths)):
            chosen, color = tab == fields["open"], colors.text
            end = x + wide
            if style == "pills" and chosen:
                pill = map(round, (x + 1, top + 2, end - 1, bottom - 2))
                c.rect(*pill, colors.accent, None, 1, 0.7 * s)
                color = colors.on_accent
            elif style == "folders":
                c.rect(x, top + (1 if chosen else 3), end, bottom, colors.page if chosen else None,
                       colors.border)  # fmt: skip
                if chosen:
                    c.rect(x + 1, bottom - 1, end - 1, bottom + 1, colors.page)
            elif style == "line" and chosen:
                c.rect(x + 2, bottom - 3, end - 2, bottom, colors.accent)
            c.element("tab", (x, top, end, bottom), tab, f"tabs.{number}")
            self.write((x + end) / 2, middle, tab, color, anchor="m", join=number > 0)
            x = end

    def side_tabs(self, fields: dict) -> None:
        c, s, colors = self.canvas, self.size, self.colors
        wide = max(map(self.wide, fields["tabs"])) + 1.4 * s
        c.rect(0, self.y, wide, self.height, colors.button)
        y = self.y
        for number, tab in enumerate(fields["tabs"]):
            chosen = tab == fields["open"]
            box = (0, y, wide, y + 1.9 * s)
            if chosen:
                c.rect(*box, colors.accent)
            c.element("tab", box, tab, f"tabs.{number}")
            self.write(0.7 * s, y + 0.95 * s, tab, colors.on_accent if chosen else colors.text)
            y += 1.9 * s
        if y > self.height:
            raise _Full
        self.left = wide + 7

    def entry(self, label: str, value: str) -> None:
        c, s = self.canvas, self.size
        if self.look.label == "above":
            middle = self.down(1.2 * s)
            self.write(self.left, middle, label, role="label")
            x = self.left
        else:
            x = self.left + max(self.wide(label) + 0.6 * s, min(7 * s, 0.3 * self.width))
        middle = self.down(1.8 * s)
        if self.look.label == "left":
            self.write(self.left, middle, label, role="label")
        box = (round(x), round(middle - 0.75 * s), round(self.right), round(middle + 0.75 * s))
        self.frame(*box, self.colors.field)
        c.element("text field", box, value, f"entries.{label}")
        if value:
            text = self.write(box[0] + 0.45 * s, middle, value, join=self.look.label == "left")
            if text[2] > box[2] - 2:
                raise _Full
        self.y += 0.35 * s

    def box(self, label: str, state: str) -> None:
        if state not in ON:
            raise ValueError(f"A box is ticked, 'yes', or not, 'no'; {state!r} is neither.")
        c, s, colors, on = self.canvas, self.size, self.colors, state == "yes"
        middle, x = self.down(1.65 * s), round(self.left)
        if self.look.switches:
            wide, high, name = round(1.9 * s), round(1.05 * s), "switch"
            y = round(middle - high / 2)
            fill = colors.accent if on else colors.button
            c.rect(x, y, x + wide, y + high, fill, colors.border, 1, high / 2)
            knob = x + wide - high if on else x
            c.ellipse(knob + 1.5, y + 1.5, knob + high - 1.5, y + high - 1.5,
                      colors.on_accent if on else colors.text)  # fmt: skip
        else:
            wide = high = round(1.05 * s)
            y, name = round(middle - high / 2), "check box"
            c.rect(x, y, x + wide, y + high, colors.field, colors.text)
            if on:
                c.line([(x + 0.2 * wide, y + 0.5 * wide), (x + 0.42 * wide, y + 0.75 * wide),
                        (x + 0.82 * wide, y + 0.22 * wide)], colors.text, 1.7)  # fmt: skip
        end = x + wide + 0.5 * s + self.wide(label)
        c.element(name, (x, y, end, y + high), label, f"boxes.{label}")
        self.write(x + wide + 0.5 * s, middle, label, role="option")

    def choice(self, label: str, options: list[str], chosen: str) -> None:
        c, s, colors = self.canvas, self.size, self.colors
        if chosen not in options:
            raise ValueError(f"{chosen!r} cannot be chosen; there are {', '.join(options)}.")
        middle = self.down(1.4 * s)
        self.write(self.left, middle, f"{label}:", role="label")
        x, ring = self.left, round(1.0 * s)
        for number, option in enumerate(options):
            if number == 0 or not self.look.across:
                middle, x = self.down(1.55 * s), self.left
            x, y = round(x), round(middle - ring / 2)
            c.ellipse(x, y, x + ring, y + ring, colors.field, colors.text, 1)
            if option == chosen:
                c.ellipse(x + 0.25 * ring, y + 0.25 * ring, x + 0.75 * ring, y + 0.75 * ring,
                          colors.accent)  # fmt: skip
            end = x + ring + 0.4 * s + self.wide(option)
            c.element("radio button", (x, y, end, y + ring), option, f"choice.options.{number}")
            self.write(x + ring + 0.4 * s, middle, option, role="option",
                       join=number > 0 and self.look.across)  # fmt: skip
            x = end + 1.0 * s
        self.y += 0.3 * s

    def rows(self, rows: list[str], selected: str) -> None:
        c, s, colors = self.canvas, self.size, self.colors
        top = self.y
        self.down(1.6 * s * len(rows) + 2)
        self.frame(self.left, top, self.right, self.y, colors.field)
        for number, row in enumerate(rows):
            y = round(top + 1 + 1.6 * s * number)
            box = (
                round(self.left) + 1,
                y,
                round(self.right) - 1,
                round(top + 1 + 1.6 * s * (number + 1)),
            )
            color = colors.text
            if row == selected:
                c.rect(*box, colors.accent)
                color = colors.on_accent
            elif number:
                c.line([(box[0], y), (box[2], y)], colors.border)
            c.element("list row", box, row, f"rows.{number}")
            text = self.write(self.left + 0.5 * s, y + 0.8 * s, row, color)
            if text[2] > box[2] - 1:
                raise _Full
        self.y += 0.4 * s

    def buttons(self, buttons: list[str], path: str, left: float, right: float) -> None:
        c, s, colors = self.canvas, self.size, self.colors
        widths = [self.wide(button) + 1.4 * s for button in buttons]
        gap = 0.6 * s
        total = sum(widths) + gap * (len(widths) - 1)
        if total > right - left:
            raise _Full
        middle = self.down(2.2 * s)
        x = {"l": left, "m": (left + right - total) / 2, "r": right - total}[self.look.align]
        for number, (button, wide) in enumerate(zip(buttons, widths)):
            box = (round(x), round(middle - 0.85 * s), round(x + wide), round(middle + 0.85 * s))
            main = number == (0 if self.look.main else len(buttons) - 1)
            fill = colors.accent if main else colors.button
            if self.look.flat:
                c.rect(*box, fill, None, 1, self.look.radius)
            else:
                self.frame(*box, fill)
            c.element("button", box, button, f"{path}.{number}")
            color = colors.on_accent if main else colors.text
            x1 = (box[0] + box[2]) / 2
            self.write(x1, middle, button, color, anchor="m", join=number > 0)
            x += wide + gap

    def dialog(self, text: str, buttons: list[str]) -> None:
        c, s = self.canvas, self.size
        self.colors = next(p for p in (*PALETTES, *UNSEEN_PALETTES) if p.dimmed() == self.colors)
        wide = max(self.wide(text, 1.05 * s), sum(map(self.wide, buttons)) + 3.4 * s) + 2 * s
        left, right = (self.width - wide) / 2, (self.width + wide) / 2
        top = self.y + 0.5 * s
        self.down(5.0 * s)
        if left < 3:
            raise _Full
        bottom = top + 4.4 * s
        c.rect(round(left) + 2, round(top) + 3, round(right) + 2, round(bottom) + 3, (20, 20, 24))
        c.rect(round(left), round(top), round(right), round(bottom), self.colors.page,
               self.colors.border)  # fmt: skip
        c.element("dialog", (left, top, right, bottom), name="dialog")
        self.write(self.width / 2, top + 1.2 * s, text, anchor="m", role="text", name="dialog.text")
        self.y = top + 2.0 * s
        self.buttons(buttons, "dialog.buttons", left + s, right - s)


# --- questions ------------------------------------------------------------------------------------

CLICKABLE = (
    "button",
    "icon",
    "tab",
    "text field",
    "check box",
    "switch",
    "radio button",
    "list row",
)


def _intents(page) -> dict[str, tuple[str, ...]]:
    """Name of each element that can be clicked now: what one wants who clicks it."""
    fields, app = page.fields, APPS[page.fields["app"]]
    if "dialog" in fields:  # nothing else answers until it is closed
        answers = app.dialogs.get(fields["dialog"]["text"], {})
        labels = fields["dialog"]["buttons"]
        found = {f"dialog.buttons.{i}": answers.get(label) for i, label in enumerate(labels)}
        return {name: wishes for name, wishes in found.items() if wishes}
    found = {f"icons.{i}": ICONS[icon] for i, icon in enumerate(fields["icons"])}
    for i, tab in enumerate(fields.get("tabs", ())):
        if tab != fields["open"]:
            found[f"tabs.{i}"] = app.tabs.get(tab)
    for label in fields.get("entries", ()):
        plain = (f"fill in the {label.lower()}", f"change the {label.lower()}")
        found[f"entries.{label}"] = ENTRIES.get(label, plain)
    for label, state in fields.get("boxes", {}).items():
        found[f"boxes.{label}"] = (app.boxes[label][state == "yes"],)
    choice = fields.get("choice", {"label": "", "options": (), "chosen": ""})
    for i, option in enumerate(choice["options"]):
        if option != choice["chosen"]:
            found[f"choice.options.{i}"] = app.choices.get(choice["label"], {}).get(option)
    for i, row in enumerate(fields.get("rows", ())):
        if row != fields["selected"]:
            of = "of " if app.row.endswith("message") else ""
            found[f"rows.{i}"] = (f"{app.row} {of}{_subject(row)}",)
    for i, label in enumerate(fields["buttons"]):
        found[f"buttons.{i}"] = app.buttons.get(label)
    return {
        name: wishes for name, wishes in found.items() if wishes
    }  # one may have changed a label


def _clickable(page) -> list:
    return [element for element in page.elements if element.role in CLICKABLE]


def click(page, draws):
    intents = _intents(page)
    if not intents:
        return None
    name = draws.pick(tuple(intents))
    target = page.get(name)
    wordings = ("Where do you click to {}?", "You want to {}: where do you click?",
                "Give the point to click to {}.")  # fmt: skip
    candidates = [location_tokens([element.center]) for element in _clickable(page)]
    text = draws.pick(wordings).format(draws.pick(intents[name]))
    return text, location_tokens([target.center]), [target], candidates


def button(page, draws):
    """What a button says, by its place."""
    buttons = [element for element in page.elements if element.role == "button"]
    target = draws.pick(buttons)
    row = [e for e in buttons if e.name.startswith("dialog") == ("dialog" in page.fields)]
    words = f"the button at {box_tokens(target.box)}"
    if draws.chance(0.4):
        word, target = draws.pick((("leftmost", row[0]), ("rightmost", row[-1])))
        words = f"the {word} button" + (" of the dialog" if "dialog" in page.fields else "")
    wordings = ("What does {} say?", "Read {}.", "What stands on {}?")
    return draws.pick(wordings).format(words), target.text, [target], [e.text for e in buttons]


def field(page, draws):
    entries = page.fields.get("entries")
    if not entries:
        return None
    label = draws.pick(tuple(entries))
    wordings = ("What stands in the field {}?", "What is in the field {}?", "Read the field {}.")
    candidates = [value or NONE for value in entries.values()]
    target = page.get(f"entries.{label}")
    return draws.pick(wordings).format(label), entries[label] or NONE, [target], candidates


def ticked(page, draws):
    boxes = page.fields.get("boxes")
    if not boxes:
        return None
    label = draws.pick(tuple(boxes))
    target = page.get(f"boxes.{label}")
    wordings = ("Is {} on?", "Is {} switched on?")
    if target.role == "check box":
        wordings = ("Is {} on?", "Is the box {} ticked?", "Is {} ticked?")
    return draws.pick(wordings).format(label), boxes[label], [target], ("yes", "no")


def toggle(page, draws):
    """What would be after a click."""
    boxes = page.fields.get("boxes")
    if not boxes or "dialog" in page.fields:
        return None
    label = draws.pick(tuple(boxes))
    target = page.get(f"boxes.{label}")
    if draws.chance(0.5):
        wordings = ("Somebody clicks {}. Is it on or off then?",
                    "After a click on {}, is it on or off?")  # fmt: skip
        answer = "off" if boxes[label] == "yes" else "on"
        return draws.pick(wordings).format(label), answer, [target], ("on", "off")
    wordings = ("How many boxes are on after a click on {}?",
                "Somebody clicks {}. How many boxes are on then?")  # fmt: skip
    if target.role == "switch":
        wordings = tuple(wording.replace("boxes", "switches") for wording in wordings)
    number = list(boxes.values()).count("yes") + (-1 if boxes[label] == "yes" else 1)
    numbers = tuple(str(n) for n in range(len(boxes) + 1))
    return draws.pick(wordings).format(label), str(number), [target], numbers


def tab(page, draws):
    if "tabs" not in page.fields:
        return None
    wordings = ("Which tab is open?", "What is the open tab called?", "Name the tab that is open.")
    tabs, name = page.fields["tabs"], page.fields["open"]
    return draws.pick(wordings), name, [page.get(f"tabs.{tabs.index(name)}")], tabs


def chosen(page, draws):
    if "choice" not in page.fields:
        return None
    options, option = page.fields["choice"]["options"], page.fields["choice"]["chosen"]
    wordings = ("What is chosen for {}?", "Which option of {} is chosen?", "What is {} set to?")
    target = page.get(f"choice.options.{options.index(option)}")
    return draws.pick(wordings).format(page.fields["choice"]["label"]), option, [target], options


def selected(page, draws):
    if "rows" not in page.fields:
        return None
    rows, row = page.fields["rows"], page.fields["selected"]
    if not row and not _asks_in_vain(page, 0.15):
        return None
    wordings = ("Which row is selected?", "Which row of the list is highlighted?")
    targets = [page.get(f"rows.{rows.index(row)}")] if row else []
    return draws.pick(wordings), row or NONE, targets, rows


def count(page, draws):
    fields = page.fields
    words = {"tabs": "tabs are there?", "rows": "rows has the list?",
             "entries": "text fields are there?"}  # fmt: skip
    options = [(f"How many {words[key]}", len(fields[key])) for key in words if key in fields]
    if "boxes" in fields:
        role = page.get(f"boxes.{next(iter(fields['boxes']))}").role
        word = {"check box": "boxes are ticked?", "switch": "switches are on?"}[role]
        options.append((f"How many {word}", list(fields["boxes"].values()).count("yes")))
    if not options:
        return None
    text, number = draws.pick(options)
    return text, str(number), (), tuple("012345")


def _asks_in_vain(page, share: float) -> bool:
    """Whether this page is one of the `share` where a question may be asked in vain; the page alone
    decides, since a question that finds nothing is drawn again."""
    return Draws(f"{page.key}/in vain").chance(share)


def dialog(page, draws):
    there = "dialog" in page.fields
    if draws.chance(0.5) and there:
        wordings = ("What does the dialog say?", "Read the dialog's text.")
        target = page.get("dialog.text")
        return draws.pick(wordings), target.text, [target]
    if not there and not _asks_in_vain(page, 0.5 * DIALOG):  # as often "no" as "yes"
        return None
    wordings = ("Is a dialog open?", "Does a dialog wait for an answer?")
    found = [page.get("dialog")] if there else []
    return draws.pick(wordings), "yes" if there else "no", found, ("yes", "no")


def locate(page, draws):
    shown = _clickable(page)
    labels = [(e.role, _label(e)) for e in shown]
    target = draws.pick([e for e in shown if _label(e) and labels.count((e.role, _label(e))) == 1])
    wordings = ("Give the box of the {} {}.", "Locate the {} {}.", "Where is the {} {}?")
    text = draws.pick(wordings).format(target.role, _label(target))
    return text, box_tokens(target.box), [target], [box_tokens(e.box) for e in shown]


def _label(element) -> str:
    return element.name.split(".")[1] if element.role == "text field" else element.text


def element(page, draws):
    """What something is, by its place."""
    shown = _clickable(page)
    roles = list(dict.fromkeys(e.role for e in shown))
    role = draws.pick(roles)
    target = draws.pick([e for e in shown if e.role == role])
    wordings = ("What kind of element is at {}?", "What is at {}: which kind of element?")
    return draws.pick(wordings).format(box_tokens(target.box)), role, [target], roles


KIND = Kind(
    "screen",
    facts,
    draw,
    _reading.READING
    | {
        "click": click,
        "button": button,
        "entry": field,
        "ticked": ticked,
        "toggle": toggle,
        "tab": tab,
        "chosen": chosen,
        "selected": selected,
        "count": count,
        "dialog": dialog,
        "locate": locate,
        "element": element,
    },
)
