"""What makes training fast changes nothing: the loss and every gradient are those of the plain way."""

import pytest
import torch
from conftest import PICTURE, POSITIONS, random_blip, random_git, random_vision_encoder_decoder

from helpers.training import caption_loss

FAMILIES = {
    "git": lambda: random_git(0.1).double(),
    "blip": random_blip,
    "vision-encoder-decoder": random_vision_encoder_decoder,
}
LENGTHS = (5, 9, 7)
END = 3


@pytest.fixture(params=FAMILIES)
def model(request):
    return FAMILIES[request.param]().train()  # no dropout: conftest's models have none


def batch_of(tokens, pad_id):
    """The same captions, padded to this many tokens."""
    drawn = torch.Generator().manual_seed(0)
    pixels = torch.randn(len(LENGTHS), 3, PICTURE, PICTURE, generator=drawn).double()
    words = torch.randint(5, 50, (len(LENGTHS), max(LENGTHS)), generator=drawn)
    input_ids = torch.full((len(LENGTHS), tokens), pad_id)
    mask = torch.zeros_like(input_ids)
    for i, length in enumerate(LENGTHS):
        input_ids[i, :length] = words[i, :length]
        input_ids[i, length - 1] = END
        mask[i, :length] = 1
    labels = input_ids.masked_fill(mask == 0, -100)
    return {"pixel_values": pixels, "input_ids": input_ids, "attention_mask": mask, "labels": labels}


def plain_loss(model, batch):
    """The model's own loss, with the vocabulary head everywhere."""
    if model.config.model_type == "vision-encoder-decoder":
        given = model.prepare_decoder_input_ids_from_labels(batch["labels"])
        text = {"decoder_input_ids": given, "decoder_attention_mask": batch["attention_mask"]}
    else:
        text = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    return model(pixel_values=batch["pixel_values"], labels=batch["labels"], **text).loss


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_loss_and_gradients_are_those_of_the_plain_way(model):
    padding = model.config.get_text_config(decoder=True).pad_token_id
    pad_id = model.config.pad_token_id if padding is None else padding
    ours, plain = caption_loss(model, batch_of(max(LENGTHS), pad_id)), plain_loss(model, batch_of(POSITIONS, pad_id))
    assert ours.item() == pytest.approx(plain.item(), abs=1e-6)
    found, expected = gradients(model, ours), gradients(model, plain)
    assert found.keys() == expected.keys()
    assert max(grad.abs().max() for grad in expected.values()) > 1e-3
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-6, msg=name)
