"""The arena: ratings from votes, fair pairs, votes that nothing loses, and the widget."""

import base64
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vlm_helpers as vh
from vlm_helpers import evaluation, widgets
from vlm_helpers.evaluation import Arena, bradley_terry

PICTURE = Image.new("RGB", (400, 200), "red")
ITEMS = [{"image": PICTURE, "question": f"q{i}", "answer": str(i)} for i in range(6)]
POINTS = 400 / math.log(10)


def says(text):
    return lambda pictures, questions: [f"{text} to {question}" for question in questions]


CONTESTANTS = {name: says(name) for name in ("ada", "bob", "cleo", "dan")}


def ballot(a, b, vote, **more):
    return {"a": a, "b": b, "vote": vote, **more}


# --- ratings --------------------------------------------------------------------------------------


def drawn(n, strengths, seed, taste=0.0):
    """Votes by the model itself, with answers of 1 to 9 words, whose length is to some's taste."""
    dice, names = np.random.default_rng(seed), list(strengths)
    for _ in range(n):
        a, b = dice.choice(len(names), 2, replace=False)
        la, lb = dice.integers(1, 10, 2)
        odds = strengths[names[a]] - strengths[names[b]] + taste * (la - lb) / (la + lb)
        vote = "A" if dice.random() < 1 / (1 + math.exp(-odds)) else "B"
        yield ballot(names[a], names[b], vote, answer_a="w " * la, answer_b="w " * lb)


STRENGTHS = {"a": 0.9, "b": 0.3, "c": 0.0, "d": -1.2}
WORDS = {"words": lambda answer: len(answer.split())}


def test_intervals_hold_the_truth_as_often_as_they_say():
    inside = []
    for seed in range(50):
        found = bradley_terry(drawn(120, STRENGTHS, seed))
        for name, strength in STRENGTHS.items():
            row = found.table.loc[name]
            inside.append(row["low"] <= 1000 + POINTS * strength <= row["high"])
        gap = found.difference("a", "b")
        inside.append(gap.low <= POINTS * 0.6 <= gap.high)
    assert 0.91 < np.mean(inside) < 0.99


def test_style_control_takes_out_a_taste_and_says_how_large_it_is():
    votes = list(drawn(4000, STRENGTHS, 0, taste=2.0))
    found = bradley_terry(votes, style=WORDS)
    effect = found.style.loc["words"]
    assert effect["low"] < POINTS * 2.0 < effect["high"] and effect["low"] > POINTS
    for name, strength in STRENGTHS.items():
        assert found.table.loc[name, "rating"] == pytest.approx(1000 + POINTS * strength, abs=30)


def small_set():
    kinds, x = ["A", "A", "B", "tie", "A", "both bad", "B"], 7
    for _ in range(60):
        x = (x * 1103515245 + 12345) % 2**31
        a = (x >> 8) % 4
        b = (a + 1 + (x >> 16) % 3) % 4
        answers = ["w " * (1 + (x >> 4) % 9), "w " * (1 + (x >> 12) % 5)]
        yield ballot(
            "abcd"[a], "abcd"[b], kinds[(x >> 20) % 7], answer_a=answers[0], answer_b=answers[1]
        )


