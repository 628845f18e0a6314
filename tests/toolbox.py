"""What several test files make and ask: pictures and their files, the sentence of a refusal, models of each family."""

import io
import json
import os
import re
import signal
import struct
import subprocess
import zlib
from typing import NamedTuple

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipProcessor,
    GenerationConfig,
    GitConfig,
    GitForCausalLM,
    GitProcessor,
    GPT2Config,
    GPT2Tokenizer,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
    set_seed,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from helpers.errors import ImageError
from helpers.reading.pictures import load_image
from helpers.settings import Settings
from tools.make_base_model import vocabulary

PICTURE, PATCH, POSITIONS = 48, 16, 64
SHAPE = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2}
VISION = {"image_size": PICTURE, "patch_size": PATCH}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
END = "<|endoftext|>"

# What a sentence may ask for; a refusal without any of these leaves a learner where they were.
ASKS = (
    "give ", "save ", "Make ", "make ", "check ", "copy ", "take ", "are read", "try ", "say ", "download ", "unpack ",
)  # fmt: skip


def ended(command, *, seconds=300, environment=(), cwd=None):
    """A program of one thread that came to its end without an error, with what it printed.

    One that does not end is stopped with all that it began, and the test fails with the stacks of all their threads.
    """
    surroundings = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"} | dict(environment)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([str(part) for part in command], env=surroundings, cwd=cwd, **pipes) as begun:
        try:
            out, said = begun.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            hung = [psutil.Process(begun.pid), *psutil.Process(begun.pid).children(recursive=True)]
            for process in hung[::-1]:  # the stacks of the youngest first
                process.send_signal(signal.SIGABRT)
            psutil.wait_procs(hung, timeout=10)
            _, said = begun.communicate(timeout=10)
            stacks = re.sub(r"\nExtension modules: .*", "", said)  # hundreds of names in each process
            pytest.fail(f"{command} did not end in {seconds} seconds:\n{stacks[-8000:]}")
    assert begun.returncode == 0, said[-2000:]
    return subprocess.CompletedProcess(command, 0, out, said)


def refusal(source, *named, load=load_image):
    """The sentence with which a source is refused: one line that names the thing and says what to do."""
    with pytest.raises(ImageError) as caught:
        load(source)
    sentence = str(caught.value)
    assert len(sentence.splitlines()) == 1
    assert sentence.endswith(".")
    assert len(sentence) < 400
    assert any(word in sentence for word in ASKS), sentence
    assert all(str(name) in sentence for name in named), sentence
    return sentence


def noise(seed, size=(24, 20)):
    """A picture that is like no other, of width and height."""
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


def encoded(picture, kind="PNG", **options):
    """The bytes of a picture's file."""
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def chunk(kind, data=b""):
    """A part of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def rle_bmp(size=16, rows=16):
    """A BMP of runs: Pillow reads them and writes none."""
    palette = b"".join(bytes((i, 255 - i, i // 2, 0)) for i in range(256))
    data = (
        b"".join(bytes((size // 2, row % 256, size - size // 2, 255 - row % 256, 0, 0)) for row in range(rows))
        + b"\0\1"
    )
    header = struct.pack("<IiiHHIIiiII", 40, size, rows, 1, 8, 1, len(data), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + len(data), 0, 0, 54 + 1024) + header + palette + data


def small_settings(checkpoint, dataset_folder):
    """One epoch of two steps on the small data set."""
    return Settings(dataset=dataset_folder, checkpoint=checkpoint, epochs=1, batch_size=4, warmup=0, max_new_tokens=4)


def bert_tokenizer(longest=POSITIONS):
    return BertTokenizer(vocab=vocabulary(), do_lower_case=True, model_max_length=longest)


def git_processor():
    side = {"height": PICTURE, "width": PICTURE}
    return GitProcessor(CLIPImageProcessorPil(size={"shortest_edge": PICTURE}, crop_size=side), bert_tokenizer())


def random_git(spread=0.1):
    """A GIT of one vision and two text layers; the wider the weights' spread, the more pictures matter to it."""
    set_seed(0)
    ends = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    config = GitConfig(
        vision_config={**SHAPE, **VISION, "num_hidden_layers": 1, "initializer_range": spread},
        **SHAPE,
        **NO_DROPOUT,
        **ends,
        initializer_range=spread,
        vocab_size=len(vocabulary()),
        max_position_embeddings=POSITIONS,
    )
    model = GitForCausalLM(config).eval()
    model.generation_config = GenerationConfig(**ends, max_new_tokens=12)
    return model


