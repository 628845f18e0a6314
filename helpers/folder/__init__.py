"""A folder of pictures captioned, and the captions written beside them (.txt) or into a table (CSV, JSON Lines)."""

from helpers.folder.captioning import caption_folder
