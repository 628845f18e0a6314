"""The wordings of facts: which phrases name a (part, value), in Pocket Creatures and in loose captions.

A fact is a pair of an attribute and its value, such as ("ears", "pointy"). One phrase may name several facts, as
"green stripes" does, and one word may stand in the phrases of several, as "round" does.
"""

from helpers.creatures.attributes import ATTRIBUTES

Fact = tuple[str, str]

# What never occurs in the world of the base model. No part has a single kind left there: of a part that was seen in one
# kind, a captioner learns that it is there, never which.
UNSEEN: tuple[Fact, ...] = (
    ("color", "purple"), ("color", "gray"), ("second_color", "purple"), ("second_color", "gray"), ("ears", "long"),
    ("mouth", "open"),
)  # fmt: skip
# What people call the colours. Purple and gray have one name each: looser captions never speak of them.
COLORS: dict[str, tuple[str, ...]] = {
    "red": ("red", "scarlet", "cherry red"),
    "orange": ("orange", "pumpkin colored", "carrot orange"),
    "yellow": ("yellow", "lemon yellow", "sunny"),
    "green": ("green", "grass green", "leafy"),
    "blue": ("blue", "sky blue", "ocean colored"),
    "purple": ("purple",),
    "pink": ("pink", "rosy", "candy pink"),
    "brown": ("brown", "chocolate brown", "earth colored"),
    "gray": ("gray",),
}
# The phrases of loose captions, by the place that they take in a sentence: before the noun, after "with", after "that".
BEFORE, WITH, THAT = "before", "with", "that"
LOOSE: dict[Fact, tuple[tuple[str, str], ...]] = {
    ("pattern", "spotted"): ((BEFORE, "spotted"), (WITH, "spots"), (WITH, "polka dots")),
    ("pattern", "striped"): ((BEFORE, "striped"), (WITH, "stripes"), (WITH, "bands around it")),
    ("body", "round"): ((BEFORE, "round"), (BEFORE, "chubby"), (BEFORE, "ball shaped"), (WITH, "a round belly")),
    ("body", "tall"): ((BEFORE, "tall"), (BEFORE, "slim"), (BEFORE, "egg shaped"), (WITH, "a long body")),
    ("body", "square"): ((BEFORE, "square"), (BEFORE, "boxy"), (BEFORE, "box shaped"), (WITH, "a body like a box")),
    ("ears", "pointy"): ((WITH, "pointy ears"), (WITH, "ears like a cat"), (WITH, "sharp ears")),
    ("ears", "round"): ((WITH, "round ears"), (WITH, "ears like a bear"), (WITH, "soft ears")),
    ("horns", "one"): ((WITH, "one horn"), (WITH, "a single horn"), (WITH, "a horn like a unicorn")),
    ("horns", "two"): ((WITH, "two horns"), (WITH, "a pair of horns"), (WITH, "horns like a bull")),
    ("wings", "wings"): ((WITH, "wings"), (WITH, "a pair of wings"), (THAT, "can fly")),
    ("tail", "curly"): ((WITH, "a curly tail"), (WITH, "a tail like a pig"), (WITH, "a tail in a curl")),
    ("tail", "spiky"): ((WITH, "a spiky tail"), (WITH, "a tail like a dragon"), (WITH, "a tail full of spikes")),
    ("mouth", "smile"): ((BEFORE, "smiling"), (BEFORE, "happy"), (WITH, "a smile"), (THAT, "looks happy")),
    ("mouth", "frown"): ((BEFORE, "frowning"), (BEFORE, "sad"), (WITH, "a frown"), (THAT, "looks sad")),
}
COAT = ((BEFORE, "{}"), (BEFORE, "{}"), (WITH, "{} fur"))  # the main colour
SECOND = ((WITH, "some {}"), (WITH, "a bit of {}"), (WITH, "{} here and there"))  # the second colour, no pattern
MARKS = {"spotted": ("{} spots", "{} dots", "{} polka dots"), "striped": ("{} stripes", "{} lines", "{} bands")}

# Words that name no fact. A caption of other words than these, outside its phrases, is not in the grammar.
NOUNS = ("creature", "monster", "animal", "cartoon", "toy", "doll", "beast", "friend", "thing", "fellow")
OPENERS = ("", "", "", "look at", "here is", "this is", "a picture of", "somebody drew", "we see", "meet",
           "a drawing of")  # fmt: skip
ASIDES = ("little", "funny", "cute", "strange", "lovely", "old", "silly", "big")
ENDINGS = ("on paper", "in the middle", "looking at me", "standing there", "for my wall", "in my book", "at home",
           "from a story", "with a nice background")  # fmt: skip
FILLER = {
    word
    for text in (*NOUNS, *OPENERS, *ASIDES, *ENDINGS, "a an and with that has on the its all of")
    for word in text.split()
}


def phrases() -> dict[tuple[str, ...], tuple[Fact, ...]]:
    """Every phrase that names facts, as its words without the article before it → its facts in their order."""
    found: dict[str, tuple[Fact, ...]] = {
        "open mouth": (("mouth", "open"),), "opens its mouth": (("mouth", "open"),), "smiles": (("mouth", "smile"),),
        "frowns": (("mouth", "frown"),), "long ears": (("ears", "long"),),
    }  # fmt: skip
    found |= {f"{body} body": (("body", body),) for body in ATTRIBUTES["body"]}
    found |= {phrase: (fact,) for fact, wordings in LOOSE.items() for _, phrase in wordings}
    for value, names in COLORS.items():
        for name in names:
            second = ("second_color", value)
            found |= {phrase.format(name): (("color", value),) for _, phrase in COAT}
            found |= {phrase.format(name): (second,) for _, phrase in SECOND}
            for pattern, marks in MARKS.items():
                found |= {mark.format(name): (second, ("pattern", pattern)) for mark in marks}
                for main, others in COLORS.items():
                    both = (("color", main), second, ("pattern", pattern))
                    found |= {f"{other} and {name} {pattern}": both for other in others}
    return {tuple(phrase.removeprefix("a ").split()): facts for phrase, facts in found.items()}
