"""The recipe of pocket-llava-next: what is trained is what the stock model is asked later."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import vlm_helpers as vh
from recipes import cards, loop, optimizers, updates
from recipes.pocket_llava_next import (
    align,
    card,
    check,
    evaluate,
    packing,
    parts,
    refit,
    scores,
    sight,
    sources,
    stages,
    text,
    train,
)
from vlm_helpers import evaluation, pages, scenes

TEXTS = ["Invoice number 12, total amount of the hippopotamus"] * 3 + ["a total of <loc_05>"]


@pytest.fixture(scope="module")
def processor():
    return parts.make_processor(parts.longer_tokenizer(TEXTS))


@pytest.fixture(scope="module")
def llava(processor):
    model = parts.make_model(processor.tokenizer).eval()
    parts.from_pocket_llava(model, processor.tokenizer)
    return model


@pytest.fixture(scope="module")
def pocket():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(parts.POCKET_LLAVA)


def test_new_tokens_follow_the_old_ones_and_leave_their_text_alone(processor, pocket):
    tokenizer = processor.tokenizer
    old, new = pocket.get_vocab(), tokenizer.get_vocab()
    assert all(new[token] == at for token, at in old.items()) and len(new) > len(old)
    for question in scenes.sample(3).questions():
        line = f"USER: {question.text} ASSISTANT: {question.answer}"
        assert tokenizer(line).input_ids == pocket(line).input_ids
    assert tokenizer.tokenize(" total hippopotamus 907 <loc_07>") == [
        "Ġtotal", "Ġhippopotamus", "Ġ", "9", "0", "7", "Ġ", "<loc_07>",
    ]  # fmt: skip
    odd = "Ein Würfel, 骰子 & <3 <loc_63>"
    assert tokenizer.decode(tokenizer(odd, add_special_tokens=False).input_ids) == odd


def test_merges_come_in_the_order_of_their_number(pocket):
    found = parts.new_merges(pocket.backend_tokenizer, ["zqzqzq zq"] * 2 + ["xk"] * 3, 3)
    assert found[0] == ("z", "q") and ("x", "k") in found


def test_a_new_token_begins_as_the_mean_of_its_pieces(processor, llava, pocket):
    token, rows = "Ġhippopotamus", llava.get_input_embeddings().weight
    at = processor.tokenizer.convert_tokens_to_ids(token)
    pieces = [piece.id for piece in pocket.backend_tokenizer.model.tokenize(token)]
    assert at >= len(pocket) and len(pieces) > 2
    assert torch.allclose(rows[at], rows[pieces].mean(0), atol=1e-6)


@pytest.mark.parametrize(
    "size, fixed",
    [((96, 96), False), ((384, 96), False), ((150, 250), False), ((96, 96), True)],
)
def test_a_packed_segment_is_to_the_stock_model_a_prompt_of_its_own(processor, llava, size, fixed):
    """The same picture tokens, the same scores, the same greedy answer."""
    trainee, packer = train.Trainee(llava), packing.Packer(processor, room=120)
    rows, prompts = [], []
    for seed, shape in enumerate([size, (96, 192)]):  # two prefixes of different length
        scene = scenes.sample(seed)
        image = scene.image.resize(shape)
        talks = [[(q.text, q.answer)] for q in scene.questions(["color", "count", "exists"])]
        rows.append(packer.row(image, talks))
        prompts.append((image, talks))
    batch = packer.batch(rows, fixed)
    prefix = batch["order"].shape[1]
    with torch.no_grad():
        features = trainee.features(batch["pixels"])
        scores, targets = trainee.answers(features, batch)
        told, at = targets != packing.NOTHING, 0
        assert fixed != bool(told.all())
        scores, targets = scores[told], targets[told]
        for image, talks in prompts:
            for ((question, answer),) in talks:
                turns = scenes.to_messages([(question, answer)])
                whole = processor(
                    text=processor.apply_chat_template(turns), images=image, return_tensors="pt"
                )
                start = processor(
                    text=processor.apply_chat_template(turns[:1], add_generation_prompt=True),
                    images=image, return_tensors="pt",
                )  # fmt: skip
                asked = start["input_ids"].shape[1]
                learnt = whole["input_ids"][0, asked:]
                span = slice(at, at + len(learnt))
                assert torch.equal(targets[span], learnt)
                stock = llava(**whole).logits[0, asked - 1 : -1]
                assert torch.allclose(scores[span], stock, atol=1e-3)
                reply = llava.generate(**start, max_new_tokens=len(learnt), do_sample=False)
                right = bool((scores[span].argmax(-1) == learnt).all())
                assert torch.equal(reply[0, asked:], learnt) == right
                at += len(learnt)
    assert at == len(targets) and prefix > min(row.image_tokens for row in rows) + 5


def test_views_find_the_pixels_that_the_processor_cut(processor):
    """A red dot drawn anywhere is where `Views` says, in the overview and in its tile."""
    for size, spot in [((288, 192), (0.9, 0.2)), ((100, 140), (0.3, 0.8)), ((384, 96), (0.6, 0.5))]:
        image = text.Image.new("RGB", size)
        x, y = int(spot[0] * size[0]), int(spot[1] * size[1])
        image.paste((255, 0, 0), (x - 4, y - 4, x + 5, y + 5))
        pixels = processor.image_processor(image, return_tensors="np")["pixel_values"][0]
        views, found = packing.Views(size), 0
        assert len(views) == len(pixels)
        exact = np.array([[(x + 0.5) / size[0], (y + 0.5) / size[1]]], np.float32)
        for number, view in enumerate(pixels):
            px, py = views.points(number, exact)[0]
            if 0 <= px < 96 and 0 <= py < 96:
                assert view[0, int(py), int(px)] > 1.0
                found += 1
        assert found == 2


def test_letters_are_labelled_where_they_stand():
    labels = sight.letter_labels(
        "aBc?é", np.array([[1, 1], [5, 2], [13, 3], [2, 8], [500, 3]], np.float32),
        np.array([9, 9, 9, 3, 9]), np.array([0, 0, 0, 1, 0]), np.array([1, 0, 1, 0, 1]),
    )  # fmt: skip
    letter = sight.LETTERS
    assert labels[0].tolist() == [letter["a"], letter["B"], sight.UNREADABLE, 1, 0, -1]
    assert labels[1].tolist() == [letter["c"], sight.EMPTY, sight.EMPTY, 1, -1, -1]
    assert (labels[2:, :3] == sight.EMPTY).all()


def test_a_page_tells_the_tower_what_its_patches_hold():
    page = pages.sample(1, kind="table", clean=True)
    picture = sources.whole(page)
    found = picture.labels(packing.Views(picture.size))["letters"][1:, :, :3]
    names = {at: letter for letter, at in sight.LETTERS.items()}
    seen = sorted(names[at] for at in found.ravel() if at > sight.UNREADABLE)
    printed = sorted(c for c in page.characters().text if c in sight.LETTERS)
    assert len(seen) > 0.9 * len(printed)  # a patch has room for three


def test_things_are_labelled_by_what_covers_a_patch():
    labels = sight.thing_labels([(0, 0, 0.5, 0.5), (0.25, 0.25, 0.5, 0.5)], ["ant", "cow"])
    names = ["", *sight.atlas.things().names]
    grid = labels[:, 0].astype(int).reshape(8, 8)
    assert names[grid[0, 0]] == "ant" and names[grid[3, 3]] == "cow" and grid[5, 5] == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_muon_moves_as_the_one_of_torch(dtype):
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.ones(96, 160)) for _ in range(2))
    mine = optimizers.Muon([ours], lr=0.1, weight_decay=0.01, dtype=dtype)
    stock = torch.optim.Muon(
        [theirs], lr=0.1, weight_decay=0.01, adjust_lr_fn="match_rms_adamw", momentum=0.95
    )
    for _ in range(3):
        gradient = torch.randn(96, 160)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        mine.step()
        stock.step()
    moved, expected = (ours - 1).detach().flatten(), (theirs - 1).detach().flatten()
    assert torch.cosine_similarity(moved, expected, dim=0) > 0.99
    assert moved.norm() / expected.norm() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    "make", [optimizers.Muon, lambda ps, lr: torch.optim.AdamW(ps, lr=lr, fused=True)]
)
def test_rates_that_are_tensors_move_as_numbers_do(make):
    torch.manual_seed(0)
    first, second = (torch.nn.Parameter(torch.ones(96, 160)) for _ in range(2))
    number = make([{"params": [first]}], lr=0.1)
    tensor = make([{"params": [second], "peak": 0.4}], lr=torch.tensor(0.4))
    for factor in (0.25, 0.5):
        first.grad = torch.randn(96, 160)
        second.grad = first.grad.clone()
        number.param_groups[0]["lr"] = 0.4 * factor
        optimizers.set_rates([tensor], factor)
        number.step()
        tensor.step()
    assert torch.allclose(first, second, atol=1e-6) and not torch.allclose(first, torch.ones(1))


def test_an_optimizer_restored_keeps_its_momentum_and_takes_the_rates_of_now():
    weights = [torch.nn.Parameter(torch.ones(96, 160)) for _ in range(2)]
    old, new = (
        optimizers.Muon([{"params": [p], "peak": peak, "lr": torch.tensor(peak)}])
        for p, peak in zip(weights, (0.1, 0.2))
    )
    weights[0].grad = torch.randn(96, 160)
    old.step()
    optimizers.restore(new, old.state_dict())
    optimizers.set_rates([new], 1.0)
    assert new.param_groups[0]["lr"].item() == pytest.approx(0.2)
    momentum = new.state[weights[1]]["momentum"]
    assert torch.equal(momentum, old.state[weights[0]]["momentum"]) and momentum.any()


# --- batches of fixed shapes, and graphs ----------------------------------------------------------

LANGUAGE = [stage for stage in stages.STAGES if "decoder" in stage.learns]


def drawn_rows(processor, stage, count):
    steps = train.Steps(replace(stage, batch=count, steps=1), 9, processor)
    return steps.packer, [steps._row(sources.Draws(f"fixed/{n}"), 10**9 + n) for n in range(count)]


def learnt_from(trainee, batch, stage):
    loss, logs = trainee(batch, stage)
    learning = [p for part in stage.learns for p in trainee.part(part)]
    return loss.detach(), logs, torch.autograd.grad(loss, learning, allow_unused=True)


def test_a_batch_of_fixed_shapes_teaches_what_a_packed_one_does(processor):
    model = parts.make_model(processor.tokenizer)
    parts.from_pocket_llava(model, processor.tokenizer)
    trainee, stage = train.Trainee(model), replace(stages.STAGES[-1], room=96)
    packer, rows = drawn_rows(processor, stage, 3)
    packed, fixed = packer.batch(rows), packer.batch(rows, fixed=True)
    assert fixed["ids"].shape[1] > packed["ids"].shape[1]
    assert len(fixed["pixels"]) > len(packed["pixels"]) and len(fixed["learnt"]) == 3 * 96
    expected, logs, gradients = learnt_from(trainee, packed, stage)
    loss, found, others = learnt_from(trainee, fixed, stage)
    assert torch.allclose(loss, expected, rtol=1e-5)
    assert logs.keys() == found.keys() > {"answers", "tokens right", "letters"}
    assert all(torch.allclose(found[name], value, rtol=1e-4) for name, value in logs.items())
    assert [g is None for g in others] == [g is None for g in gradients]
    pairs = [(a, b) for a, b in zip(others, gradients) if a is not None]
    largest = max(theirs.abs().max().item() for _, theirs in pairs)
    assert len(pairs) > 100 and largest > 0.01
    assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-5 * largest) for a, b in pairs)


def test_every_picture_has_a_bucket_and_every_bucket_its_shapes(processor):
    packer = packing.Packer(processor, room=64)
    row = packer.row(text.Image.new("RGB", (96, 96)), [[("Is it grey?", "yes")]])
    shapes = set()
    for height, width in parts.PINPOINTS:
        order = packing.feature_order((height, width))
        tiles = 1 + height * width // 96**2
        full = replace(row, order=order, pixels=np.zeros((tiles, 3, 96, 96), np.uint8))
        most, prefix = packer.bucket([full])
        assert tiles <= most and len(order) < prefix and prefix % 16 == 0
        batch = packer.batch([full, row], fixed=True)
        assert len(batch["pixels"]) == 2 * most and batch["ids"].shape == (2, prefix + 64)
        shapes.add(tuple(value.shape for value in batch.values()))
    assert len(shapes) == len(packing.BUCKETS) and packer.bucket([row]) == packing.BUCKETS[0]
    assert all(stage.room % 16 == 0 for stage in LANGUAGE)
    large = replace(row, order=np.zeros(9999, int))
    with pytest.raises(ValueError, match="packing.BUCKETS.*688"):
        packer.bucket([row, large])


def test_language_is_drawn_in_few_shapes_where_it_is_to_be_captured(processor, tmp_path):
    assert not loop.Options(tmp_path, device="cpu").graphs
    assert loop.Options(tmp_path, device="cuda:0").graphs
    assert not loop.Options(tmp_path, device="cuda", eager=True).graphs
    trainee = train.Trainee(parts.make_model(processor.tokenizer))
    run = train.NextRun(processor, trainee, capture=True)
    assert [run.graphs(stage) for stage in run.stages[:3]] == [False] * 3
    look = replace(next(s for s in LANGUAGE if s.name == "look"), batch=2)
    assert run.graphs(look) and not train.NextRun(processor, trainee).graphs(look)
    learnt = {tuple(run.steps(look)[step]["learnt"].shape) for step in range(train.GROUP)}
    assert learnt == {(2 * 208,)}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a CUDA graph needs an NVIDIA GPU")
@pytest.mark.parametrize("stage", LANGUAGE, ids=lambda stage: stage.name)
def test_a_graph_gives_the_losses_of_the_steps_by_hand(processor, stage):
    model = parts.make_model(processor.tokenizer)
    parts.from_pocket_llava(model, processor.tokenizer)
    trainee = train.NextRun(processor, train.Trainee(model), capture=True).trainee.to("cuda")
    for p in trainee.parameters():
        p.requires_grad_(False)
    packer, rows = drawn_rows(processor, stage, 2)
    batch = packer.batch(rows, fixed=True)
    made = optimizers.make_optimizers(trainee, stage.learns, "cuda")
    update = updates.Graphs(trainee, stage, made, torch.device("cuda"))
    optimizers.set_rates(made, 0.0)
    losses = [update(batch)["answers"].item() for _ in range(8)]
    assert len(update.graphs) == 1 and losses == pytest.approx(losses[:1] * 8, rel=1e-3)
    optimizers.set_rates(made, 1.0)  # the graph reads the rates when it is replayed
    moved = [update(batch)["answers"].item() for _ in range(9)]
    assert moved[-1] < 0.9 * losses[0]


# --- training -------------------------------------------------------------------------------------

SMALL = (
    stages.Stage("see", 1, 4, {"vision": 1e-4}, {"text": 2, "shapes": 1, "things": 1}, dense=1.0),
    stages.Stage(
        "ask", 5, 1, {"vision": 1e-4, "decoder": 1e-3, "heads": 1e-3}, {"strips": 1, "scenes": 1},
        dense=0.2, lines=1, room=48, save_as="done",
    ),
)  # fmt: skip


def run_until(out, processor, monkeypatch, steps, *options):
    """Trains to a step of the second stage, as if the command had been ended there."""
    monkeypatch.setattr(train, "STAGES", (SMALL[0], replace(SMALL[1], steps=steps)))
    monkeypatch.setattr(loop, "rate_factor", lambda stage, step: (step + 1) / 100)
    monkeypatch.setattr(train.NextRun, "check", lambda self, stage: {"looked": float(stage.steps)})
    if not (out / "processor").exists():
        processor.save_pretrained(out / "processor")
    command = ["train", "--out", str(out), "--eager", "--device", "cpu", *options]
    monkeypatch.setattr("sys.argv", command)
    train.main()


def test_training_goes_on_as_if_it_had_not_been_ended(processor, tmp_path, monkeypatch):
    assert 3 % train.GROUP and 9 > train.GROUP  # within a group of steps, and into the next one
    run_until(tmp_path / "straight", processor, monkeypatch, 9)
    run_until(tmp_path / "halves", processor, monkeypatch, 3)
    run_until(tmp_path / "halves", processor, monkeypatch, 9)
    straight, halves = (
        torch.load(tmp_path / name / "state.pt", weights_only=True)
        for name in ("straight", "halves")
    )
    assert (halves["stage"], halves["step"]) == ("ask", 9)
    for name, value in straight["trainee"].items():
        assert torch.equal(value, halves["trainee"][name]), name

    from transformers import AutoModelForImageTextToText, AutoProcessor

    shipped = AutoModelForImageTextToText.from_pretrained(tmp_path / "halves" / "done")
    assert shipped.dtype == torch.bfloat16
    for name, value in shipped.state_dict().items():
        assert torch.equal(value, halves["trainee"][f"llava.{name}"].to(torch.bfloat16)), name
    again = AutoProcessor.from_pretrained(tmp_path / "halves" / "done")
    assert again.image_processor.image_grid_pinpoints == parts.PINPOINTS
    assert (tmp_path / "halves" / "previous.pt").exists()
    log = [json.loads(line) for line in (tmp_path / "halves/log.jsonl").read_text().splitlines()]
    assert [(row["stage"], row["looked"]) for row in log] == [("see", 1), ("ask", 3), ("ask", 9)]


def test_processes_that_draw_change_nothing(processor, tmp_path, monkeypatch):
    run_until(tmp_path / "alone", processor, monkeypatch, 2)
    run_until(tmp_path / "helped", processor, monkeypatch, 2, "--loaders", "2")
    alone, helped = (
        torch.load(tmp_path / name / "state.pt", weights_only=True)["trainee"]
        for name in ("alone", "helped")
    )
    assert all(torch.equal(value, helped[name]) for name, value in alone.items())


def test_a_stage_holds_fast_what_the_tower_sees_where_nothing_is_printed(processor):
    stage = stages.Stage(
        "read", 1, 6, {"vision": 1e-4}, {"text": 4, "shapes": 1, "things": 1}, near=2.0
    )
    run = train.NextRun(processor, train.Trainee(parts.make_model(processor.tokenizer)))
    run.begin(stage)
    batch = train.Steps(stage, 0, processor)[0]
    with torch.no_grad():
        loss, logs = run.trainee(batch, stage)
        assert logs["moved"] == 0 and loss == logs["letters"] > 0
        run.trainee.sight.tower.embeddings.patch_embedding.weight.mul_(1.5)
        loss, logs = run.trainee(batch, stage)
        assert logs["moved"] > 0 and loss == logs["letters"] + 2 * logs["moved"]
        others = (batch["letters"] == sight.UNKNOWN).flatten(1).all(1)
        assert others.tolist() == [False] * 4 + [True] * 2
        batch["pixels"][~others] = 0
        assert run.trainee(batch, stage)[1]["moved"] == logs["moved"]


def held_out(seed, **counts):
    drawn = sources.tiles(sources.Draws(f"held out/{seed}"), check.FIRST, counts, 1.0)
    return {name: torch.from_numpy(value) for name, value in drawn.items()}


def test_fitting_the_heads_moves_nothing_but_the_heads(processor, monkeypatch):
    model = parts.make_model(processor.tokenizer)
    parts.from_pocket_llava(model, processor.tokenizer)
    trainee = train.Trainee(model)
    assert not trainee.sight.forgotten
    trainee.sight.forget()
    assert trainee.sight.forgotten
    for p in trainee.parameters():
        p.requires_grad_(False)  # as a stage before may have left them
    batch = held_out(0, shapes=6, things=2)
    with torch.no_grad():
        features = trainee.features(batch["pixels"])
        begun = trainee.sight.losses(features, batch)
    before = {name: value.clone() for name, value in trainee.state_dict().items()}
    said = []
    monkeypatch.setattr(refit, "TILES", {"text": 1, "pages": 1, "things": 2, "shapes": 6})
    found = refit.fit_heads(trainee, 20, say=lambda *words: said.append(words))
    heads = {id(p) for p in trainee.sight.heads()}
    moved = {n for n, p in trainee.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {n for n, p in trainee.named_parameters() if id(p) in heads}
    assert not trainee.sight.forgotten and said[-1][0] == "heads 19"
    with torch.no_grad():
        ended = trainee.sight.losses(features, batch)
    assert set(found) == {"letters", "things", "shapes"}
    assert ended["shapes"] < 0.8 * begun["shapes"] and ended["things"] < begun["things"]


def test_a_shipped_model_gets_heads_once_and_before_they_are_needed(
    processor, llava, tmp_path, monkeypatch
):
    shipped, out = tmp_path / "shipped", tmp_path / "out"
    train.export(llava, processor, shipped)
    (shipped / cards.LOG).write_text('{"stage": "see", "step": 1, "minutes": 1.0}\n')
    glance = stages.Stage("glance", 1, 1, {"decoder": 1e-3}, {"scenes": 1}, room=48)
    fit, fitted = refit.fit_heads, []

    def spy(trainee):
        assert trainee.sight.forgotten
        fitted.append({n: p.clone() for n, p in trainee.llava.named_parameters()})
        fit(trainee, 1)

    monkeypatch.setattr(refit, "fit_heads", spy)
    monkeypatch.setattr(refit, "TILES", {"text": 1, "things": 1, "shapes": 1})

    def goes_on(steps, *options):
        ask = replace(SMALL[1], steps=steps, learns={"decoder": 1e-3})
        monkeypatch.setattr(train, "STAGES", (SMALL[0], glance, ask))
        monkeypatch.setattr(train.NextRun, "check", lambda self, stage: {"looked": 1.0})
        command = ["train", "--out", str(out), "--eager", "--device", "cpu", *options]
        monkeypatch.setattr("sys.argv", command)
        train.main()
        return torch.load(out / "state.pt", weights_only=True)["trainee"]

    # a stage without labels needs none, and a run ended there still knows that it has none
    state = goes_on(2, "--init", str(shipped), "--stage", "glance", "--until", "glance")
    assert not fitted and not state["sight.letters.weight"].any()
    state = goes_on(2)
    assert len(fitted) == 1 and state["sight.letters.weight"].any()
    for name, value in fitted[0].items():
        if "vision_tower" in name or "projector" in name:
            assert torch.equal(state[f"llava.{name}"], value), name
    kept = state["sight.letters.weight"]
    state = goes_on(3)
    assert len(fitted) == 1 and torch.equal(state["sight.letters.weight"], kept)
    log = [json.loads(line)["stage"] for line in (out / "log.jsonl").read_text().splitlines()]
    assert log == ["see", "glance", "ask", "ask"]  # after the one that the model came with

    known, trainee = check.load(out)
    assert all(torch.equal(value, state[n]) for n, value in trainee.state_dict().items())
    assert known.tokenizer.get_vocab() == processor.tokenizer.get_vocab()
    assert check.load(shipped)[1].sight.forgotten
    assert not train.make_run(tmp_path).trainee.sight.forgotten  # from nothing: heads at random


def test_what_is_no_model_cannot_be_gone_on_with(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["train", "--out", str(tmp_path), "--init", "nowhere"])
    with pytest.raises(SystemExit):
        train.main()
    assert "--init nowhere is no model: there is no folder" in capsys.readouterr().err
    given = ["--out", str(tmp_path), "--device", "cpu", "--init"]
    kept = tmp_path / "other" / "processor"
    shutil.copytree(vh.loading.pocket_folder("pocket-llava"), kept)
    shipped = str(vh.loading.pocket_folder("pocket-llava-next"))
    for more, says in (
        ([str(vh.loading.pocket_folder("pocket-llava"))], "is a llava, not a llava_next"),
        ([shipped, "--out", str(kept.parent)], "has other tokens than --init"),
        ([shipped, "--workers", "0"], "--workers must be 1 or more"),
    ):
        monkeypatch.setattr("sys.argv", ["train", *given, *more])
        with pytest.raises(SystemExit):
            train.main()
        assert says in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["other"]  # nothing was written


def test_a_state_is_whole_at_any_time_and_another_runs_is_told(tmp_path, monkeypatch):
    run = SimpleNamespace(stages=SMALL, names=lambda: ["see", "ask"], trainee=torch.nn.Linear(1, 1))
    loop.save_state(tmp_path, run.trainee, [], SMALL[0], 1)
    replaced = os.replace

    def killed(source, target):
        if Path(target).name == "state.pt":
            raise KeyboardInterrupt
        replaced(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        loop.save_state(tmp_path, run.trainee, [], SMALL[0], 2)
    monkeypatch.setattr(os, "replace", replaced)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["step"] == 1
    for other, says in (
        ({**state, "stage": "nix"}, "there is no stage 'nix'"),
        ({**state, "trainee": {}}, "of another run .Error"),
        ([], "TypeError"),
    ):
        torch.save(other, tmp_path / "state.pt")
        with pytest.raises(SystemExit, match=says):
            loop.train(run, loop.Options(tmp_path))
    torch.save({**state, "stage": "ask"}, tmp_path / "state.pt")
    with pytest.raises(SystemExit, match="ask comes after --until see"):
        loop.train(run, loop.Options(tmp_path, until="see"))


def test_a_stage_draws_the_kinds_of_page_that_it_names(monkeypatch):
    asked, sample = [], pages.sample
    monkeypatch.setattr(
        pages, "sample", lambda seed, *, kind: asked.append(kind) or sample(seed, kind=kind)
    )
    for name, kinds in sources.PAGES.items():
        stage = replace(stages.STAGES[-1], draws={name: 1.0})
        assert next(sources.picture(sources.Draws(name), 5, stage).talks) and asked.pop() == kinds
    known = {"strips", "snippets", "few", "things", "whole", "scenes", *sources.PAGES}
    assert all(set(stage.draws) <= known for stage in LANGUAGE)
    skills = {skill for stage in LANGUAGE for skill in stage.weights}
    assert skills <= set(pages.SKILLS)


def test_language_begins_with_the_decoder_of_pocket_llava_behind_the_tower(
    processor, llava, monkeypatch
):
    trainee = train.Trainee(parts.make_model(processor.tokenizer))
    tower = {n: p.clone() for n, p in trainee.sight.tower.named_parameters()}
    decoder = [p.clone() for p in trainee.part("decoder")]
    fitted = []
    monkeypatch.setattr(align, "align", lambda *args: fitted.append(args))
    train.NextRun(processor, trainee).begin(next(s for s in LANGUAGE if s.align))
    assert [steps for _, steps in fitted] == [400]
    known = llava.model.language_model.state_dict()
    for name, value in trainee.llava.model.language_model.state_dict().items():
        assert torch.equal(value, known[name])
    assert not all(torch.equal(p, old) for p, old in zip(trainee.part("decoder"), decoder))
    assert all(torch.equal(p, tower[n]) for n, p in trainee.sight.tower.named_parameters())


def test_the_projector_goes_back_to_what_the_decoder_knows(processor, monkeypatch):
    model = parts.make_model(processor.tokenizer)
    parts.from_pocket_llava(model, processor.tokenizer)
    trainee = train.Trainee(model)
    monkeypatch.setattr(align, "TILES", {"text": 1, "things": 1, "shapes": 3})
    drawn = sources.tiles(sources.Draws("tiles"), 10**9, align.TILES, 1.0)
    batch = {name: torch.from_numpy(value) for name, value in drawn.items()}
    fit = align.Fit(trainee)
    with torch.no_grad():
        assert fit(batch)["scenes"] < 1e-6  # the tower is still pocket-llava's
        fit.projector.linear_2.weight.neg_()
        off = fit(batch)["scenes"].item()
    others = {n: p.clone() for n, p in trainee.named_parameters() if "projector" not in n}
    said = []
    found = align.align(trainee, 25, say=lambda *words: said.append(words))
    with torch.no_grad():
        assert fit(batch)["scenes"] < 0.5 * off and said[-1][0] == "align 24"
    assert set(found) == {"scenes", "letters", "things"}
    assert all(torch.equal(p, others[n]) for n, p in trainee.named_parameters() if n in others)


def test_a_snippet_is_read_line_by_line():
    several = 0
    for number in range(12):
        found = sources.snippet(sources.Draws(f"snippet/{number}"))
        assert found.image.size == (96, 96)
        talks = list(found.talks)
        if not talks:
            continue
        lines = talks[0][0][1].split("\n")
        assert all(line and line == line.strip() for line in lines)
        if len(lines) > 1:
            (question, answer), several = talks[1][0], several + 1
            assert lines[int(question.removeprefix("Read line ").rstrip(".")) - 1] == answer
    assert several > 6


def test_things_are_shown_whole_or_shrunk():
    stage = next(stage for stage in LANGUAGE if stage.name == "ask")
    for kind, shares in (("whole", {1.0}), ("things", {1.0, 0.67, 0.5})):
        found = set()
        for seed in range(8):
            drawn = pages.sample(seed, kind=("things",))
            one = replace(stage, draws={kind: 1.0})
            picture = sources.picture(sources.Draws(f"{kind}/{seed}"), seed, one)
            found.add(round(picture.size[0] / drawn.size[0], 2))
            if picture.size == drawn.size:
                assert np.array_equal(picture.image, drawn.image)
        assert found == shares


def test_plain_print_has_few_fonts_and_whole_sizes():
    heights = [text.sheet(text.Draws(f"plain/{i}"), plain=True).heights for i in range(6)]
    assert {float(size) for found in heights for size in found} <= {8, 9, 10, 11, 12, 13, 14}


def test_norms_take_smaller_steps_than_matrices():
    model = parts.make_model(parts.make_processor(parts.longer_tokenizer(TEXTS)).tokenizer)
    rates = {"vision": 3e-3, "heads": 2e-3}
    adamw, muon = optimizers.make_optimizers(train.Trainee(model), rates, "cpu")
    assert {group["peak"] for group in muon.param_groups} == {3e-3}
    assert {group["peak"] for group in adamw.param_groups} == {1.5e-3, 2e-3}


# --- the measuring --------------------------------------------------------------------------------


class Oracle:
    """Answers by looking into the pages; `says` makes it answer the same to everything."""

    def __init__(self, items, says=None):
        self.answers = {question.text: question.answer for _, question in items.pairs}
        self.says = says

    def ask(self, images, questions, **_):
        if self.says is not None:
            return [self.says] * len(questions)
        return [self.answers[text] for text in questions]


@pytest.mark.parametrize("row", evaluate.ROWS, ids=lambda row: row.name)
def test_the_truth_scores_best_and_nonsense_worst(row):
    items = evaluate.exam(row, 4, "test", 0)
    assert len(items) == 4 and {q.skill for _, q in items.pairs} <= set(row.skills)
    items.pairs = list({question.text: (page, question) for page, question in items.pairs}.values())
    true = evaluate.measure(row, evaluation.quiz, Oracle(items), items)
    wrong = evaluate.measure(row, evaluation.quiz, Oracle(items, "xyzzy"), items)
    assert set(row.bars) <= set(true)
    for figure in row.bars:
        best, worst = (0, 0.5) if figure == "CER" else (1, 0)
        assert true[figure] == pytest.approx(best, abs=0.06), figure  # corners are in 64ths
        assert wrong[figure] >= worst if figure == "CER" else wrong[figure] == worst
    assert set(evaluate.majority(row, items)) == set(true)


def test_similar_answers_count_for_something():
    found = scores.anls(["Bred", "3.50", "nothing"], ["Bread", "3.50", "Milk"], ())
    assert found == {"exact": pytest.approx(1 / 3), "ANLS": pytest.approx((0.8 + 1) / 3)}
    assert scores.character_errors(["abd", ""], ["abc", "de"], ())["CER"] == pytest.approx(3 / 5)


def test_a_value_may_be_five_percent_off():
    found = scores.within_five_percent(["104", "106", "none"], ["100", "100", "7"], ())
    assert found["within 5 %"] == pytest.approx(1 / 3)


def test_the_overview_alone_is_one_tile():
    asked = []
    model = type("Model", (), {"ask": lambda self, images, questions: asked.extend(images)})()
    evaluate.Overview(model).ask([[text.Image.new("RGB", (288, 192))]], ["?"])
    assert asked[0][0].size == (96, 96)


def test_a_check_names_skills_and_takes_no_answer_for_right(processor, llava):
    found = check.Check(processor, of_each=1)(train.Trainee(llava))
    assert {"receipt: read", "things: name", "scene: color", "letters right"} <= set(found)
    assert all(0 <= value <= 1 for value in found.values()) and found["receipt: total"] == 0


def test_models_are_compared_by_the_rows_of_the_card():
    told = [
        ("bars: value", [3.0, 0.0, 0.0], [0, 1, 1]), ("lines: value", [1.0], [1]),
        ("pie: value", [2.0, 2.0], [1, 1]), ("scene: color", [0.5], [0]),
    ]  # fmt: skip
    tensors = [(name, torch.tensor(losses), torch.tensor(hits)) for name, losses, hits in told]
    small = type("Check", (), {"told": lambda self, trainee: iter(tensors)})()
    assert check.by_row(small, None) == {
        "chart: value": (2, 1.0, 0.75, 0.5),  # of bars and lines; a token weighs as any other
        check.OTHERS: (1, 2.0, 1.0, 1.0),
        check.SCENES: (1, 0.5, 0.0, 0.0),
    }


def test_the_card_says_what_falls_short():
    figures = {
        row.name: {"seeing": dict.fromkeys(row.bars, 0.5), "blind": dict.fromkeys(row.bars, 0.25)}
        for row in evaluate.ROWS
    }
    lines = card.page_table(figures)
    assert "| field | exact | **0.500** (short by 0.250) | 0.75 | 0.95 |  |  | 0.250 |" in lines[2]
    assert "(short by 0.400)" in next(line for line in lines if "CER" in line)
    assert "short" not in cards.against(0.9, 0.9) + cards.against(0.02, 0.1, errors=True)
    before, own = card.published(), {}
    for name, skill, figure, *_ in card.TARGETS:
        own.setdefault(skill, {})[figure] = before[name] - 0.5 * card.WITHIN
    assert "short" not in "".join(card.shape_table(own, before))
    own["choice"]["CircularEval"] = 0.5
    assert "(short by 0.424) | 0.954 |" in card.shape_table(own, before)[-1]
    log = [{"stage": "see", "step": 50, "minutes": 2.4, "letters": 1.25}]
    log.append({"stage": "see", "step": 600, "minutes": 9.0, "x": 1.0})
    assert cards.curve(log, card.LOSSES)[2:] == ["| see | 50 | 2 | 1.25 |  |  |  |  |"]


def test_the_card_tells_of_the_stages_that_ran():
    folder = cards.DATA / card.NAME
    log = [json.loads(line) for line in (folder / cards.LOG).read_text().splitlines()]
    ran = [stage.name for stage in card.trained(log)]
    text = (folder / "README.md").read_text(encoding="utf-8")
    table = text.split("what is drawn |")[1].split("The losses")[0]
    assert ran == re.findall(r"^\| (\w+) ", table, re.MULTILINE)
    assert [stage.name for stage in stages.STAGES] == [*ran, "again"]


def test_the_readme_names_every_experiment_on_this_model():
    recipes = Path(stages.__file__).parents[1]
    said = (recipes / "pocket_llava_next" / "README.md").read_text(encoding="utf-8")
    command = re.search(r"recipes\.experiments ([^-]+?)\npython", said)[1]
    on_it = {
        path.stem
        for path in (recipes / "experiments").glob("[!_]*.py")
        if "pocket-llava-next" in path.read_text(encoding="utf-8")
    }
    assert set(command.replace("\\", "").split()) == on_it
