"""Reading COCO's captions, and Karpathy's splits of COCO, Flickr8k and Flickr30k, as rows of a table.

COCO: {"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}.
Karpathy: {"images": [{"filename", "sentences": [{"raw"}], "split"}]}, the file name sometimes with a "filepath".
"""

import os
from collections import Counter
from pathlib import Path
from typing import Any

from helpers.errors import DataError

Rows = tuple[list[dict[str, Any]], dict[int, str]]
_LOOKED_FOR = 100  # pictures of a table, to find their folder


def rows_of(content: Any, shown: str) -> Rows:
    """The rows of a captions file, one a picture, and what is wrong with some of them.

    Args:
        content: what the file holds, as json.loads gives it.
        shown: its name, for sentences.

    Returns:
        The rows with the columns file_name, captions and the pictures' others; and faults by row number. An annotation
        that belongs to no picture is a row of its own, and a fault.

    Raises:
        DataError: it is no captions file.
    """
    images, annotations = map(content.get, ("images", "annotations")) if isinstance(content, dict) else (None, None)
    if isinstance(images, list) and isinstance(annotations, list):
        if not any(isinstance(annotation, dict) and "caption" in annotation for annotation in annotations):
            raise DataError(f"{shown} has annotations and none with a caption; give the file of captions.")
        return _coco(images, annotations)
    if isinstance(images, list) and any(isinstance(image, dict) and "sentences" in image for image in images):
        return _karpathy(images)
    raise DataError(
        f"{shown} holds neither a list of rows nor COCO's images and annotations; write one JSON object a picture "
        "between [ and ]."
    )


def picture_folder(file: Path, rows: list[dict[str, Any]]) -> Path:
    """Where the pictures of a captions file lie: beside it, in a folder beside it, or beside its own `annotations`."""
    names = [row["file_name"] for row in rows if isinstance(row.get("file_name"), str)]
    # A path that climbs or starts at the root would be found from any folder, and lead out of each.
    inside = [name for name in names if name and not {"..", "/"} & {*Path(name).parts}][:_LOOKED_FOR]
    above = sorted(file.parent.parent.glob("*/")) if file.parent.name == "annotations" else []
    places = [file.parent, *sorted(file.parent.glob("*/")), *above]
    return max(places, key=lambda place: sum(os.path.isfile(place / name) for name in inside))


def _coco(images: list[Any], annotations: list[Any]) -> Rows:
    """Several captions a picture, by its id; an id that stands twice belongs to no picture for certain."""
    images = [image if isinstance(image, dict) else {} for image in images]
    ids = [_id(image.get("id")) for image in images]
    twice, rows_of_ids = Counter(ids), {known: i for i, known in enumerate(ids)}
    rows = [{**image, "captions": []} for image in images]
    faults = {
        i: "it has no id; write one, and use it in its annotations"
        if known is None
        else f"its id {known} is the id of {twice[known]} pictures; give each its own"
        for i, known in enumerate(ids)
        if known is None or twice[known] > 1
    }
    for annotation in annotations:
        annotation = annotation if isinstance(annotation, dict) else {}
        known, caption = _id(annotation.get("image_id")), annotation.get("caption")
        if known is not None and known in rows_of_ids:
            rows[rows_of_ids[known]]["captions"].append(caption)
        else:
            faults[len(rows)] = f"its caption belongs to the image_id {known}, which no picture has; mend the id"
            rows.append({"file_name": None, "captions": [caption]})
    return rows, faults


def _karpathy(images: list[Any]) -> Rows:
    """The captions of each picture, and its split; what COCO held back for it, restval, is for training."""
    rows, faults = [], {}
    for i, image in enumerate(images):
        if not isinstance(image, dict):
            faults[i], image = "it is no JSON object; write one a picture", {}
        folder, name, split = image.get("filepath"), image.get("filename"), image.get("split")
        place = f"{folder}/{name}" if folder and name else name
        split = "train" if split == "restval" else split
        rows.append({"file_name": place, "captions": image.get("sentences"), "split": split})
    return rows, faults


def _id(value: Any) -> int | str | None:
    return value if isinstance(value, (int, str)) else None
