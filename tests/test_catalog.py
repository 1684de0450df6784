"""The catalog: every fact has a source or is marked, what is derived is right, filters filter."""

import dataclasses
import json
import math
import re
import struct
import subprocess
import sys
from pathlib import Path

import matplotlib
import pandas
import pytest
from matplotlib import pyplot as plt

from vlm_helpers import catalog, figures
from vlm_helpers.catalog import FACTS, differences, get, models, table
from vlm_helpers.loading import estimate_memory

POCKET = Path(__file__).parent.parent / "data" / "pocket-llava"
ROWS = {row.name: row for row in models()}

# Where the authors of the models speak, beside their own place on the Hub: papers, their code and
# pages, transformers and Keras (Google's own) for the conversions, and the Hub's own announcements.
AUTHORS = (
    "https://arxiv.org/abs/",
    "https://github.com/huggingface/transformers/", "https://huggingface.co/docs/transformers/",
    "https://huggingface.co/blog/", "https://github.com/keras-team/keras-hub/",
    "https://github.com/01-ai/", "https://github.com/deepseek-ai/", "https://github.com/microsoft/",
    "https://github.com/OpenGVLab/", "https://github.com/QwenLM/", "https://github.com/THUDM/",
    "https://github.com/vikhyat/moondream", "https://llava-vl.github.io/", "https://moondream.ai/",
    "https://www.adept.ai/", "https://huggingface.co/NousResearch/", "https://huggingface.co/Qwen/",
    "https://huggingface.co/deepseek-ai/", "https://huggingface.co/florence-community",
)  # fmt: skip

every_model = pytest.mark.parametrize("row", models(), ids=list(ROWS))


def by_the_authors(row, address):
    owners = [name.split("/")[0] for name in (row.hub_id, row.published_as) if "/" in name]
    own = [f"https://huggingface.co/{owner}/" for owner in owners]
    return address.startswith((*AUTHORS, *own)) and address != catalog.ARTICLE


# ── the facts ────────────────────────────────────────────────────────────────────────────────────


def test_the_models_of_the_article_come_first_in_its_order():
    names = [row.article.name for row in models() if row.article]
    assert names == [
        "LLaVA 1.6 (Hermes 34B)", "deepseek-vl-7b-base", "DeepSeek-VL-Chat", "moondream2",
        "CogVLM-base", "CogVLM-Chat", "Fuyu-8B", "KOSMOS-2", "Qwen-VL", "Qwen-VL-Chat",
        "Yi-VL-34B",
    ]  # fmt: skip
    assert [row.article.name for row in models()[: len(names)]] == names
    assert {"LLaVA-1.5-7B", "LLaVA-1.6-Mistral-7B"} <= set(ROWS)
    assert [row.article.permissive for row in models()[: len(names)]].count(False) == 1


def test_names_are_unique():
    assert len(ROWS) == len(models()) >= 30


@every_model
def test_each_fact_has_a_source_or_is_marked(row):
    for fact in FACTS:
        value, found = getattr(row, fact), row.sources.get(fact, ())
        assert bool(found) == (value is not None), f"{fact} is {value!r}, with sources {found}"
        if row.name != "pocket-llava":
            sure = any(by_the_authors(row, address) for address in found)
            assert sure != (fact in row.unverified), f"{fact} is {value!r}, from {found}"
    assert set(row.sources) <= set(FACTS)
    assert set(row.unverified) <= set(FACTS)


@every_model
def test_the_article_is_no_source_of_a_published_fact(row):
    for fact, addresses in row.sources.items():
        assert not any(address.startswith(catalog.ARTICLE) for address in addresses), fact


@every_model
def test_sources_are_addresses(row):
    for address in {address for found in row.sources.values() for address in found}:
        if row.name == "pocket-llava":
            assert (POCKET.parent.parent / address).is_file()
        else:
            assert re.fullmatch(r"https://[\w.-]+\.\w+/\S+", address)


