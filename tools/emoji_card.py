"""The card of the emoji set: who drew and named what, the licences, both divisions, what was left out, the limits."""

from collections import Counter
from collections.abc import Iterable, Sequence

from datasets import DatasetDict, concatenate_datasets

from tools.data_card import head_of_card
from tools.emoji_sources import ANNOTATIONS, ARTISTS, CLDR, LANGUAGES, LICENSES, LIST, NEWEST

DIVISIONS = ("by_artist", "by_combination")
# Word for word, from the package of EmojiOne: its LICENSE.md, and what its package.json says instead.
LICENSE_OF_EMOJIONE = """#### EmojiOne Artwork

*  Applies to all PNG and SVG files as well as any adaptations made.
*  License: Creative Commons Attribution 4.0 International
*  Human Readable License: http://creativecommons.org/licenses/by/4.0/
*  Complete Legal Terms: http://creativecommons.org/licenses/by/4.0/legalcode


#### EmojiOne Non-Artwork

*  Applies to the Javascript, JSON, PHP, CSS, HTML files, and everything else not covered under the artwork license above.
*  License: MIT
*  Complete Legal Terms: http://opensource.org/licenses/MIT
"""  # noqa: E501
PACKAGE_OF_EMOJIONE = '"type": "(CC-BY-SA-4.0 and MIT)"'

ABOUT = f"""
license: other
license_name: {"-".join(LICENSES).lower()}
license_link: LICENSE.md
language:
{chr(10).join(f"- {language}" for language in LANGUAGES)}
task_categories:
- image-to-text
pretty_name: Emoji by five artists
size_categories:
- 1K<n<10K
"""
CARD = """
# Emoji by five artists

{pictures:,} pictures of {emoji:,} emoji, drawn by the designers of five sets, each with the name and the keywords that
Unicode CLDR gives it in English, Korean, Chinese, Arabic and Spanish. The course teaches with
[Pocket Creatures](../pocket-creatures/README.md), because every fact about them is known. These pictures are there to
test it, because nobody in this project drew or named them.

In the project's folder:

```python
from datasets import load_dataset
from helpers.data import load_captions

load_dataset("data/emoji")  # divided by artist
load_captions("data/emoji", caption_columns="name_ko", split_column="by_artist")  # Korean names as captions
load_captions("data/emoji", caption_columns="name_en", split_column="by_combination")
```

## What a row holds

| column | what it is |
| --- | --- |
| `image` | a picture of {size} x {size} pixels, RGB, on white |
| `artist` | {artists} |
| `emoji` | the emoji itself |
| `name_en`, `name_ko`, `name_zh`, `name_ar`, `name_es` | its name; in each language, no two emoji share one |
| `keywords_en`, … `keywords_es` | other words for it, or for what it stands for: a list |
| `group`, `subgroup` | where Unicode's list puts it |
| `version` | the version of Emoji that brought it |
| `skin_tone` | whether it has variants in skin tones, which are not here |
| `family`, `first`, `second` | for names that are made of two parts: the kind of name, and the two parts; else empty |
| `license` | of the picture: {licenses} |
| `by_artist`, `by_combination` | its split in each division: train, validation or test |

Rows follow Unicode's list; the artists of one emoji stand side by side.

| artist | drawn by | licence of the drawings | taken from (npm) | pictures |
| --- | --- | --- | --- | --- |
{drawn}

## Two divisions

**By artist**, the default: the files are divided in this way. The test split holds all pictures by {unseen}, and no
other split holds any: the same things, in a style that training never showed. Of the three artists who drew everything,
{unseen} is the one whose pictures look least like those of the others. The validation split holds a tenth of the other
artists' pictures, each of an emoji that another of them shows in training. So you can choose between models without a
look at the unseen artist (Gulrajani and Lopez-Paz, 2021, call that training-domain validation).

**By combination**: {made} names are made of two parts, as "blue heart" is. {test} of them are for the test and
{validation} for validation, chosen in the same way, each with the pictures of all artists. Every other name is in
training. So is each part of the names held out, in another name: a captioner must put together what it has only seen
apart. A checksum of the names decides which are held out.

| split | pictures, by artist | emoji | pictures, by combination | emoji |
| --- | --- | --- | --- | --- |
{counts}

| names made of | names | validation | test |
| --- | --- | --- | --- |
{families}

No picture stands in two splits: any two of the set differ by at least {same:g} of 255 (root mean square), both shrunk
to 16 x 16 pixels. `data_report` still counts some as nearly the same as one in another split: its hash sees no colours,
so hearts of two colours are alike to it, and some pictures of people differ very little.

**A line to beat.** By artist, the name of the training picture that is most alike (cosine of 24 x 24 pixels around what
is drawn, the mean taken off) is right for {line[validation]:.1%} of the validation pictures and {line[test]:.1%} of the
test pictures. It is a simple rule, and better ones are possible. By combination it is never right: no training picture
has a name that is held out.

## How it was made

`make emoji` in the project's folder builds it again, from packages alone. It needs npm; Debian's apt-get for
`{list}`, whose list of emoji is cut at version {newest:g}; and resvg-py {resvg}, which draws.

**What was changed.** Each drawing was drawn on white at {size} x {size} pixels, in the middle where it is not square,
reduced to at most {colors} colours, and stored as WebP without further loss. Names and keywords are those of Unicode
CLDR {cldr} (npm {annotations}), without signs that cannot be seen.

| left out | how many |
| --- | --- |
{left_out}

Where an artist drew two emoji alike, the plainer name stayed; in most of these a man or a woman is drawn as the person.
The pictures that mislead are EmojiOne's "water pistol", which is a revolver, and Fluent's "white square button", whose
frame is lost on white.

## What is sensitive and kept

A class may meet cigarettes, alcohol, gambling, weapons, a syringe, a coffin and a skull, pigs, houses of worship and
religious signs, a headscarf and a turban, a pregnant man. Filter by `subgroup` or `emoji` where that matters. Flags and
variants in skin tones are left out as a whole; the people here have the unnatural colour that their artist chose for
"no skin tone".

## Limits

- A caption is a name of about two words. This is naming, not describing: no sentences, no relations. A word error rate
  says little of so short a text; count exact names, or keywords.
- {unique:.0%} of the English words stand in one name only, and an emoji has at most five pictures. Little can be learnt
  about such a word.
- Person, man and woman differ very little, and sometimes not at all. Report them separately.
- White things on white are faint. Some drawings are ambiguous: a clock with two hands of one length shows two times.
- The names are those that Unicode publishes. Many Chinese ones name the meaning and not the thing, and languages differ
  in what they say of people. A few do not fit: the Arabic name of the mahjong tile speaks of a Japanese game. No native
  speaker checked them for this project.
- A score on these pictures is about drawings in five styles. It says nothing about photographs.

## Licences

The pictures are under {licenses}, as each row says; names, keywords and the list of emoji are under
Unicode-3.0. [LICENSE.md](LICENSE.md) says what each covers. The full texts lie in [licenses](licenses), as npm packages carry them:

{texts}

The text of MIT, with its line "Copyright (c) Microsoft Corporation.", is the Fluent Emoji project's own. Iconify's
package of the drawings holds no licence text; the one named here, another package of Fluent Emoji, does.

EmojiOne's package 2.2.7 says in its LICENSE.md:

{quote}

Its package.json disagrees and says `{package}`. Its README says that artwork of versions before 2.0.0 is under
CC BY-SA 4.0, and artwork from 2.0.0 on under CC BY 4.0. So the pictures here are taken to be under CC BY 4.0. Nothing of
a later version is here: do not assume that its licence is the same.

**No endorsement.** Google, Twitter, Microsoft, EmojiOne and Unicode did not make this set, and do not stand behind it. Noto,
Twemoji, Fluent, EmojiOne and Unicode are their owners' names.
"""  # noqa: E501