# statsmodels 0.15.0: GLM(shares, differences, Binomial()).fit(cov_type="HC0"), in rating points.
REFERENCE = {
    "plain": ([982.711, 1020.475, 1016.534, 980.28], [80.117, 72.914, 84.235, 70.482], []),
    "style": ([988.848, 1016.91, 1018.379, 975.863], [80.205, 73.791, 85.1, 72.317], [95.166]),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_ratings_and_intervals_are_those_of_another_implementation(name):
    ratings, halves, effects = REFERENCE[name]
    found = bradley_terry(small_set(), style=WORDS if name == "style" else None)
    table = found.table.loc[list("abcd")]
    assert table["rating"].tolist() == pytest.approx(ratings, abs=2e-3)
    assert (table["high"] - table["rating"]).tolist() == pytest.approx(halves, abs=2e-3)
    assert (table["rating"] - table["low"]).tolist() == pytest.approx(halves, abs=2e-3)
    assert found.style["effect"].tolist() == pytest.approx(effects, abs=2e-3)


def test_ratings_are_those_of_the_fixed_point_that_zermelo_gave():
    votes = list(small_set())
    won, met = np.zeros(4), np.zeros((4, 4))
    for vote in votes:
        i, j = ("abcd".index(vote[side]) for side in "ab")
        share = evaluation.VOTES[vote["vote"]]
        won[[i, j]] += share, 1 - share
        met[[i, j], [j, i]] += 1
    worth = np.ones(4)
    for _ in range(5000):
        worth = won / (met / (worth[:, None] + worth)).sum(1)
    strengths = np.log(worth) - np.log(worth).mean()
    table = bradley_terry(votes).table.loc[list("abcd")]
    assert table["rating"].tolist() == pytest.approx((1000 + POINTS * strengths).tolist(), abs=1e-3)


def test_swapping_the_sides_changes_nothing():
    swapped = [
        ballot(
            v["b"], v["a"], {"A": "B", "B": "A"}.get(v["vote"], v["vote"]),
            answer_a=v["answer_b"], answer_b=v["answer_a"],
        )
        for v in small_set()
    ]  # fmt: skip
    one, other = (bradley_terry(votes, style=WORDS) for votes in (small_set(), swapped))
    for column in ("rating", "low", "high", "won", "lost"):
        same = dict(one.table[column].items())
        assert same == pytest.approx(dict(other.table[column].items()))
    assert one.style.loc["words", "effect"] == pytest.approx(other.style.loc["words", "effect"])


def test_two_contestants_differ_by_the_odds_of_their_votes():
    votes = [ballot("x", "y", "A")] * 30 + [ballot("y", "x", "A")] * 10
    gap = bradley_terry(votes).difference("x", "y")
    assert gap.difference == pytest.approx(POINTS * math.log(3))
    assert gap.chance == pytest.approx(0.75)
    assert gap.high - gap.difference == pytest.approx(POINTS * 1.96 / math.sqrt(40 * 3 / 16), 1e-3)
    assert "+191" in str(gap) and "75%" in str(gap)


def test_votes_are_counted_and_ranks_are_shared_by_those_that_cannot_be_told_apart():
    votes = [ballot("x", "y", "A")] * 90 + [ballot("x", "y", "B")] * 10
    votes += [ballot("y", "z", "tie")] * 20 + [ballot("z", "y", "both bad")] * 20
    table = bradley_terry(votes).table
    assert list(table.index[:1]) == ["x"] and table["rank"].to_dict() == {"x": 1, "y": 2, "z": 2}
    assert table.loc["y", ["votes", "won", "tied", "lost"]].tolist() == [140, 10, 40, 90]
    assert table["rating"].mean() == pytest.approx(1000)


def test_a_table_of_votes_is_read_as_well():
    import pandas as pd

    votes = list(small_set())
    same = bradley_terry(pd.DataFrame(votes)).table["rating"]
    assert same.to_dict() == pytest.approx(bradley_terry(votes).table["rating"].to_dict())


@pytest.mark.parametrize(
    "votes, says",
    [
        ([], "no vote yet"),
        ([ballot("x", "y", "A")], "'x' has never lost or tied a vote .* too high. .* prior=1"),
        (
            [ballot("x", "y", "tie"), ballot("x", "z", "A"), ballot("z", "y", "B")],
            "'z' has never won or tied a vote .* too low",
        ),
        (
            [ballot(a, b, v) for a, b in ("wx", "yz") for v in "AB"]
            + [ballot("w", "y", "A"), ballot("x", "z", "A")],
            "'w' and 'x' have never lost or tied a vote against another than these",
        ),
        (
            [ballot("w", "x", "tie"), ballot("y", "z", "tie")],
            "No vote joins 'y' and 'z' to 'w'",
        ),
        ([ballot("x", "y", "A"), ballot("x", "x", "A")], "Vote 1 is between 'x' and itself"),
        ([ballot("x", "y", "a")], "Vote 0 is 'a': it must be 'A', 'B', 'tie' or 'both bad'"),
        ([ballot("x", "y", None)], "Vote 0 is None"),
        ([{"a": "x", "vote": "A"}], "Vote 0 has no name in 'b'"),
    ],
)  # fmt: skip
def test_votes_that_say_too_little_are_refused_in_a_sentence(votes, says):
    with pytest.raises(ValueError, match=says):
        bradley_terry(votes)


def test_what_is_no_vote_is_refused():
    with pytest.raises(TypeError, match="Vote 0 is of type str"):
        bradley_terry(["A"])
    with pytest.raises(ValueError, match="prior must not be negative"):
        bradley_terry(small_set(), prior=-1)
    with pytest.raises(ValueError, match="no vote on 'zoe'"):
        bradley_terry(small_set()).difference("a", "zoe")


def test_imagined_votes_rate_who_has_never_won():
    votes = [ballot("x", "y", "A"), ballot("w", "z", "A")]
    table = bradley_terry(votes, prior=1).table
    assert np.isfinite(table[["rating", "low", "high"]].to_numpy()).all()
    assert table.loc["x", "rating"] > 1000 > table.loc["y", "rating"]
    assert (table["rank"] == 1).all()  # two votes tell nobody apart
    plain, imagined = (bradley_terry(small_set(), prior=p).table["rating"] for p in (0, 1e-6))
    assert plain.to_dict() == pytest.approx(imagined.to_dict(), abs=1e-2)


def test_a_style_that_says_no_more_than_the_name_is_refused():
    votes = [v | {f"answer_{s}": v[s] for s in "ab"} for v in small_set()]
    with pytest.raises(ValueError, match="style 'is a' cannot be told from who"):
        bradley_terry(votes, style={"is a": lambda answer: answer == "a"})
    with pytest.raises(ValueError, match="style 'again' cannot be told"):
        bradley_terry(small_set(), style={**WORDS, "again": WORDS["words"]})


def test_a_style_that_decides_every_vote_is_refused():
    votes = [
        v | {"answer_a": "w " * (1 + 8 * (v["vote"] == "A")), "answer_b": "w w w"}
        for v in small_set()
        if v["vote"] in "AB"
    ]
    with pytest.raises(ValueError, match="No finite ratings and effects of style"):
        bradley_terry(votes, style=WORDS)
    assert 0 < bradley_terry(votes, style=WORDS, prior=1).style.loc["words", "low"] < math.inf


@pytest.mark.parametrize("measure", [lambda a: -1, lambda a: "long", lambda a: math.nan])
def test_a_style_that_is_no_number_from_0_up_is_refused(measure):
    with pytest.raises(ValueError, match="style 'look' of an answer must be a number from 0 up"):
        bradley_terry(small_set(), style={"look": measure})
    with pytest.raises(ValueError, match="Vote 0 has no text in 'answer_a'"):
        bradley_terry([ballot("x", "y", "A")] * 2, style=WORDS, prior=1)


# --- the arena ------------------------------------------------------------------------------------


def voted(arena, n, vote=lambda pair: "A"):
    pairs = []
    for _ in range(n):
        pairs.append(arena.next())
        arena.vote(pairs[-1], vote(pairs[-1]))
    return pairs


def test_everybody_meets_everybody_equally_often_on_both_sides_and_on_all_questions():
    pairs = voted(Arena(CONTESTANTS, ITEMS), 24)
    sides = [(pair.a, pair.b) for pair in pairs]
    assert all(sides.count((a, b)) == 2 for a in CONTESTANTS for b in CONTESTANTS if a != b)
    assert all([pair.position for pair in pairs].count(i) == 4 for i in range(len(ITEMS)))
    assert len({frozenset(two) for two in sides[:6]}) == 6  # each once before any twice


def test_the_same_seed_draws_the_same_pairs_and_another_draws_others():
    def drawn(seed):
        return [(p.a, p.b, p.position) for p in voted(Arena(CONTESTANTS, ITEMS, seed=seed), 12)]

    assert drawn(0) == drawn(0) != drawn(1)


def test_asking_again_changes_nothing_and_costs_nothing():
    calls = []

    def counted(pictures, questions):
        calls.append((pictures, questions))
        return ["yes"]

    arena = Arena({"one": counted, "two": counted}, ITEMS)
    first = arena.next()
    assert arena.next() == first and len(calls) == 2
    assert calls[0] == ([[PICTURE]], [first.question])


def test_who_answered_is_not_shown_before_the_vote():
    pair = Arena({"ada": says("x"), "bob": says("y")}, ITEMS).next()
    assert "ada" not in repr(pair) and "bob" not in repr(pair)


def test_votes_are_kept_as_they_are_cast_and_gone_on_with(tmp_path):
    path = tmp_path / "deep" / "votes.jsonl"
    straight = voted(Arena(CONTESTANTS, ITEMS), 10)
    first = voted(Arena(CONTESTANTS, ITEMS, votes=path), 4)
    assert len(evaluation.votes(path)) == 4
    again = Arena(CONTESTANTS, ITEMS, votes=path)
    assert first + voted(again, 6) == straight
    kept = evaluation.votes(path)
    assert kept == again.votes and len(kept) == 10
    assert kept[0]["answer_a"] == straight[0].answer_a and kept[0]["vote"] == "A"
    assert bradley_terry(kept, prior=1).table.equals(again.ratings().table)


def test_a_half_written_vote_is_dropped_and_all_others_stay(tmp_path):
    path = tmp_path / "votes.jsonl"
    voted(Arena(CONTESTANTS, ITEMS, votes=path), 3)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"a": "ada", "b": "bo')
    assert len(evaluation.votes(path)) == 3
    arena = Arena(CONTESTANTS, ITEMS, votes=path)
    voted(arena, 1)
    assert path.read_bytes().startswith(whole) and len(evaluation.votes(path)) == 4
    with path.open("ab") as other:  # a second arena on the file, killed while this one goes on
        other.write(b'{"a": "ada", "b')
    voted(arena, 1)
    assert path.read_bytes().startswith(whole) and len(evaluation.votes(path)) == 5


def test_a_vote_that_a_full_disk_takes_half_is_not_counted_and_leaves_no_half_line(
    tmp_path, monkeypatch
):
    path = tmp_path / "votes.jsonl"
    arena = Arena(CONTESTANTS, ITEMS, votes=path)
    voted(arena, 1)
    before, pair = path.read_bytes(), arena.next()

    class Full(io.FileIO):
        taken = False

        def write(self, data):
            if self.taken:
                raise OSError(28, "No space left on device")
            self.taken = True
            return super().write(data[:10])

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda path, mode, **_: Full(path, mode.replace("b", "")))
        with pytest.raises(OSError, match="votes.jsonl cannot be written .No space left"):
            arena.vote(pair, "A")
    assert path.read_bytes() == before and len(arena.votes) == 1
    arena.vote(pair, "A")
    assert len(evaluation.votes(path)) == 2