@every_model
def test_values_are_of_their_kind(row):
    assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", row.released)
    assert row.commercial in ("yes", "conditions", "no")
    assert bool(row.terms) or row.commercial != "conditions", "conditions need their terms"
    assert 0 < row.parameters < 100
    assert row.resolution is None or all(side >= 96 for side in row.resolution)
    assert row.tile is None or row.tile < min(row.resolution)
    assert set(row.abilities) <= set(catalog.ABILITIES)
    assert re.fullmatch(r"[\w.-]+/[\w.-]+|pocket-llava", row.hub_id)
    assert row.tokens is None or 0 < row.tokens <= 16384


@every_model
def test_boxes_and_abilities_go_together(row):
    places = {"grounding", "detection"} & set(row.abilities)
    assert bool(places) == (row.box_format != "none")


@every_model
def test_each_way_to_load_names_what_it_needs(row):
    needs = {"native": "model_class", "remote": "revision", "repository": "repository"}
    given = {field for field in needs.values() if getattr(row, field)}
    assert given == {needs[row.loads]}
    assert getattr(row, needs[row.loads]) in row.how_to_load
    if row.loads == "remote":  # a whole commit or a dated tag, never a branch that moves
        assert re.fullmatch(r"[0-9a-f]{40}|\d{4}-\d\d-\d\d", row.revision)
    if row.loads == "repository":
        assert row.repository.startswith("https://")


def test_native_classes_exist_in_transformers():
    import transformers

    names = set(dir(transformers))  # lists them without importing torch's half
    for row in models():
        if row.loads == "native":
            assert row.model_class in names, row.name


@every_model
def test_prompt_families_are_those_of_the_prompts_module(row):
    from vlm_helpers import prompts

    assert row.prompt_family in (None, *prompts.families())
    assert row.prompt_family or row.notes  # what the checkpoint has instead


def test_the_converted_deepseek_chat_is_prompted_as_its_family_with_the_system_text():
    from vlm_helpers import prompts

    system = (
        "You are a helpful language and vision assistant. You are able to understand the visual "
        "content that the user provides, and assist the user with a variety of tasks using natural "
        "language."
    )
    question = {"type": "text", "text": "What is this?"}
    messages = [
        {"role": "system", "content": [{"type": "text", "text": system}]},
        {"role": "user", "content": [{"type": "image"}, question]},
    ]
    family = get("deepseek-community/deepseek-vl-7b-chat").prompt_family
    # CHAT_TEMPLATE of transformers' convert_deepseek_vl_hybrid_weights_to_hf.py, rendered.
    assert prompts.render(messages, family, add_generation_prompt=True) == (
        f"{system}\n\nUser: <image_placeholder>What is this?\n\nAssistant:"
    )


@every_model
def test_box_formats_are_those_of_the_boxes_module(row):
    from vlm_helpers import boxes

    assert row.box_format in (None, "none", *boxes.FORMATS)


