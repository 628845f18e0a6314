"""A model and the processor that belongs to it: whether the pictures of the one suit the other, and its vocabulary."""

from typing import Any

from PIL import Image
from transformers import PreTrainedModel

from helpers.errors import CheckpointError
from helpers.families import family_of, tokenizer_of, vision_encoder_of
from helpers.transforms import picture_pixels


def check_pair(model: PreTrainedModel, processor: Any, *, learn: bool = False) -> None:
    """Makes sure that a model can read what a processor makes; to learn, that it has all tokens as well.

    Raises:
        CheckpointError: it cannot, or one of them is none.
    """
    advice = "take both from one load_checkpoint"
    family_of(model)
    side, made = vision_encoder_of(model).config.image_size, picture_pixels([Image.new("RGB", (2, 2))], processor)
    if made.shape[2:] != (side, side):
        size = " x ".join(map(str, made.shape[2:]))
        raise CheckpointError(f"The processor makes pictures of {size} pixels, and the model reads {side}; {advice}.")
    tokens = len(tokenizer_of(processor))
    known = getattr(model, "decoder", model).get_input_embeddings()
    if learn and tokens > known.num_embeddings:
        advice = f"call model.resize_token_embeddings({tokens}) after adding tokens, or {advice}"
        raise CheckpointError(
            f"The vocabulary of the processor has {tokens} tokens, and the model {known.num_embeddings}; {advice}."
        )
