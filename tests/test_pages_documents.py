"""Documents: what is asked about them is right, checked without the code that asks."""

import json
import re

import pytest

from vlm_helpers import pages

NUMBER = re.compile(r"-?\d+(?:[.,]\d\d)?")


def many(kind, n=120, split="test"):
    return [pages.sample(seed, split, kind=kind) for seed in range(n)]


def amount(text: str) -> float:
    return float(NUMBER.search(text.replace("-$", "-").replace("-€", "-"))[0].replace(",", "."))


def test_most_receipts_add_up_and_some_do_not():
    right = []
    for page in many("receipt", 400):
        fields = page.fields
        total = sum(amount(item["price"]) for item in fields["items"])
        if "subtotal" in fields:
            assert amount(fields["subtotal"]) == pytest.approx(total)
            total += amount(re.sub(r"[^\d.,-]", "", fields.get("tax") or fields["discount"]))
        right.append(amount(fields["total"]) == pytest.approx(total, abs=0.006))
    assert 0.72 < sum(right) / len(right) < 0.88


def test_receipt_questions():
    answers = set()
    for page in many("receipt"):
        prices = {item["name"]: item["price"] for item in page.fields["items"]}
        assert 2 <= len(prices) == len(page.fields["items"]) <= 7
        for question in page.questions(["price", "exists", "count", "total"], per_skill=3):
            named = [name for name in prices if re.search(rf"\b{re.escape(name)}\b", question.text)]
            if question.skill == "price":
                assert question.answer in {prices[name] for name in named}
            elif question.skill == "exists":
                answers.add(question.answer)
                asked = r"(Is|Does the receipt list) |( on the receipt| among the items)?\?"
                listed = re.sub(asked, "", question.text)
                assert (listed in prices) == (question.answer == "yes"), question
            elif question.skill == "count":
                assert question.answer == str(len(prices))
            else:
                assert question.answer == page.fields["total"] in page.text
    assert answers == {"yes", "no"}


def test_every_field_stands_on_the_page():
    for kind in ("receipt", "invoice", "form", "table", "letter"):
        for page in many(kind, 40) + many(kind, 40, "unseen_styles"):

            def check(value, page=page, kind=kind):
                if isinstance(value, str):
                    assert value in page.text or (kind == "form" and value in ("yes", "no"))
                else:
                    for part in value.values() if isinstance(value, dict) else value:
                        check(part)

            check(page.fields)


def test_json_answers_are_json_with_the_keys_that_were_asked_for():
    for kind in ("receipt", "invoice", "form", "table", "letter"):
        for page in many(kind, 60):
            for question in page.questions(["json"], per_skill=3):
                answer = json.loads(question.answer)
                for key, value in answer.items():
                    assert re.search(rf"\b{key}\b", question.text), question
                    if kind != "table":
                        assert value == page.fields.get(key)


def test_lines_are_counted_and_read_in_order():
    for page in many("receipt", 60) + many("letter", 60):
        lines = page.text.split("\n")
        for question in page.questions(["line", "count_lines", "read"], per_skill=3):
            number = re.search(r"\d+", question.text)
            if question.skill == "line":
                index = int(number[0]) - 1
                assert question.answer == (lines[index] if index < len(lines) else "none")
            else:
                assert question.answer in (str(len(lines)), page.text)
        assert [line.text for line in page.lines] == lines


def test_table_questions():
    for page in many("table"):
        columns, rows = page.fields["columns"], page.fields["rows"]
        for question in page.questions(["cell", "look_up", "extreme", "exists"], per_skill=3):
            where = [
                (r, c) for r, row in enumerate(rows) for c, column in enumerate(columns)
                if re.search(rf"\b{re.escape(row[0])}\b", question.text) and c
                and re.search(rf"\b{column}\b", question.text)
            ]  # fmt: skip
            if question.skill == "cell":
                assert question.answer in {rows[r][c] for r, c in where} or (
                    question.answer == "none" and not where
                ), question
            elif question.skill == "look_up":
                (row,) = [row for row in rows if row[0] == question.answer]
                assert any(value in question.text for value in row[1:])
            elif question.skill == "extreme":
                c = next(c for c in range(1, len(columns)) if columns[c] in question.text)
                numbers = [float(re.sub(r"[^\d.-]", "", row[c])) for row in rows]
                best = max(numbers) if "highest" in question.text else min(numbers)
                assert rows[numbers.index(best)][0] == question.answer
        for question in page.questions(["markdown"]):
            lines = question.answer.split("\n")
            cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
            assert cells[0] == columns and cells[2:] == rows and set(cells[1]) == {"---"}


