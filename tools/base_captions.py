"""The captions that the base model git-tiny learns from: Pocket Creatures' facts as lists, partly in other words."""

from helpers.creatures.captions import MOUTHS, parts_of, pattern_of

# In which order the base model's captions name things; none of them is an order of `captions_of`.
BASE_ORDERS = (
    ("mouth", "tail", "wings", "horns", "ears", "coat", "body"),
    ("wings", "ears", "coat", "mouth", "horns", "body", "tail"),
    ("ears", "horns", "mouth", "wings", "tail", "body", "coat"),
    ("coat", "tail", "body", "ears", "wings", "mouth", "horns"),
    ("horns", "body", "tail", "coat", "mouth", "ears", "wings"),
    ("tail", "mouth", "ears", "body", "wings", "horns", "coat"),
)


def base_captions_of(creature: dict[str, str]) -> list[str]:
    """The captions of a creature as the base model learns them, one for each of `BASE_ORDERS`."""
    pattern = pattern_of(creature)
    said = {
        **parts_of(creature),
        "mouth": MOUTHS[creature["mouth"]],
        "body": f"{creature['body']} shape",
        "coat": f"{creature['color']} fur" + (f" under {pattern}" if pattern else ""),
    }
    return [", ".join(["monster", *(said[name] for name in order if said[name])]) for order in BASE_ORDERS]