def test_the_pocket_model_is_as_its_folder_says():
    row, config = ROWS["pocket-llava"], json.loads((POCKET / "config.json").read_text())
    vision, text = config["vision_config"], config["text_config"]
    assert row.resolution == (vision["image_size"],) * 2
    assert row.tokens == config["image_seq_length"]
    assert f"{vision['num_hidden_layers']} layers x {vision['hidden_size']}" in row.vision
    assert f"patches of {vision['patch_size']} px" in row.vision
    assert f"{text['num_hidden_layers']} layers x {text['hidden_size']}" in row.decoder
    assert row.model_class == config["architectures"][0]
    with (POCKET / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    header.pop("__metadata__", None)
    parameters = sum(math.prod(tensor["shape"]) for tensor in header.values())
    assert row.parameters == pytest.approx(parameters / 1e9, rel=0.02)


def test_facts_that_transformers_holds_too():
    from transformers import FuyuConfig, Gemma3Config, Kosmos2Config, LlavaConfig

    llava = LlavaConfig()
    assert ROWS["LLaVA-1.5-7B"].tokens == llava.image_seq_length
    assert ROWS["LLaVA-1.5-7B"].resolution == (llava.vision_config.image_size,) * 2
    assert ROWS["KOSMOS-2"].tokens == Kosmos2Config().latent_query_num
    assert ROWS["KOSMOS-2"].resolution == (Kosmos2Config().vision_config.image_size,) * 2
    assert ROWS["Gemma 3 4B"].tokens == Gemma3Config().mm_tokens_per_image
    assert FuyuConfig().text_config.model_type in ROWS["Fuyu-8B"].decoder.lower()


@pytest.mark.parametrize(
    ("name", "patch", "merged"),
    [("Yi-VL-34B", 14, 1), ("CogVLM-chat", 14, 1), ("moondream2", 14, 1), ("Qwen3-VL-8B", 16, 2),
     ("Qwen2-VL-2B", 14, 2), ("PaliGemma 2 3B mix", 14, 1), ("LLaVA-1.5-7B", 14, 1)],
)  # fmt: skip
def test_tokens_follow_from_patches(name, patch, merged):
    width, height = ROWS[name].resolution
    edges = 2 * name.startswith("CogVLM")  # a learnt vector before the picture and one after
    assert ROWS[name].tokens == (width // patch // merged) * (height // patch // merged) + edges


@pytest.mark.parametrize(
    ("name", "a_tile"),
    [("SmolVLM-256M", 64), ("SmolVLM-2.2B", 81), ("Idefics3-8B", 169), ("InternVL3-1B", 256)],
)
def test_tokens_follow_from_tiles_and_the_whole_picture_once_more(name, a_tile):
    (width, height), tile = ROWS[name].resolution, ROWS[name].tile
    assert ROWS[name].tokens == a_tile * ((width // tile) * (height // tile) + 1)


def test_tokens_with_newlines_follow_from_rows():
    # Fuyu: patches of 30, one newline a row. LLaVA-NeXT: the same over the tiles, and the whole
    # picture once more, without.
    assert ROWS["Fuyu-8B"].tokens == (1080 // 30) * (1920 // 30 + 1)
    assert ROWS["LLaVA-1.6-34B"].tokens == 24 * 24 + 48 * (48 + 1)
    # DeepSeek-VL2: tiles of 14 x 14, a newline a row, a separator between the two views.
    assert ROWS["DeepSeek-VL2-tiny"].tokens == 14 * (14 + 1) + 1 + 3 * 14 * (3 * 14 + 1)


# ── what is derived ──────────────────────────────────────────────────────────────────────────────


@every_model
def test_memory_is_reckoned_as_loading_reckons(row):
    for ours, form in ((row.memory_bf16, None), (row.memory_4bit, "4bit")):
        assert ours == estimate_memory(row.parameters * 1e9, "bfloat16", form)


def test_memory_by_hand():
    # 7.06 billion x 2 bytes = 13.15 GiB; a tenth on top, and a quarter.
    assert ROWS["LLaVA-1.5-7B"].memory_bf16 == pytest.approx(14.71, abs=0.01)
    unknown = dataclasses.replace(ROWS["LLaVA-1.5-7B"], parameters=None)
    assert unknown.memory_bf16 is None and unknown.memory_4bit is None


def test_the_side_is_that_of_a_square_with_as_many_pixels():
    assert ROWS["Fuyu-8B"].side == 1440
    assert ROWS["KOSMOS-2"].side == 224
    assert ROWS["moondream2 (2025)"].side is None


def test_rows_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        get("Qwen-VL").parameters = 4
    with pytest.raises(TypeError):
        get("Qwen-VL").sources["parameters"] = ()


# ── one model ────────────────────────────────────────────────────────────────────────────────────


def test_a_model_is_found_by_name_or_hub_id_in_any_case():
    row = get("Qwen-VL-Chat")
    assert row.parameters == 9.6 and row.article.parameters == "4B"
    assert get("qwen/qwen-vl-chat") is row
    assert get("deepseek-ai/deepseek-vl-7b-chat") is get("deepseek-community/deepseek-vl-7b-chat")
    assert get("moondream2").revision == "2024-04-02"


def test_of_two_rows_with_one_hub_id_the_first_is_the_one():
    assert get("vikhyatk/moondream2") is ROWS["moondream2"] is not get("moondream2 (2025)")
    assert get("moondream2 (2025)").hub_id == "vikhyatk/moondream2"
    for row in models():
        assert get(row.name) is row and get(row.hub_id.upper()).hub_id == row.hub_id


def test_a_model_is_found_by_its_name_in_the_article():
    assert get("LLaVA 1.6 (Hermes 34B)") is ROWS["LLaVA-1.6-34B"]
    for row in models():
        if row.article:
            assert get(row.article.name) is row


def test_an_unknown_model_is_answered_with_the_nearest():
    with pytest.raises(
        ValueError, match=r"no model 'Qwen2.5-VL-8B'; did you mean 'Qwen2.5-VL-"
    ) as e:
        get("Qwen2.5-VL-8B")
    assert str(e.value).count("Qwen") >= 2 and "\n" not in str(e.value)
    for nothing in ("", "gpt"):
        with pytest.raises(ValueError, match="LLaVA-1.5-7B"):
            get(nothing)


# ── the table ────────────────────────────────────────────────────────────────────────────────────


def test_the_table_has_a_row_a_model_and_marks_what_is_not_known():
    frame = table()
    assert list(frame.index) == list(ROWS)
    assert frame.loc["moondream2 (2025)", "resolution"] == "?"
    assert math.isnan(frame.loc["moondream2 (2025)", "side"])
    assert frame.loc["moondream2 (2025)", "prompt_family"] == "?"
    assert frame.loc["moondream2 (2025)", "unverified"] == "resolution, prompt_family"
    assert frame.loc["Qwen-VL", "unverified"] == ""
    for name, row in ROWS.items():
        shown = frame.loc[name]
        assert shown["parameters"] == row.parameters
        assert shown["memory_4bit"] == pytest.approx(row.memory_4bit, abs=0.051)
        assert (shown["languages"] == "?") == (row.languages is None)


def test_the_table_shows_the_articles_figure_beside_the_published_one():
    frame, found = table(), differences()
    assert frame.loc["Qwen-VL", "article"].startswith("parameters: 4B (published: 9.6B); ")
    assert (
        "resolution: 384x384 (published: 1024x1024)" in frame.loc["DeepSeek-VL-7B-base", "article"]
    )
    assert frame.loc["Yi-VL-34B", "article"] == frame.loc["SmolVLM-256M", "article"] == ""
    for name in frame.index:
        said = [f"{d.fact}: {d.article} (published: {d.published})"
                for d in found[found["model"] == name].itertuples()]  # fmt: skip
        assert frame.loc[name, "article"] == "; ".join(said)


def test_the_table_shows_where_each_fact_was_read():
    sources = table().loc["Qwen-VL", "sources"]
    assert sources == dict(ROWS["Qwen-VL"].sources)
    assert sources["parameters"] == ("https://arxiv.org/abs/2308.12966",)


def names(**filters):
    return set(table(**filters).index)


def test_filters_are_all_required():
    found = names(
        abilities=("grounding", "chat"), commercial=True, max_parameters=9, loads="native"
    )
    assert "Qwen2.5-VL-7B" in found and "pocket-llava" in found
    assert not found & {"Qwen2.5-VL-3B", "Qwen-VL-Chat", "DeepSeek-VL2-tiny", "KOSMOS-2"}
    assert found == names(abilities=["chat", "grounding"]) & names(commercial=True) & names(
        max_parameters=9
    ) & names(loads="native")


def test_licences_are_told_apart():
    yes, conditions, no = (names(commercial=c) for c in ("yes", "conditions", "no"))
    assert yes | conditions == names(commercial=True) and no == names(commercial=False)
    assert no == {"Fuyu-8B", "Qwen2.5-VL-3B"}
    assert not (yes & conditions) and "CogVLM-chat" in conditions
    assert names(license="MIT") == {"KOSMOS-2", "Florence-2-base", "Florence-2-large"}


def test_limits_include_their_bound():
    assert "Qwen-VL" in names(max_parameters=9.6) and "Qwen-VL" not in names(max_parameters=9.59)
    assert "Fuyu-8B" in names(min_resolution=1440) and "Fuyu-8B" not in names(min_resolution=1441)
    need = ROWS["Idefics3-8B"].memory_4bit
    assert "Idefics3-8B" in names(max_memory_4bit=need)
    assert "Idefics3-8B" not in names(max_memory_4bit=need - 0.01)
    assert "Idefics3-8B" not in names(max_memory_bf16=need)


def test_what_is_not_known_passes_no_filter_for_it():
    assert "moondream2 (2025)" in names(max_parameters=2)
    assert "moondream2 (2025)" not in names(min_resolution=1)
    assert "DeepSeek-VL2-tiny" not in names(language="English")


def test_one_ability_may_be_a_word_and_one_language_is_a_name():
    assert names(abilities="video") == names(abilities=("video",)) and names(abilities="video")
    assert {"Qwen-VL", "Yi-VL-34B"} <= names(language="Chinese")
    assert "KOSMOS-2" not in names(language="Chinese")
    assert names(language="english") == names(language="English")
    assert names(license="mit") == names(license="MIT")
    assert names(prompt_family="smolvlm") == {"SmolVLM-256M", "SmolVLM-500M", "SmolVLM-2.2B"}
    assert names(box_format="kosmos-2") == {"KOSMOS-2"}


def test_none_is_no_filter():
    assert set(ROWS) == names(abilities=None, commercial=None, language=None) == names(abilities=[])


def test_an_empty_table_keeps_its_columns():
    frame = table(license="MIT", language="Chinese")
    assert len(frame) == 0 and list(frame.columns) == list(table().columns)


@pytest.mark.parametrize(
    ("filters", "kind", "says"),
    [
        ({"licence": "MIT"}, TypeError, "no filter 'licence'; did you mean 'license'"),
        ({"max_params": 3}, TypeError, "did you mean 'max_parameters'"),
        ({"license": "Apache"}, ValueError, "no license 'Apache'; did you mean 'Apache 2.0'"),
        ({"abilities": "grounded"}, ValueError, "no ability 'grounded'; did you mean 'grounding'?"),
        ({"abilities": ("chat", "videos")}, ValueError, "did you mean 'video'"),
        ({"language": "Chinesse"}, ValueError, "did you mean 'Chinese'"),
        ({"language": "Hindi"}, ValueError, "'Hindi'; there are 'Arabic', 'Chinese', 'English', "),
        ({"language": "many"}, ValueError, "no language 'many'"),
        ({"language": ["English"]}, ValueError, "no language ['English']"),
        ({"abilities": 5}, ValueError, "chat, grounding, detection, ocr, multi-image, video"),
        ({"abilities": [None]}, ValueError, "no ability ''"),
        ({"loads": "natively"}, ValueError, "did you mean 'native'"),
        ({"prompt_family": "llava-1.6"}, ValueError, "llava-1.6-34b"),
        ({"box_format": "qwen"}, ValueError, "qwen-vl"),
        ({"commercial": []}, ValueError, "True, False, or one of yes, conditions, no, not []"),
        ({"commercial": 1}, ValueError, "not 1"),
        ({"commercial": "maybe"}, ValueError, "yes, conditions, no, not 'maybe'"),
        ({"max_parameters": 7e9}, ValueError, "in billions: 7, not 7e"),
        ({"max_parameters": -1}, ValueError, "a number above 0, not -1"),
        ({"min_resolution": "448x448"}, ValueError, "min_resolution must be a number"),
        ({"max_memory_4bit": True}, ValueError, "max_memory_4bit must be a number"),
        ({"max_memory_bf16": float("nan")}, ValueError, "above 0, not nan"),
    ],
)
def test_what_is_refused(filters, kind, says):
    with pytest.raises(kind, match=re.escape(says)) as error:
        table(**filters)
    assert "\n" not in str(error.value) and str(error.value).endswith((".", "?"))


def test_differences_show_both_figures_and_where_the_published_one_stands():
    frame = differences()
    found = {(row.model, row.fact): row for row in frame.itertuples()}
    size = found["Qwen-VL", "parameters"]
    assert (size.article, size.published) == ("4B", "9.6B")
    assert size.source == "https://arxiv.org/abs/2308.12966"
    pixels = found["DeepSeek-VL-7B-chat", "resolution"]
    assert (pixels.article, pixels.published) == ("384x384", "1024x1024")
    assert "registration" in found["CogVLM-chat", "commercial"].published
    places = found["KOSMOS-2", "abilities"]
    assert (places.article, places.published) == (
        "Grounding, zero-shot object detection", "grounding",
    )  # fmt: skip
    assert found["Qwen-VL", "abilities"].article == "Zero-shot object detection"
    # What an article rounds is no other figure, and what it does not have cannot differ.
    assert ("LLaVA-1.6-34B", "parameters") not in found
    assert ("DeepSeek-VL-7B-base", "languages") not in found
    assert {row.model for row in frame.itertuples()} <= {m.name for m in models() if m.article}


def test_the_page_about_the_article_has_every_difference():
    page = (Path(__file__).parents[1] / "docs" / "article.md").read_text()
    rows = [
        f"| {d.model} | {d.fact} | {d.article} | {d.published} | [source]({d.source}) |"
        for d in differences().itertuples()
    ]
    assert [line for line in page.splitlines() if line.startswith("| ")][1:] == rows
    assert f"find {len(rows)} places" in page


# ── the figure ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def clean():
    before = dict(matplotlib.rcParams)
    yield
    plt.close("all")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("filters", [{}, {"max_parameters": 4}, {"language": "Chinese"}])
def test_labels_never_overlap_nor_leave_the_axes(clean, filters):
    assert figures.models(table(**filters)) is None
    figure = plt.gcf()
    figure.canvas.draw()
    (ax,) = figure.axes
    frame = table(**filters).dropna(subset=["side"])
    shown = [line for text in ax.texts for line in text.get_text().split("\n")]
    assert sorted(shown) == sorted(frame.index)
    boxes = [text.get_window_extent() for text in ax.texts]
    axes = ax.get_window_extent()
    markers = ax.transData.transform(frame[["parameters", "side"]].to_numpy())
    for i, box in enumerate(boxes):
        assert axes.x0 <= box.x0 and box.x1 <= axes.x1 and axes.y0 <= box.y0 and box.y1 <= axes.y1
        assert not any(box.overlaps(other) for other in boxes[:i]), ax.texts[i].get_text()
        assert not any(box.contains(x, y) for x, y in markers), ax.texts[i].get_text()


def test_licences_have_a_colour_and_a_marker_of_their_own(clean):
    figures.models(table())
    (ax,) = plt.gcf().axes
    drawn = {c.get_label(): c for c in ax.collections if len(c.get_offsets())}
    assert set(drawn) == {"commercial use", "under conditions", "no commercial use"}
    assert len({tuple(c.get_facecolor()[0]) for c in drawn.values()}) == 3
    assert len({c.get_paths()[0].vertices.tobytes() for c in drawn.values()}) == 3
    counts = table().dropna(subset=["side"])["commercial"].value_counts()
    assert len(drawn["no commercial use"].get_offsets()) == counts["no"]
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert "moondream2 (2025)" in plt.gcf().get_supxlabel()


def test_the_figure_refuses_what_it_cannot_draw(clean):
    with pytest.raises(ValueError, match="no column 'side'"):
        figures.models(table().drop(columns="side"))
    with pytest.raises(ValueError, match="nothing to draw"):
        figures.models(table().loc[["moondream2 (2025)"]])
    own = pandas.DataFrame({"parameters": [1.0], "side": [64.0], "commercial": ["?"]}, index=["x"])
    figures.models(own)
    assert [text.get_text() for text in plt.gcf().axes[0].texts] == ["x"]


def test_the_facts_cost_no_import():
    code = (
        "import sys; import vlm_helpers as vh; vh.catalog.get('Qwen-VL'); "
        "print({'torch', 'transformers', 'pandas', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
