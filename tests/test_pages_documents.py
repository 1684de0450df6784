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
                asked = r"(Is|Was|Does the receipt list) |( on the receipt| bought)?\?"
                listed = re.sub(asked, "", question.text)
                assert (listed in prices) == (question.answer == "yes"), question
            elif question.skill == "count":
                assert question.answer == str(len(prices))
            else:
                assert question.answer == page.fields["total"] in page.text
    assert answers == {"yes", "no"}


def test_every_field_stands_on_the_page():
    for kind in ("receipt", "table"):
        for page in many(kind, 40) + many(kind, 40, "unseen_styles"):

            def check(value, page=page):
                if isinstance(value, str):
                    assert value in page.text, (page.key, value)
                else:
                    for part in value.values() if isinstance(value, dict) else value:
                        check(part)

            check(page.fields)


def test_json_answers_are_json_with_the_keys_that_were_asked_for():
    for kind in ("receipt", "table"):
        for page in many(kind, 60):
            for question in page.questions(["json"], per_skill=3):
                answer = json.loads(question.answer)
                for key, value in answer.items():
                    assert re.search(rf"\b{key}\b", question.text), question
                    if kind == "receipt":
                        assert value == page.fields.get(key)


def test_lines_are_counted_and_read_in_order():
    for page in many("receipt", 60) + many("table", 60):
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


def test_stamps_are_read_and_stand_apart():
    stamped = [page for page in many("receipt", 300) if "stamp" in {e.role for e in page.elements}]
    assert 8 < len(stamped) < 80
    for page in stamped:
        question = page.questions(["stamp"])[0]
        assert page.text.endswith(question.answer) and question.answer.isupper()
