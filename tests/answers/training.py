"""Answers to the exercises of notebook 3."""

import math

import torch
from torch.nn.functional import cross_entropy

WORDS = ("input_ids", "attention_mask", "labels")


def rolls_in_place(batch):
    batch["pixel_values"] = batch["pixel_values"].roll(1, dims=0)
    return batch


def rolls(*names, dims=0):
    return lambda batch: batch | {name: batch[name].roll(1, dims=dims) for name in names}


def in_an_order_of_chance(batch):
    order = torch.randperm(len(batch["labels"]), generator=torch.Generator().manual_seed(3))
    return batch | {"pixel_values": batch["pixel_values"][order]}


def turned_round(batch):
    return batch | {"pixel_values": batch["pixel_values"].flip(0)}


def the_first_caption(batch):
    return batch | {name: batch[name][:1].expand_as(batch[name]) for name in WORDS}


def step(model, batch, optimizer, loss_of):
    optimizer.zero_grad()
    loss = loss_of(model, batch)
    loss.backward()
    optimizer.step()
    return loss.item()


def step_without_zeroing(model, batch, optimizer, loss_of):
    loss = loss_of(model, batch)
    loss.backward()
    optimizer.step()
    return loss.item()


def step_first(model, batch, optimizer, loss_of):
    loss = loss_of(model, batch)
    optimizer.step()
    loss.backward()
    optimizer.zero_grad()
    return loss.item()


def no_step(model, batch, optimizer, loss_of):
    optimizer.zero_grad()
    loss = loss_of(model, batch)
    loss.backward()
    return loss.item()


def zeroed_before_the_step(model, batch, optimizer, loss_of):
    loss = loss_of(model, batch)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


def returns_the_tensor(model, batch, optimizer, loss_of):
    loss = loss_of(model, batch)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss


def returns_it_detached(model, batch, optimizer, loss_of):
    return returns_the_tensor(model, batch, optimizer, loss_of).detach()


def clips(model, batch, optimizer, loss_of):
    optimizer.zero_grad()
    loss = loss_of(model, batch)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def the_loss_afterwards(model, batch, optimizer, loss_of):
    step(model, batch, optimizer, loss_of)
    return loss_of(model, batch).item()


def by_hand_without_the_optimizer(model, batch, optimizer, loss_of):
    loss = loss_of(model, batch)
    loss.backward()
    with torch.no_grad():
        for weights in model.parameters():
            weights -= 0.1 * weights.grad
    optimizer.zero_grad()
    return loss.item()


def loss_of_part(logits, labels):
    return cross_entropy(logits, labels, ignore_index=-100)


WRONG = {
    "check_epochs_for": [
        lambda steps, pictures, batch_size: steps // math.ceil(pictures / batch_size),
        lambda steps, pictures, batch_size: math.ceil(steps / max(1, pictures // batch_size)),
        lambda steps, pictures, batch_size: math.ceil(steps / (pictures // batch_size)),
        lambda steps, pictures, batch_size: math.ceil(steps * batch_size / pictures),
        lambda steps, pictures, batch_size: steps / math.ceil(pictures / batch_size),
        lambda steps, pictures, batch_size: steps * math.ceil(pictures / batch_size),
        lambda steps, pictures, batch_size: math.ceil(steps / (pictures // batch_size + 1)),
        lambda steps, pictures, batch_size: 1 + steps // math.ceil(pictures / batch_size),
        lambda steps, pictures, batch_size: {(60, 20): 30, (60, 100): 9}.get((steps, pictures), 30),
    ],
    "check_training_step": [
        step_without_zeroing,
        step_first,
        no_step,
        zeroed_before_the_step,
        returns_the_tensor,
        returns_it_detached,
        clips,
        the_loss_afterwards,
        by_hand_without_the_optimizer,
        lambda model, batch, optimizer, loss_of: loss_of(model, batch).item(),
        lambda model, batch, optimizer, loss_of: [step(model, batch, optimizer, loss_of)],
    ],
    "check_whole_loss": [
        lambda parts: sum(loss_of_part(*part) for part in parts) / len(parts),
        lambda parts: sum(cross_entropy(*part, reduction="sum") for part in parts),
        lambda parts: sum(loss_of_part(*part) * len(part[1]) for part in parts) / sum(len(part[1]) for part in parts),
        lambda parts: cross_entropy(parts[0][0], parts[0][1]),
        lambda parts: [loss_of_part(*part) for part in parts],
        lambda parts: sum(cross_entropy(*part, reduction="sum") for part in parts) / sum(len(p[1]) for p in parts),
        lambda parts: torch.cat([cross_entropy(*part, reduction="none") for part in parts]).mean(),
    ],
    "check_with_other_pictures": [
        rolls_in_place,
        rolls("pixel_values", dims=1),
        rolls("pixel_values", dims=3),
        rolls("input_ids"),
        rolls("input_ids", "labels"),
        rolls("pixel_values", *WORDS),
        rolls(*WORDS, dims=1),
        in_an_order_of_chance,
        turned_round,
        the_first_caption,
        lambda batch: batch,
        lambda batch: batch["pixel_values"].roll(1, dims=0),
        lambda batch: {"pixel_values": batch["pixel_values"].roll(1, dims=0)},
    ],
}