def test_a_picture_that_cannot_be_read_is_named_and_another_pair_comes():
    items = [{**ITEMS[0], "image": "nowhere.png"}, {"question": "q", "answer": "a"}]
    arena, seen = Arena(CONTESTANTS, items), []
    for _ in range(20):
        try:
            pair = arena.next()
            seen.append(pair.question)
            arena.vote(pair, "tie")
        except FileNotFoundError as error:
            seen.append("nowhere.png" in str(error))
    assert True in seen and "q" in seen


def test_a_file_that_is_taken_away_is_written_again_with_all_votes(tmp_path):
    path = tmp_path / "votes.jsonl"
    arena = Arena(CONTESTANTS, ITEMS, votes=path)
    voted(arena, 2)
    path.unlink()
    voted(arena, 1)
    assert evaluation.votes(path) == arena.votes and len(arena.votes) == 3


def test_two_arenas_that_begin_one_file_at_the_same_moment_keep_the_votes_of_both(tmp_path):
    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    two = [Arena(CONTESTANTS, ITEMS, votes=path, seed=i) for i, path in enumerate((here, there))]
    for arena in two:
        voted(arena, 2)
    with here.open("ab") as file:  # both found it empty
        file.write(there.read_bytes())
    assert evaluation.votes(here) == [vote for arena in two for vote in arena.votes]
    assert len(Arena(CONTESTANTS, ITEMS, votes=here).votes) == 4


