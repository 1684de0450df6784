"""What pocket-llava is made of: its tokenizer, processor and untrained model.

All of it is stock `transformers`: nothing here is needed to load or use the trained model.
"""

from __future__ import annotations

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from vlm_helpers import scenes
from vlm_helpers.scenes import Draws, follow_ups

IMAGE_SIZE, PATCH_SIZE = 96, 12
N_PATCHES = (IMAGE_SIZE // PATCH_SIZE) ** 2
VOCABULARY = 1280  # at most; the corpus has words for fewer
SPECIAL = ["<pad>", "<s>", "</s>", "<image>"]

# USER: <image>\nquestion ASSISTANT: answer</s>USER: question ASSISTANT: answer</s>
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message.role == 'assistant' -%}"
    "ASSISTANT:{% generation %} {% if message.content is string %}{{ message.content }}"
    "{% else %}{% for part in message.content %}{{ part.text }}{% endfor %}{% endif %}"
    "</s>{% endgeneration %}"
    "{%- else -%}"
    "{{ 'USER: ' if message.role == 'user' else '' }}"
    "{%- if message.content is string -%}{{ message.content }}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}{{ '<image>\\n' }}{%- else -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}{{ ' ' }}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}ASSISTANT:{%- endif -%}"
)


def corpus(n_scenes: int = 6000):
    """The text the tokenizer learns from: what is said about the first training scenes."""
    for seed in range(n_scenes):
        scene = scenes.sample(seed)
        for question in scene.questions(seed=seed):
            yield f"USER: \n{question.text} ASSISTANT: {question.answer}"
        for question, answer in follow_ups(scene, Draws(f"corpus/{seed}"), turns=5):
            yield f"USER: {question} ASSISTANT: {answer}"
        for word in (*scenes.WORDS[seed % len(scenes.WORDS) :][:3], *scenes.HELD_OUT_SHAPES):
            yield f" {word}"
    for _ in range(40):  # what the later notebooks teach is in no scene, but has its tokens
        yield " zero one two three four five six moon moons odd shape, color, size, place, box"


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE of under 800 tokens: digits stand alone, 64 of them are locations."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    locations = [f"<loc_{i:02d}>" for i in range(scenes.N_LOCATIONS)]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(locations),
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    strip = str.maketrans(dict.fromkeys("<>_", ""))
    tokenizer.train_from_iterator((text.translate(strip) for text in corpus()), trainer)
    # ordinary tokens, not special ones: an answer must survive skip_special_tokens=True
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in locations])
    bos = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", bos)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>"},
        padding_side="left",
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
    )


def make_processor() -> LlavaProcessor:
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    images = CLIPImageProcessorPil(
        size={"height": IMAGE_SIZE, "width": IMAGE_SIZE},  # squeezed, not cropped: boxes keep
        do_center_crop=False,  # their meaning as fractions of the whole picture
        resample=2,
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.25, 0.25, 0.25],
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=make_tokenizer(),
        patch_size=PATCH_SIZE,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def make_model(tokenizer: PreTrainedTokenizerFast, seed: int = 0) -> LlavaForConditionalGeneration:
    torch.manual_seed(seed)
    vision = CLIPVisionConfig(
        image_size=IMAGE_SIZE,
        patch_size=PATCH_SIZE,
        hidden_size=192,
        intermediate_size=768,
        num_hidden_layers=6,
        num_attention_heads=6,
        projection_dim=192,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=640,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=1024,
        rms_norm_eps=1e-5,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=N_PATCHES,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
    )
    return LlavaForConditionalGeneration(config)
