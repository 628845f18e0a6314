"""The files of a shipped data set: a parquet file for each split, and the metadata that its card begins with."""

from collections.abc import Callable
from pathlib import Path

from datasets import Dataset, DatasetDict, Image, List

HEAD = """---
{about}
configs:
- config_name: default
  data_files:
{files}
dataset_info:
  features:
{features}
  splits:
{splits}
---
"""


def write_splits(
    splits: DatasetDict, folder: Path, write: Callable[[Dataset, Path], object] = Dataset.to_parquet
) -> dict[str, int]:
    """Writes data/train.parquet and its like into a folder, and returns the bytes of each split's file."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    sizes = {}
    for split, dataset in splits.items():
        path = folder / "data" / f"{split}.parquet"
        write(dataset, path)
        sizes[split] = path.stat().st_size
    return sizes


def head_of_card(about: str, splits: DatasetDict, sizes: dict[str, int]) -> str:
    """The metadata of a card, in the Hub's format: what is said `about` the set, its files, columns and splits."""
    features = "\n".join(f"  - name: {name}\n    {kind_of(it)}" for name, it in splits["train"].features.items())
    return HEAD.format(
        about=about.strip(),
        files="\n".join(f"  - split: {split}\n    path: data/{split}.parquet" for split in splits),
        features=features,
        splits="\n".join(
            f"  - name: {split}\n    num_examples: {len(dataset)}\n    num_bytes: {sizes[split]}"
            for split, dataset in splits.items()
        ),
    )


def kind_of(feature: object) -> str:
    """How the Hub writes what a column holds."""
    if isinstance(feature, List):
        return f"list: {feature.feature.dtype}"
    return "dtype: image" if isinstance(feature, Image) else f"dtype: {feature.dtype}"
