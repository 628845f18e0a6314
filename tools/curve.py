"""The learning curve that notebook 6 shows: Pocket Creatures in the words of its example: `python -m tools.curve`.

It writes docs/learning-curve.json row by row, and goes on behind the last row after a stop. To measure all of it anew,
delete the file. It takes about 8 minutes of one core.
"""

from datasets import DatasetDict
from datasets.utils.logging import disable_progress_bar

from helpers.creatures.example import own_caption
from helpers.data import load_captions
from helpers.experiments.learning_curve import MEASURED, learning_curve
from helpers.settings import Settings

SIZES = (25, 80, 250, 800)  # the example folder has 81
SEEDS = (0, 1)
STEPS = 300  # six passes over the 800
# As notebook 6 trains, but for its epochs.
SETTINGS = Settings.tiny().with_changes(
    batch_size=16, epochs=STEPS / 50, max_new_tokens=32, output="artifacts/learning-curve"
)


def in_own_words(dataset: DatasetDict) -> DatasetDict:
    """Pocket Creatures with the one caption of each picture that the example's owner would write."""
    texts = {name: [[own_caption(row)] for row in split.remove_columns("image")] for name, split in dataset.items()}
    return DatasetDict(
        {name: split.select_columns(["image"]).add_column("captions", texts[name]) for name, split in dataset.items()}
    )


if __name__ == "__main__":
    disable_progress_bar()
    learning_curve(SETTINGS, in_own_words(load_captions(SETTINGS.dataset)), SIZES, seeds=SEEDS, file=MEASURED)
