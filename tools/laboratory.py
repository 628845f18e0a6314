"""The trainings that notebook 9 shows, healthy and with each of nine faults: `python -m tools.laboratory`.

It writes docs/laboratory.json row by row, and goes on behind the last row after a stop. To measure all of it anew,
delete the file. It takes about 18 minutes of one core.
"""

import torch
from datasets.utils.logging import disable_progress_bar

from helpers.data import load_captions
from helpers.experiments.faults import SETTINGS
from helpers.experiments.laboratory import run_laboratory

SEEDS = (0, 1, 2)

if __name__ == "__main__":
    torch.set_num_threads(1)
    disable_progress_bar()
    run_laboratory(load_captions(SETTINGS.dataset), SEEDS)