def random_blip(spread=0.1, words=50, start=4):
    """A BLIP of two vision and two text layers, with so many words and this token to start with."""
    set_seed(0)
    text = SHAPE | NO_DROPOUT | {"encoder_hidden_size": 32, "vocab_size": words, "initializer_range": spread}
    text |= {"max_position_embeddings": POSITIONS, "pad_token_id": 0, "bos_token_id": start, "sep_token_id": 3}
    vision = SHAPE | VISION | {"initializer_range": spread}
    config = BlipConfig(text_config={**text, "eos_token_id": 3}, vision_config=vision)
    return BlipForConditionalGeneration(config).eval()


def random_vision_encoder_decoder(spread=0.1, words=50, end=1):
    """A ViT and a GPT-2 of two layers each, with so many words; its end token starts and pads, as is usual."""
    set_seed(0)
    text = {"n_embd": 32, "n_layer": 2, "n_head": 2, "vocab_size": words, "n_positions": POSITIONS}
    text |= {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "initializer_range": spread}
    ends = {"decoder_start_token_id": end, "eos_token_id": end, "pad_token_id": end}
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        ViTConfig(**SHAPE, **VISION, initializer_range=spread),
        GPT2Config(**text, bos_token_id=end, eos_token_id=end),
        **ends,
    )
    model = VisionEncoderDecoderModel(config).eval()
    model.generation_config = GenerationConfig(**ends, bos_token_id=end)
    return model


def save_git(folder, texts):
    random_git().save_pretrained(folder)
    git_processor().save_pretrained(folder)


def save_blip(folder, texts, knows_start=True):
    """As published: the tokenizer's files say 512 tokens, and the model has fewer positions."""
    start = len(vocabulary())
    random_blip(words=start + 2, start=start).save_pretrained(folder)
    tokenizer = bert_tokenizer(512)
    if knows_start:
        tokenizer.add_special_tokens({"bos_token": "[DEC]", "additional_special_tokens": ["[ENC]"]})
    pictures = BlipImageProcessorPil(size={"height": PICTURE, "width": PICTURE})
    BlipProcessor(pictures, tokenizer).save_pretrained(folder)


def save_vision_encoder_decoder(folder, texts):
    """As such checkpoints are: a tokenizer's files, learnt from texts, and one of the picture's settings."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trained.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet))
    parts = json.loads(trained.to_str())["model"]
    vocab = {**parts["vocab"], END: len(parts["vocab"])}
    merges = [tuple(merge) for merge in parts["merges"]]
    tokenizer = GPT2Tokenizer(vocab, merges, bos_token=END, eos_token=END, unk_token=END, model_max_length=1024)
    tokenizer.save_pretrained(folder)
    settings = {"feature_extractor_type": "ViTFeatureExtractor", "do_normalize": True, "do_resize": True}
    settings |= {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 2, "size": PICTURE}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings), encoding="utf-8")
    random_vision_encoder_decoder(words=len(vocab), end=vocab[END]).save_pretrained(folder)


class Family(NamedTuple):
    """What the tests know of a family.

    Attributes:
        model: a random model with weights of this spread.
        save: writes a random checkpoint into a folder, with a vocabulary for these texts.
        start: the tokens that a caption begins with.
        pad: the token that fills captions up.
    """

    model: object
    save: object
    start: list[str]
    pad: int = 0


FAMILIES = {
    "git": Family(random_git, save_git, ["[CLS]"]),
    "blip": Family(random_blip, save_blip, ["[DEC]"]),
    "vision-encoder-decoder": Family(random_vision_encoder_decoder, save_vision_encoder_decoder, [], pad=1),
}


def tokens_of(family):
    """Three captions of different lengths, made of numbers, with their padding."""
    set_seed(1)
    input_ids = torch.randint(5, 50, (3, 9))
    attention_mask = (torch.arange(9) < torch.tensor([[9], [6], [4]])).long()
    return {
        "pixel_values": torch.randn(3, 3, 48, 48, dtype=torch.float64),
        "input_ids": input_ids.masked_fill(attention_mask == 0, FAMILIES[family].pad),
        "attention_mask": attention_mask,
        "labels": input_ids.masked_fill(attention_mask == 0, -100),
    }


def four_lines(card):
    """The code of a card, as it stands there."""
    return card.split("```python\n")[1].split("```")[0]