def test_what_stands_there_twice_is_not_asked_for():
    page = next(page for page in many("receipt") if len(page.fields["items"]) == 2)
    name = page.fields["items"][1]["name"]
    twice = page.with_field("items.0.name", name)
    assert twice.questions(["price"]) == [] and twice.text.count(name) == 2
    swapped = twice.with_field("items.1.name", page.fields["items"][0]["name"])
    assert len(swapped.questions(["price"], per_skill=2)) == 2
    table = many("table", 1)[0]
    first = table.fields["rows"][0][0]
    for question in table.with_field("rows.1.0", first).questions(["cell", "locate", "json"], 5):
        assert first not in question.text


def test_a_changed_table_is_asked_what_it_can_answer():
    table = next(t for t in many("table") if t.questions(["extreme"], 9))
    assert table.with_field("columns.0", "Whatever").questions(["exists"]) == []
    for c, column in enumerate(table.fields["columns"][1:], 1):
        changed = table.with_field(f"rows.0.{c}", "12,5")
        assert not any(column in q.text for q in changed.questions(["extreme"], 9))


def test_stamps_are_read_and_stand_apart():
    stamped = [page for page in many("receipt", 300) if "stamp" in {e.role for e in page.elements}]
    assert 8 < len(stamped) < 80
    for page in stamped:
        question = page.questions(["stamp"])[0]
        assert page.text.endswith(question.answer) and question.answer.isupper()


@pytest.mark.parametrize("kind", ["receipt", "invoice", "form", "letter"])
def test_fields_are_asked_for_by_name_read_and_found(kind):
    answers = []
    for page in many(kind, 80):
        texts = {element.text: element for element in page.elements if element.name}
        for question in page.questions(["field", "locate"], per_skill=3):
            if question.answer == "none":
                answers.append("none")
                assert not question.objects
                continue
            (thing,) = question.objects
            assert thing is texts[thing.text] or thing.text in question.candidates
            answers.append(question.skill)
            if question.skill == "field":
                assert question.answer == thing.text and question.answer in page.text
            else:
                corners = [(int(v) + 0.5) / 64 for v in re.findall(r"\d+", question.answer)]
                assert corners == pytest.approx(list(thing.box), abs=0.5 / 64 + 1e-9)
    assert set(answers) == {"field", "locate", "none"}
    assert 0.02 < answers.count("none") / len(answers) < 0.2


def test_boxes_of_forms():
    answers = set()
    for page in many("form"):
        boxes = page.fields["boxes"]
        on = [name for name, state in boxes.items() if state == "yes"]
        for question in page.questions(["ticked", "which_ticked", "count"], per_skill=3):
            named = [name for name in boxes if re.search(rf"\b{name}\b", question.text)]
            if question.skill == "ticked":
                assert question.answer == boxes[named[0]]
                answers.add(question.answer)
            elif question.skill == "count":
                there = len(on) if "ticked" in question.text else len(boxes)
                assert question.answer == str(there)
            else:
                wanted = set(boxes) - set(on) if "not" in question.text else set(on)
                found = (
                    set() if question.answer == "none" else re.split(", | and ", question.answer)
                )
                assert set(found) == wanted
        darkness = page.image.convert("L")
        width, height = page.size
        for name, state in boxes.items():  # a tick is ink in the box
            x0, y0, x1, y1 = page.get(f"boxes.{name}").box
            inside = darkness.crop((
                round(x0 * width) + 2, round(y0 * height) + 2,
                round(x1 * width) - 2, round(y1 * height) - 2,
            ))  # fmt: skip
            low, high = inside.getextrema()
            if not page.wear.turn:
                assert (high - low > 70) == (state == "yes") or low < 110, (page.key, name)
    assert answers == {"yes", "no"}
    page = many("form", 1)[0]
    box = next(iter(page.fields["boxes"]))
    before, other = page.fields["boxes"][box], {"yes": "no", "no": "yes"}
    changed = page.with_field(f"boxes.{box}", other[before])
    assert changed.fields["boxes"][box] == other[before] and changed.image != page.image
    with pytest.raises(ValueError, match="'maybe' is neither"):
        page.with_field(f"boxes.{box}", "maybe")


def test_every_letter_has_its_sentence():
    from vlm_helpers.pages import _letter

    keys = [tuple(_letter.SLOT.findall(body)) for body in _letter.BODIES]
    assert len(set(keys)) == len(keys) and {key for some in keys for key in some} <= set(
        _letter.LABELS
    )
    for page in many("letter", 60):
        assert page.fields["recipient"] + "," in page.text
        assert not re.search(r"[{}]| [.,]", page.text)
