import pytest
from transformers import BertTokenizer

from helpers.errors import DataError
from helpers.settings import Settings
from helpers.transforms import CaptionTransform
from helpers.vocabulary import SPECIAL, check_captions, new_tokenizer, round_trip
from tools.make_base_model import vocabulary


def test_what_the_vocabulary_was_made_for_comes_back(processor, creatures):
    captions = [text for captions in creatures["train"]["captions"] for text in captions]
    found = round_trip(captions, processor)
    assert found == (len(captions), 0, 0.0, ("", ""))
    assert round_trip(captions, processor, most=100).captions == 100


def test_case_and_punctuation_are_no_losses(processor):
    assert round_trip(["A cat's toy -- what?!"], processor).changed == 0


@pytest.mark.parametrize(
    ("captions", "changed", "wer", "example"),
    [
        (["ein grünes Tier", "a cat"], 1, 1 / 5, ("grünes", "grunes")),
        (["a 🐱 cat", "a 🐱", "un café"], 3, 3 / 7, ("🐱", "")),
        (["a cat of $5"], 1, 2 / 4, ("$5", "$ 5")),
        (["a 猫 sat"], 1, 1 / 3, ("猫", "")),
        (["초록색 동물이 웃고 있다"], 1, 1.0, ("초록색", "")),
    ],
)
def test_what_is_lost_is_counted_as_word_errors(processor, captions, changed, wer, example):
    found = round_trip(captions, processor)
    assert (found.captions, found.changed, found.example) == (len(captions), changed, example)
    assert found.wer == pytest.approx(wer)


@pytest.mark.parametrize("captions", ["a cat", []])
def test_no_list_of_captions_is_refused(processor, captions):
    with pytest.raises(DataError, match="give a list"):
        round_trip(captions, processor)


def test_letters_that_come_back_in_pieces_are_whole(processor):
    """An uncased BERT takes Korean syllables apart, and what it gives back is the same text in other signs."""
    jamo = [chr(code) for code in (*range(0x1100, 0x1113), *range(0x1161, 0x1176), *range(0x11A8, 0x11C3))]
    words = [*vocabulary(), *jamo, *(f"##{letter}" for letter in jamo)]
    tokenizer = BertTokenizer(vocab={word: i for i, word in enumerate(words)}, do_lower_case=True)
    assert round_trip(["초록색 동물이 웃고 있다"], type("Processor", (), {"tokenizer": tokenizer})).changed == 0


def test_a_loss_is_said_and_an_unknown_language_is_refused(processor, log):
    transform, settings = CaptionTransform(processor), Settings(checkpoint="models/some")
    check_captions(["a cat"], transform, settings)
    assert log.text == ""
    check_captions(["ein grünes Tier", "a cat"], transform, settings)
    assert "models/some cannot write 1 of 2 captions" in log.text
    assert "'grünes' comes back as 'grunes'" in log.text
    with pytest.raises(DataError, match=r"models/some cannot write most.*'초록색' comes back as nothing"):
        check_captions(["초록색 동물이 웃고 있다", "a cat"], transform, settings)


def test_captions_that_the_model_may_not_say_to_their_end_are_counted(processor, log):
    """A caption of three tokens needs a fourth, its end; the first token of all is given."""
    captions, transform = ["a red creature", "a red creature", "a red"], CaptionTransform(processor)
    check_captions(captions, transform, Settings(max_new_tokens=4))
    assert log.text == ""
    check_captions(captions, transform, Settings(max_new_tokens=3))
    assert "2 of 3 captions need more tokens than Settings.max_new_tokens, which is 3," in log.text
    assert "give 4." in log.text


NAMES = ["blue heart", "woman: red hair", "five o’clock", "남자 소방관", "女消防员", "قلب أزرق", "corazón azul", "Leo"]


def test_a_new_tokenizer_writes_what_it_learnt_in_any_script(talker):
    tokenizer = new_tokenizer(NAMES)
    back = tokenizer.batch_decode(tokenizer(NAMES).input_ids, skip_special_tokens=True)
    assert back == [name.lower() for name in NAMES]
    assert tokenizer.convert_tokens_to_ids(list(SPECIAL.values())) == [0, 1, 2, 3]
    config = talker.config
    assert (config.pad_token_id, config.bos_token_id, config.eos_token_id) == (0, 2, 3)
    ids = tokenizer("blue").input_ids
    assert (ids[0], ids[-1]) == (config.bos_token_id, config.eos_token_id)


def test_what_a_new_tokenizer_has_not_seen_is_unknown_or_put_together():
    tokenizer = new_tokenizer(NAMES)
    assert tokenizer.decode(tokenizer("blue hair").input_ids[1:-1]) == "blue hair"
    assert tokenizer.unk_token_id in tokenizer("дом").input_ids


def test_a_new_tokenizer_keeps_signs_and_punctuation_apart_and_words_whole():
    tokenizer = new_tokenizer([*NAMES * 3, "woman"])
    assert tokenizer.tokenize("女消防员") == ["▁", "女", "消", "防", "员"]
    assert tokenizer.tokenize("woman: red hair") == ["▁woman", ":", "▁red", "▁hair"]
    assert tokenizer.tokenize("woman") == ["▁woman"]
    assert len(new_tokenizer(NAMES, size=80)) == 80
    assert new_tokenizer(NAMES, positions=9).model_max_length == 9
