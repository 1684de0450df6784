"""The recipe of pocket-llava: packing changes nothing, training resumes, figures are right."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlavaForConditionalGeneration

from recipes import loop
from recipes.pocket_llava import evaluate, packing, parts, train
from recipes.pocket_llava.stages import EVERYTHING, STAGES
from vlm_helpers import scenes
from vlm_helpers.loading import pocket_folder
from vlm_helpers.scenes import Draws


@pytest.fixture(scope="module")
def processor():
    return parts.make_processor()  # draws 6,000 scenes for its tokenizer: once is enough


@pytest.fixture(scope="module")
def packer(processor):
    return packing.Packer(processor.tokenizer)


def test_the_vocabulary_has_whole_words_single_digits_and_locations_that_survive(processor):
    tokenizer = processor.tokenizer
    for word in (*scenes.COLORS, *scenes.SHAPES, *scenes.HELD_OUT_SHAPES, *scenes.WORDS, "none"):
        assert len(tokenizer(f" {word}", add_special_tokens=False).input_ids) == 1, word
    assert tokenizer.tokenize("1234") == list("1234")
    ids = tokenizer("a <loc_07><loc_63></s>", add_special_tokens=False).input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == "a <loc_07><loc_63>"
    text = "Ein Würfel, 骰子 & <3"  # bytes stand in for what was never seen
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text


def test_template_renders_the_prompt_that_training_packs(processor, packer):
    turns = [("What size is it?", "small"), ("Where is it?", "on the left")]
    text = processor.apply_chat_template(scenes.to_messages(turns))
    assert text == (
        "USER: <image>\nWhat size is it? ASSISTANT: small</s>"
        "USER: Where is it? ASSISTANT: on the left</s>"
    )
    image = scenes.sample(0).image
    ids = processor(text=text, images=image)["input_ids"][0]
    assert ids == packer.prefix + packer.segment(turns)[0]
    prompt = processor.apply_chat_template(
        scenes.to_messages(turns)[:1], add_generation_prompt=True
    )
    assert text.startswith(prompt) and prompt.endswith("ASSISTANT:")


def test_generation_tags_mark_answers_and_their_end(processor):
    turns = [("What size is it?", "small"), ("Where is it?", "on the left")]
    row = processor.apply_chat_template(
        [
            {**message, "content": [p for p in message["content"] if p["type"] == "text"]}
            for message in scenes.to_messages(turns)
        ],
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    marked = [i for i, m in zip(row["input_ids"][0], row["assistant_masks"][0]) if m]
    assert processor.tokenizer.decode(marked) == " small</s> on the left</s>"


def test_a_packed_segment_is_to_the_model_a_prompt_of_its_own(processor, packer):
    """Its logits are those of the plain prompt, so what is trained is what is asked later."""
    model = parts.make_model(processor.tokenizer).eval()
    trainee = train.Trainee(model, packer.image_start).eval()
    mixture = packing.Mixture(EVERYTHING)
    batch = packer.batch(Draws("test"), mixture, [5])
    _, ids, positions, mask, learnt, _ = (batch[k][0] for k in (
        "pixels", "ids", "positions", "mask", "learnt", "patches"))  # fmt: skip
    starts = np.flatnonzero(np.diff(positions, prepend=0) < 0)
    segment = slice(starts[1], starts[2])
    plain = torch.tensor([packer.prefix + ids[segment].tolist()])
    pixels = torch.from_numpy(batch["pixels"])
    with torch.no_grad():
        expected = model(input_ids=plain, pixel_values=pixels).logits[0, packing.PREFIX :]
        inner = model.model
        embeds = inner.get_input_embeddings()(torch.from_numpy(batch["ids"])).clone()
        where = slice(packer.image_start, packer.image_start + parts.N_PATCHES)
        embeds[:, where] = inner.multi_modal_projector(trainee.seer.features(pixels))
        allowed = torch.where(torch.from_numpy(batch["mask"])[:, None], 0.0, -1e30)
        hidden = inner.language_model(
            inputs_embeds=embeds,
            attention_mask=allowed,
            position_ids=torch.from_numpy(batch["positions"]),
        ).last_hidden_state
        got = model.lm_head(hidden)[0, segment]
        tensors = {key: torch.from_numpy(value) for key, value in batch.items()}
        loss = trainee.answer_loss(trainee.seer.features(pixels), tensors)
    assert torch.allclose(got, expected, atol=2e-4)
    logits = model.lm_head(hidden)[0, :-1]
    target = torch.from_numpy(ids)[1:]
    by_hand = torch.nn.functional.cross_entropy(logits, target, reduction="none")
    assert loss.item() == pytest.approx(
        by_hand[torch.from_numpy(learnt)[1:]].mean().item(), rel=1e-4
    )


def test_only_answers_and_their_end_are_learnt(processor, packer):
    batch = packer.batch(Draws("x"), packing.Mixture({"color": 1}), [3])
    learnt = batch["ids"][0][batch["learnt"][0]]
    words = set(processor.tokenizer.convert_ids_to_tokens(learnt))
    assert words <= {f"Ġ{color}" for color in scenes.COLORS} | {"Ġnone", "</s>"}
    assert (learnt == processor.tokenizer.eos_token_id).sum() * 2 == len(learnt)


def test_pixels_are_what_the_processor_makes(processor):
    scene = scenes.sample(4)
    expected = processor.image_processor(scene.image, return_tensors="np")["pixel_values"][0]
    for key in "abcdef":  # drawn cheaply in two ways; both near
        got = packing.pixels(scene, Draws(key))
        assert np.abs(got - expected).mean() < 0.06


def test_patch_labels_name_what_a_patch_shows():
    scene = scenes.sample(1, n_objects=1, sign="stop")
    labels = packing.patch_labels(scene).reshape(packing.GRID, packing.GRID, 12)
    (thing,) = scene.objects
    column, row = (int(v * packing.GRID) for v in thing.center)
    here = labels[row, column]
    assert packing.SHAPE_LABELS[int(here[0])] == thing.shape
    assert packing.COLOR_LABELS[int(here[1])] == thing.color
    assert bool(here[2]) == (thing.size == "large") and np.allclose(here[7:11], thing.box)
    assert "stop" in {scenes.WORDS[int(v)] for v in labels[..., 3].ravel() if v >= 0}
    assert (labels[..., 0] == 0).sum() > 20


def test_grey_pictures_keep_their_shapes_and_lose_their_colours():
    plain = packing.vision_batch(Draws("g"), packing.Mixture({}), range(8))
    grey = packing.vision_batch(Draws("g"), packing.Mixture({}), range(8), grey=1.0)
    assert np.ptp(grey["pixels"], axis=1).max() < 1e-6 < np.ptp(plain["pixels"], axis=1).max()
    assert (grey["patches"][..., 1] == -1).all() and (plain["patches"][..., 1] >= 0).any()
    assert (grey["patches"][..., 0] == plain["patches"][..., 0]).all()


def test_training_runs_saves_resumes_and_exports(processor, tmp_path, monkeypatch, capsys):
    small = [
        replace(STAGES[0], steps=1, batch=2, decay=0),
        replace(STAGES[1], steps=2, batch=2, decay=0),
        replace(STAGES[5], steps=1, batch=2, decay=0),
    ]
    monkeypatch.setattr(train, "STAGES", small)
    made = [processor]
    monkeypatch.setattr(train, "make_processor", made.pop)  # once, at the first start
    arguments = ["train", "--out", str(tmp_path), "--eager", "--device", "cpu"]
    monkeypatch.setattr("sys.argv", [*arguments, "--until", small[1].name])
    train.main()
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert (state["stage"], state["step"]) == (small[1].name, 2) and not made
    assert not (tmp_path / "pocket-llava").exists()
    monkeypatch.setattr("sys.argv", arguments)
    train.main()
    assert f"going on from {small[1].name}, step 2" in capsys.readouterr().out
    after = torch.load(tmp_path / "state.pt", weights_only=True)
    assert (after["stage"], after["step"]) == (small[2].name, 1)

    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "pocket-llava")
    assert model.dtype == torch.bfloat16
    for name, value in model.state_dict().items():
        expected = after["trainee"][f"llava.{name}"].to(torch.bfloat16)
        assert torch.equal(value, expected), name
    exported = AutoProcessor.from_pretrained(tmp_path / "pocket-llava")
    assert exported.tokenizer.get_vocab() == processor.tokenizer.get_vocab()
    again = train.Trainee(parts.make_model(processor.tokenizer), 0)
    train.load_weights(again, tmp_path / "pocket-llava")  # what --init does
    assert torch.equal(again.llava.lm_head.weight, model.lm_head.weight.float())


def test_the_base_model_keeps_the_tower_and_starts_the_rest_anew(tmp_path, monkeypatch):
    align = replace(STAGES[-1], steps=1, batch=2, learns={"projector": 0.0})
    monkeypatch.setattr(train, "STAGES", [align])
    folder = pocket_folder("pocket-llava")
    monkeypatch.setattr(
        "sys.argv",
        ["train", "--out", str(tmp_path), "--eager", "--device", "cpu", "--init", str(folder)],
    )
    train.main()
    before = LlavaForConditionalGeneration.from_pretrained(folder).state_dict()
    after = LlavaForConditionalGeneration.from_pretrained(tmp_path / align.save_as).state_dict()
    for name, value in after.items():
        assert torch.equal(value, before[name]) == ("vision_tower" in name), name


def test_rates_warm_up_and_fall_at_the_end():
    stage = replace(STAGES[-1], steps=1000, decay=100)
    assert loop.rate_factor(stage, 0) < 0.01
    assert loop.rate_factor(stage, 500) == 1
    assert loop.rate_factor(stage, 950) == pytest.approx(0.5)


# --- the measuring --------------------------------------------------------------------------------


class Oracle:
    """Answers by looking into the scene; `wrong` makes it answer the same to everything."""

    def __init__(self, rows, wrong=None):
        self.answers = {(scene.render().tobytes(), q.text): q.answer for scene, q in rows}
        self.wrong = wrong

    def ask(self, pictures, texts, **_):
        if self.wrong is not None:
            return [self.wrong] * len(texts)
        return [self.answers[p.tobytes(), t] for (p,), t in zip(pictures, texts)]


@pytest.mark.parametrize("skill", [s for s in scenes.SKILLS if s != "choice"])
def test_the_truth_scores_one_and_nonsense_scores_nothing(skill):
    rows = evaluate.collect(skill, 12, "test", 0)
    assert sum(question.answer != "none" for _, question in rows) == 12
    assert len({scene.seed for scene, _ in rows}) == len(rows)
    truth = evaluate.score(skill, rows, evaluate.ask_all(Oracle(rows), rows))
    assert min(truth.values()) > (0.85 if skill == "outline" else 0.999)
    nonsense = evaluate.score(skill, rows, evaluate.ask_all(Oracle(rows, "xyzzy"), rows))
    assert max(nonsense.values()) == 0


def test_circular_eval_wants_every_rotation():
    rows, numbers = evaluate.rotations(40, "test", 0)
    truth = [question.answer for _, question in rows]
    assert evaluate.circular(rows, numbers, truth) == {"CircularEval": 1, "one rotation": 1}
    found = evaluate.circular(rows, numbers, ["A"] * len(rows))
    assert found["CircularEval"] == 0 and 0.2 < found["one rotation"] < 0.5
    assert len(rows) == sum(len(rows[numbers.index(n)][1].choices) for n in range(40))


@pytest.mark.parametrize("skill", [s for s in scenes.SKILLS if s not in ("number", "word")])
def test_every_skill_can_be_asked_of_unseen_pairs(skill):
    assert len(evaluate.collect(skill, 8, "unseen_pairs", 0)) >= 8


def test_floors_are_what_guessing_scores():
    rows = evaluate.collect("exists", 60, "test", 0)
    assert 0.5 <= evaluate.floors("exists", rows)["majority: accuracy"] < 0.65
    rows = evaluate.collect("locate", 60, "test", 0)
    found = evaluate.floors("locate", rows)
    assert found["majority: accuracy at IoU 0.5"] < 0.1
    assert 0.2 < found["any object: accuracy at IoU 0.5"] < 0.7


def test_unseen_questions_are_about_unseen_pairs():
    for _, question in evaluate.collect("color", 20, "unseen_pairs", 0):
        pairs = {(o.shape, o.color) for o in question.objects}
        assert pairs & set(scenes.UNSEEN_PAIRS) or question.answer == "none"


@pytest.mark.parametrize("skill", ["locate", "locate_all", "point", "outline"])
def test_true_places_score_best_and_no_place_scores_nothing(skill):
    rows = evaluate.collect(skill, 10, "test", 0)
    best = evaluate.score(skill, rows, [question.answer for _, question in rows])
    assert min(best.values()) > (0.75 if skill == "outline" else 0.9)  # cells are coarse
    assert max(evaluate.score(skill, rows, ["somewhere"] * len(rows)).values()) == 0


@pytest.mark.parametrize("where", [".", "nowhere/figures.json"])
def test_a_file_that_cannot_be_is_told_before_anything_is_measured(tmp_path, where):
    with pytest.raises(argparse.ArgumentTypeError, match="cannot be a file: name one in a folder"):
        evaluate.new_file(str(tmp_path / where))
    assert evaluate.new_file(str(tmp_path / "figures.json")) == tmp_path / "figures.json"


def test_scores_can_be_written_as_json():
    json.dumps(evaluate.score("count", evaluate.collect("count", 2, "test", 0), ["1", "2"]))


def test_notebook_07_says_how_long_the_decoder_learnt():
    notebook = json.loads((Path(__file__).parents[1] / "notebooks/07_training.ipynb").read_text())
    source = "".join("".join(cell["source"]) for cell in notebook["cells"])
    learnt = [s for s in STAGES if "decoder" in s.learns and s.name != "align"]  # the base model's
    steps, batches = sum(stage.steps for stage in learnt), {stage.batch for stage in learnt}
    assert f"{steps:,} steps of {batches.pop()} pictures" in source and not batches