def test_a_contestant_who_comes_later_is_caught_up_with(tmp_path):
    path = tmp_path / "votes.jsonl"
    voted(Arena({name: CONTESTANTS[name] for name in ("ada", "bob")}, ITEMS, votes=path), 4)
    pairs = voted(Arena(CONTESTANTS, ITEMS, votes=path), 5)
    assert not any({pair.a, pair.b} == {"ada", "bob"} for pair in pairs)


def other_arenas(path):
    voted(Arena(CONTESTANTS, ITEMS, votes=path), 12)
    other = [{**item, "question": item["question"] + "?"} for item in ITEMS]
    yield {"ada": says("x"), "bobby": says("y")}, ITEMS, "votes on .* who is no contestant here"
    yield CONTESTANTS, ITEMS[:2], "votes on an item [2-5], and there are 2 here"
    yield CONTESTANTS, other, "another question for item"


def test_the_votes_of_another_arena_are_refused_and_left_as_they_are(tmp_path):
    path = tmp_path / "votes.jsonl"
    for contestants, items, says_so in other_arenas(path):
        before = path.read_bytes()
        with pytest.raises(ValueError, match=says_so):
            Arena(contestants, items, votes=path)
        assert path.read_bytes() == before


@pytest.mark.parametrize(
    "text, says_so",
    [
        ("hello\n", "no votes of an arena"),
        ("hello", "no votes of an arena"),
        ('{"format": 1, "settings": {}}\n', "no votes of an arena"),
        ("[]\n", "no votes of an arena"),
        ('HEAD\n{"a": "ada"}\n', "no vote in line 2"),
        ('HEAD\n{"a": "ada", "b": "bob", "vote": "A"\n{}\n', "no vote in line 2"),
        ("HEAD\n\xff\n", "no vote in line 2"),
    ],
)
def test_what_holds_no_votes_is_refused_and_left_as_it_is(tmp_path, text, says_so):
    path = tmp_path / "votes.jsonl"
    path.write_bytes(text.replace("HEAD", '{"votes of an arena": 1}').encode("latin-1"))
    before = path.read_bytes()
    for read in (evaluation.votes, lambda path: Arena(CONTESTANTS, ITEMS, votes=path)):
        with pytest.raises(ValueError, match=says_so):
            read(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("begun", [b"", b'{"votes of'])  # as a kill may leave it
def test_a_file_without_a_whole_line_is_begun_anew(tmp_path, begun):
    path = tmp_path / "votes.jsonl"
    path.write_bytes(begun)
    voted(Arena(CONTESTANTS, ITEMS, votes=path), 1)
    assert len(evaluation.votes(path)) == 1


@pytest.mark.parametrize("answers", [["x", "y"], "x", [None], [3], None, [], {"x": "y"}])
def test_an_answer_that_is_no_text_is_named_and_another_pair_comes(answers):
    arena = Arena({"ada": lambda p, q: answers, "bob": says("b"), "cleo": says("c")}, ITEMS)
    errors = []
    for _ in range(12):
        try:
            arena.vote(arena.next(), "tie")
        except TypeError as error:
            errors.append(str(error))
    assert errors and all("contestant 'ada' did not answer item" in error for error in errors)
    assert arena.votes and {v[s] for v in arena.votes for s in "ab"} == {"bob", "cleo"}


@pytest.mark.parametrize(
    "contestants, items, kind, says_so",
    [
        ({"ada": says("x")}, ITEMS, ValueError, "two contestants or more, and this one has 'ada'"),
        ({}, ITEMS, ValueError, "two contestants or more, and this one has none"),
        ({"ada": says("x"), "bob": "pocket"}, ITEMS, TypeError, "'bob' is of type str"),
        ({"ada": says("x"), 3: says("y")}, ITEMS, TypeError, "name must be a text, not 3"),
        (CONTESTANTS, [], ValueError, "no question to ask"),
        (["ada", "bob"], ITEMS, TypeError, "contestants must be a dict"),
        (CONTESTANTS, None, TypeError, "items is of type NoneType: it must be a list of dicts"),
    ],
)
def test_contestants_that_cannot_meet_are_refused(contestants, items, kind, says_so):
    with pytest.raises(kind, match=says_so):
        Arena(contestants, items)


def test_a_vote_is_one_of_four_and_a_pair_is_voted_on_once():
    arena = Arena(CONTESTANTS, ITEMS)
    pair = arena.next()
    with pytest.raises(ValueError, match="vote must be 'A', 'B', 'tie' or 'both bad', not 'C'"):
        arena.vote(pair, "C")
    arena.vote(pair, "tie")
    with pytest.raises(ValueError, match="voted on already"):
        arena.vote(pair, "A")
    assert len(arena.votes) == 1


# --- the widget -----------------------------------------------------------------------------------


@pytest.fixture
def view(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return widgets.arena(CONTESTANTS, ITEMS)


def test_a_click_votes_reveals_the_names_and_draws_the_ratings(view, tmp_path):
    shown = [box.value for box in view.answers.values()]
    pair = view.pair
    assert pair.answer_a in shown[0] and pair.answer_b in shown[1]
    assert pair.question in view.question.value and len(view.pictures.children) == 1
    assert f"A: {pair.a}" not in shown[0] and view.further.disabled
    view.buttons["B"].click()
    assert f"A: {pair.a}" in view.answers["A"].value and f"B: {pair.b}" in view.answers["B"].value
    assert view.arena.votes[0]["vote"] == "B" and "1 vote so far" in view.status.value
    assert evaluation.votes(tmp_path / "runs" / "arena.jsonl") == view.arena.votes
    assert bytes(view.chart.value).startswith(b"\x89PNG") and view.chart.layout.display is None
    assert all(button.disabled for button in view.buttons.values())
    view.buttons["A"].click()  # a second click on the same pair
    assert len(view.arena.votes) == 1
    view.further.click()
    assert view.pair.number == 1 and not view.buttons["A"].disabled


def test_pictures_are_shown_small_and_stay_as_they_are(view):
    import io

    assert Image.open(io.BytesIO(view.pictures.children[0].value)).size == (320, 160)
    assert PICTURE.size == (400, 200)


def test_a_new_view_goes_on_with_the_votes_that_are_there(view):
    for vote in ("both bad", "A"):
        view.buttons[vote].click()
        view.further.click()
    again = widgets.arena(CONTESTANTS, ITEMS)
    assert [v["vote"] for v in again.arena.votes] == ["both bad", "A"]
    assert again.pair == view.pair and again.chart.value


def test_a_contestant_that_fails_is_named_and_the_next_pair_can_be_had():
    def fails(pictures, questions):
        raise RuntimeError("out of memory\nand more")

    view = widgets.arena({"ada": fails, "bob": says("b"), "cleo": says("c")}, ITEMS, votes=None)
    seen = set()
    for _ in range(12):
        seen.add(view.status.value)
        if view.pair is None and "No pair" in view.status.value:  # nothing of the last one stays
            assert not view.pictures.children and not view.answers["A"].value
        (view.further if view.pair is None else view.buttons["tie"]).click()
        if view.pair is None and not view.further.disabled:
            view.further.click()
    assert any("out of memory" in status and "and more" not in status for status in seen)
    assert view.arena.votes


def test_a_vote_that_cannot_be_kept_is_said_and_can_be_cast_again(view, monkeypatch):
    def full(self, cast):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Arena, "_write", full)
        view.buttons["A"].click()
    assert "could not be kept: No space left" in view.status.value and not view.arena.votes
    view.buttons["A"].click()
    assert len(view.arena.votes) == 1


def test_what_a_contestant_says_is_shown_as_it_is():
    html = "<script>alert(1)</script> & more"
    view = widgets.arena({n: lambda p, q: [html] for n in "ab"}, ITEMS, votes=None)
    assert "&lt;script&gt;" in view.answers["A"].value and "<script" not in view.answers["A"].value


def test_the_figure_is_closed_after_it_is_drawn(view):
    from matplotlib import pyplot as plt

    before = plt.get_fignums()
    view.buttons["tie"].click()
    assert plt.get_fignums() == before


def test_a_page_without_widgets_shows_the_pair_and_leaves_no_figure(view):
    from matplotlib import pyplot as plt

    before = plt.get_fignums()
    twin = view._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in twin
    for said in (view.pair.question, f"A: {view.pair.answer_a}", f"B: {view.pair.answer_b}"):
        assert said in twin["text/plain"]
    assert base64.b64decode(twin["image/png"]).startswith(b"\x89PNG")
    assert plt.get_fignums() == before
    view.buttons["tie"].click()
    assert "image/png" not in view._repr_mimebundle_()


def test_answers_may_come_in_any_row(tmp_path):
    path = tmp_path / "votes.jsonl"
    rows = {"array": lambda p, q: np.array(["x"]), "tuple": lambda p, q: ("x",)}
    voted(Arena(rows, ITEMS, votes=path), 2)
    assert [vote["answer_a"] for vote in evaluation.votes(path)] == ["x", "x"]


def test_a_vlm_is_a_contestant():
    vlm = vh.load()
    exam = vh.evaluation.exam(vh.scenes, "color", 2)
    view = widgets.arena({"pocket": vlm, "yes": says("yes")}, exam, votes=None)
    answers = {view.pair.a: view.pair.answer_a, view.pair.b: view.pair.answer_b}
    assert answers["pocket"] == exam[view.pair.position]["answer"]


# --- the figure -----------------------------------------------------------------------------------


def test_a_ranking_is_drawn_in_order_with_its_intervals():
    from matplotlib import pyplot as plt

    table = bradley_terry(small_set()).table
    vh.figures.ranking({"all": table, "three": table.iloc[:3]}, level=("mean", 1000))
    (axes,) = plt.gcf().axes
    assert [label.get_text() for label in axes.get_yticklabels()] == list(table.index)
    bars = [len(container[2][0].get_segments()) for container in axes.containers]
    assert bars == [4, 3] and axes.yaxis_inverted()
    first = axes.containers[0][2][0].get_segments()[0][:, 0]
    assert first.tolist() == pytest.approx(table.iloc[0][["low", "high"]].tolist())
    plt.close()
    with pytest.raises(ValueError, match="nothing to draw"):
        vh.figures.ranking(table.iloc[:0])


def test_the_file_of_votes_is_json_lines_that_others_can_read(tmp_path):
    path = tmp_path / "votes.jsonl"
    voted(Arena(CONTESTANTS, ITEMS, votes=path), 2)
    head, *rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert head == {"votes of an arena": 1}
    assert set(rows[0]) == {
        "a", "b", "vote", "item", "question", "answer_a", "answer_b", "time",
    }  # fmt: skip
