"""Reading JSON as rows of a table: lists of objects, COCO's captions, and Karpathy's splits of COCO and Flickr.

COCO: {"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}.
Karpathy: {"images": [{"filename", "sentences": [{"raw"}], "split"}]}, the file name sometimes with a "filepath".
"""

import re
from collections import Counter
from typing import Any

from helpers.errors import DataError
from helpers.reading.pictures import SUFFIXES
from helpers.text import alike

Rows = tuple[list[dict[str, Any]], dict[int, str], list[str]]  # the rows, faults by row number, and notes


def objects(values: list[Any]) -> Rows:
    """The rows that are JSON objects, empty ones in place of the others, and which those are."""
    faults = {i: "it is no JSON object; write one a line" for i, row in enumerate(values) if not isinstance(row, dict)}
    return [{} if i in faults else row for i, row in enumerate(values)], faults, []


def rows_of(content: Any, shown: str) -> Rows:
    """The rows of a captions file, one a picture, of what json.loads gives; `shown` is its name, for sentences.

    Besides COCO's and Karpathy's form, an object may hold one list of rows, columns, or captions by pictures' names.
    An annotation that belongs to no picture is a row of its own, and a fault. Raises DataError where it is none.
    """
    known = content if isinstance(content, dict) else {}
    images, annotations = map(known.get, ("images", "annotations"))
    if isinstance(images, list) and isinstance(annotations, list):
        if not any(isinstance(annotation, dict) and "caption" in annotation for annotation in annotations):
            raise DataError(f"{shown} has annotations and none with a caption; give the file of captions.")
        return _coco(images, annotations)
    if isinstance(images, list) and any(isinstance(image, dict) and "sentences" in image for image in images):
        return _karpathy(images)
    lists = [value for value in known.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
    if len(lists) == 1 and len(lists[0][0]) > 1:
        return objects(lists[0])
    if known and all(
        name.lower().endswith(SUFFIXES) or (isinstance(value, dict) and "caption" in value)
        for name, value in known.items()
    ):
        return [{"file_name": name, "captions": captions} for name, captions in known.items()], {}, []
    columns = [dict(enumerate(value)) if isinstance(value, list) else value for value in known.values()]
    if len(columns) > 1 and all(isinstance(c, dict) and c.keys() == columns[0].keys() for c in columns):
        return [{name: c[key] for name, c in zip(known, columns, strict=True)} for key in columns[0]], {}, []
    raise DataError(
        f"{shown} holds neither a list of rows nor COCO's images and annotations; write one JSON object a picture "
        "between [ and ]."
    )


def _coco(images: list[Any], annotations: list[Any]) -> Rows:
    """Several captions a picture, by its id; an id that stands twice belongs to no picture for certain."""
    images = [image if isinstance(image, dict) else {} for image in images]
    ids = [_id(image.get("id")) for image in images]
    twice, rows_of_ids = Counter(ids), {known: i for i, known in enumerate(ids)}
    # 7 and "7" are one id where one picture alone has either of them.
    alike = Counter(map(_number, ids))
    rows_of_numbers = {number: i for i, known in enumerate(ids) if alike[number := _number(known)] == 1}
    rows, notes = [{**image, "captions": []} for image in images], []
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
        row = None if known is None else rows_of_ids.get(known, rows_of_numbers.get(_number(known)))
        if row is not None:
            rows[row]["captions"].append(caption)
            if known not in rows_of_ids and not notes:
                notes.append(f"ids are written in two ways: the image_id {known!r} is the picture {ids[row]!r}")
        else:
            faults[len(rows)] = f"its caption belongs to the image_id {known}, which no picture has; mend the id"
            rows.append({"file_name": None, "captions": [caption]})
    return rows, faults, notes


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
    return rows, faults, []


def _id(value: Any) -> int | str | None:
    whole = isinstance(value, float) and value.is_integer()  # as pandas writes ids where one is missing
    return int(value) if whole else value if isinstance(value, (int, str)) else None


def _number(known: int | str | None) -> str:
    """What ids are compared by where they differ in kind: 7, "7", " 7", "7.0" and "007" are one."""
    text = re.sub(r"\.0+$", "", alike(str(known)).strip())
    return text.lstrip("0") or "0" if text.isdigit() else text
