"""What makes training fast changes nothing: the loss and every gradient are those of the plain way."""

from types import SimpleNamespace

import pytest
import torch

from helpers.training import caption_loss
from helpers.transforms import CaptionCollator
from tests.toolbox import FAMILIES, PICTURE, POSITIONS

LENGTHS = (5, 9, 7)


@pytest.fixture(params=FAMILIES)
def model(request):
    return FAMILIES[request.param].model().double().train()  # no dropout: the toolbox's models have none


def rows_of(end):
    """Captions of different lengths that end as the family's captions do, as CaptionTransform gives them."""
    drawn = torch.Generator().manual_seed(0)
    return [
        {
            "pixels": torch.randint(0, 256, (3, PICTURE, PICTURE), generator=drawn, dtype=torch.uint8),
            "input_ids": [*torch.randint(5, 50, (length - 1,), generator=drawn).tolist(), end],
        }
        for length in LENGTHS
    ]


def padded(batch, rows, pad_id):
    """The same captions, each padded to all the positions that the model has."""
    input_ids = torch.full((len(rows), POSITIONS), pad_id)
    mask = torch.zeros_like(input_ids)
    labels = torch.full_like(input_ids, -100)
    for i, length in enumerate(LENGTHS):
        input_ids[i, :length] = labels[i, :length] = torch.tensor(rows[i]["input_ids"])
        mask[i, :length] = 1
    return {**batch, "input_ids": input_ids, "attention_mask": mask, "labels": labels}


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


def test_loss_and_gradients_are_those_of_the_plain_way(model, processor):
    text = model.config.get_text_config(decoder=True)
    padding = model.config.pad_token_id if text.pad_token_id is None else text.pad_token_id
    tokenizer = SimpleNamespace(pad_token_id=padding)
    rows = rows_of(text.eos_token_id)  # of a VisionEncoderDecoder it is the padding too
    batch = CaptionCollator(SimpleNamespace(tokenizer=tokenizer, image_processor=processor.image_processor))(rows)
    batch["pixel_values"] = batch["pixel_values"].double()
    ours, plain = caption_loss(model, batch), plain_loss(model, padded(batch, rows, padding))
    assert ours.item() == pytest.approx(plain.item(), abs=1e-6)
    found, expected = gradients(model, ours), gradients(model, plain)
    assert found.keys() == expected.keys()
    assert max(grad.abs().max() for grad in expected.values()) > 1e-3
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-6, msg=name)