LICENSE_HEAD = """# Licences of this data set

| licence | what it covers |
| --- | --- |
"""
LICENSE_END = """
Every picture was changed: it was drawn on white, small and with few colours. The [card](README.md) says how, and what
EmojiOne's package says of its licence. None of those named here made this set, and none endorses it.
"""


def licenses() -> str:
    """LICENSE.md: what each licence covers, with its text."""
    covers = {name: [] for name in LICENSES}
    for artist, it in ARTISTS.items():
        covers[it.license].append(f"pictures of `{artist}`: {it.drawn_by}, {it.home}")
    covers["Unicode-3.0"].append(
        f"names, keywords, list of emoji: Unicode, Inc., CLDR {CLDR}, https://cldr.unicode.org"
    )
    rows = table([f"[{name}](licenses/{name}.txt)", "; ".join(what)] for name, what in covers.items())
    return f"{LICENSE_HEAD}{rows}\n{LICENSE_END}"


def table(rows: Iterable[Sequence[object]]) -> str:
    """The rows of a Markdown table; whole numbers with a comma for each thousand."""
    written = ([f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in written)


def card(
    splits: DatasetDict, sizes: dict[str, int], left_out: dict[str, int], line: dict[str, float], **drawing: object
) -> str:
    """The data set card.

    Args:
        splits: the set.
        sizes: bytes of each split's file.
        left_out: how many, by reason.
        line: split → the share of its pictures that the most similar training picture names rightly.
        drawing: what the builder draws with: size, colors, same, unseen, resvg.
    """
    rows = concatenate_datasets(list(splits.values())).remove_columns("image").to_list()
    emoji = {row["emoji"]: row for row in rows}
    words = Counter(word for row in emoji.values() for word in {*row["name_en"].lower().split()})
    made = [row for row in emoji.values() if row["family"]]
    held = Counter(row["by_combination"] for row in made) + Counter(
        (row["family"], row["by_combination"]) for row in made
    )
    counts = []
    for split in splits:
        found = [[row["emoji"] for row in rows if row[division] == split] for division in DIVISIONS]
        counts.append([split, *(number for each in found for number in (len(each), len(set(each))))])
    used = ", ".join(dict.fromkeys(it.license for it in ARTISTS.values()))
    pictures = Counter(row["artist"] for row in rows)
    return head_of_card(ABOUT, splits, sizes) + CARD.format(
        **drawing,
        pictures=len(rows),
        emoji=len(emoji),
        artists=", ".join(ARTISTS),
        licenses=used,
        drawn=table(
            [artist, f"[{it.drawn_by}]({it.home})", it.license, f"`{it.package}` {it.version}", pictures[artist]]
            for artist, it in ARTISTS.items()
        ),
        made=len(made),
        test=held["test"],
        validation=held["validation"],
        counts=table(counts),
        families=table(
            [family, size, held[family, "validation"], held[family, "test"]]
            for family, size in Counter(row["family"] for row in made).most_common()
        ),
        line=line,
        list=LIST,
        newest=NEWEST,
        cldr=CLDR,
        annotations=" and ".join(f"`{package}`" for package in ANNOTATIONS.values()),
        left_out=table(left_out.items()),
        unique=sum(count == 1 for count in words.values()) / len(words),
        texts="\n".join(
            f"- {name}: `{file}` of `{package}` {version}" for name, (package, version, file) in LICENSES.items()
        ),
        quote="\n".join(f"> {line}".rstrip() for line in LICENSE_OF_EMOJIONE.strip().splitlines()),
        package=PACKAGE_OF_EMOJIONE,
    )
