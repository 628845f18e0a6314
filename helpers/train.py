"""Training as a command, on one process or on several: `python -m helpers.train --dataset … --epochs …`.

It trains as notebook 3 does and scores on the test split. Under `torchrun` or `accelerate launch` the pictures are
divided over the processes, in training, in evaluation and for the captions of the test split.
"""

import logging
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from dataclasses import asdict
from inspect import cleandoc
from typing import Any

from accelerate.utils import gather_object
from datasets import Dataset
from transformers import HfArgumentParser, PreTrainedModel

from helpers.captioner import load_or_train
from helpers.creatures import attribute_columns
from helpers.data import load_captions
from helpers.device import processes
from helpers.errors import CaptioningError
from helpers.families import load_checkpoint
from helpers.inference import caption_images
from helpers.metrics import score
from helpers.notebook import start
from helpers.report import save_evaluation, summary
from helpers.settings import Settings

ABOUT = "Trains a captioner and scores it on the test split. Every value of Settings is a flag:\n\n"


def settings_of(arguments: Sequence[str]) -> Settings:
    """The settings that a command line asks for; what it does not name is as in `Settings.from_environment()`.

    A wrong value, and `--help`, end the process, as argparse does.
    """
    about = ABOUT + cleandoc(Settings.__doc__).partition("Attributes:\n")[2]
    parser = HfArgumentParser(Settings, description=about, formatter_class=RawDescriptionHelpFormatter)
    try:
        parser.set_defaults(**asdict(Settings.from_environment()))
        settings = Settings(**vars(parser.parse_args(arguments)))
    except CaptioningError as error:
        parser.error(str(error))
    if settings.push_to:
        parser.error("this command shares nothing; leave out --push_to, and share from notebook 3.")
    return settings


def divided_captions(model: PreTrainedModel, processor: Any, test: Dataset, settings: Settings) -> list[str]:
    """A caption for each picture, in order; each process captions a part of them and is given all."""
    options = {"num_beams": settings.num_beams, "max_new_tokens": settings.max_new_tokens}
    with processes().split_between_processes(list(range(len(test)))) as mine:
        captions = caption_images(model, processor, test.select(mine), **options) if mine else []
    return gather_object([caption.text for caption in captions])


def train(settings: Settings) -> dict[str, Any] | None:
    """Trains, unless it is trained already, and scores before and after.

    Returns:
        What `save_evaluation` writes to a file beside the captioner; None in all processes but the first.
    """
    with processes().main_process_first():
        dataset = load_captions(settings.dataset)
    test, truth = dataset["test"], attribute_columns(dataset["test"])
    trained = load_or_train(settings, dataset=dataset, resume=True)
    systems = {"base": load_checkpoint(settings.checkpoint), "trained": trained}
    said = {name: divided_captions(*system, test, settings) for name, system in systems.items()}
    if not processes().is_main_process:
        return None
    scores = {name: score(texts, list(test["captions"]), attributes=truth) for name, texts in said.items()}
    return save_evaluation(settings, test, scores, file=f"{settings.output}-evaluation.json")


def main(arguments: Sequence[str]) -> None:
    """Reads the command line, trains, and prints how well the captioner does."""
    settings = settings_of(arguments)
    start(settings)
    if not processes().is_main_process:
        logging.getLogger("helpers").setLevel(logging.ERROR)  # the first one says it
    try:
        evaluation = train(settings)
    except CaptioningError as error:
        sys.exit(str(error))
    if evaluation:
        print(summary(evaluation))
    processes().destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1:])
