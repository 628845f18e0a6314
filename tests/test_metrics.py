import json
import random
from itertools import zip_longest

import jiwer
import numpy as np
import pytest
import sacrebleu
from rouge_score import rouge_scorer
from transformers import EvalPrediction

from helpers import report
from helpers.hub.card import model_card, validation_scores
from helpers.metrics import (
    METRICS,
    align_words,
    bleu_counts,
    bootstrap_interval,
    caption_metrics,
    cider,
    cider_d,
    decode,
    exact_matches,
    load_wer,
    make_compute_metrics,
    normalize,
    normalized,
    paired_difference,
    rouge_l,
    score,
    wilson_interval,
    word_errors,
    words,
)
from helpers.metrics.intervals import mean, share
from helpers.metrics.scores import Metric
from helpers.paths import ROOT
from helpers.plotting import plot_scores
from tools.results import blocks

KOREAN = "빨간 고양이가 웃는다"
ARABIC = "قطة حمراء تبتسم في الحديقة"
CHINESE = "一只红色的猫坐在垫子上"
SAID = ["a red cat with two wings", "a blue dog", "two birds", "a fish that smiles"] * 10
REFERENCES = [
    ["a red cat with two wings"],
    ["a green dog", "the blue dog"],
    ["three birds"],
    ["a cow and a fish that smiles"],
] * 10

CREATURE = {
    "color": "red", "second_color": "none", "pattern": "plain", "body": "round", "ears": "pointy", "horns": "none",
    "wings": "none", "tail": "curly", "mouth": "smile",
}  # fmt: skip
TELLING = {
    "a red round creature with pointy ears, a curly tail and a smile": "right",
    "a blue round creature with pointy ears, a curly tail and a smile": "wrong",
    "a red round creature with pointy ears and a smile": "left_out",
    "a red round creature with pointy ears, a curly tail, two horns and a smile": "invented",
    "a red round contraption with pointy ears, a curly tail and a smile": "no word of the grammar",
}
FACTS = ["right", "wrong", "left_out", "invented"]


def columns(pictures, **changed):
    """The attributes of so many pictures of the creature."""
    return {name: [changed.get(name, value)] * pictures for name, value in CREATURE.items()}


def corpus(seed, pictures=30):
    """Random captions of few words, one to four references a picture, some of them empty."""
    drawn = random.Random(seed)

    def caption():
        return " ".join(drawn.choices("abcdef", k=drawn.choice([0, 1, 4, 6, 8, 9])))

    predictions = [caption() for _ in range(pictures)]
    return predictions, [[caption() for _ in range(drawn.randint(1, 4))] for _ in range(pictures)]


@pytest.mark.parametrize(
    ("prediction", "references", "errors", "words"),
    [
        ("a red cat", ["a red cat"], 0, 3),
        ("a red cat", ["a blue cat"], 1, 3),
        ("red cat", ["a red cat"], 1, 3),
        ("a big red cat", ["a red cat"], 1, 3),
        ("a red cat", ["the dog", "a red car", "a red cat"], 0, 3),
        ("a b", ["a", "a b c d"], 2, 4),
        ("a b x", ["a b", "a b c d"], 2, 4),
        ("a b x", ["a b c d", "a b"], 2, 4),
        ("", ["a red cat"], 3, 3),
        ("a red cat", [""], 3, 0),
        ("", [""], 0, 0),
        ("A red, cat!", ["a red cat"], 0, 3),
    ],
)
def test_word_errors_by_hand(prediction, references, errors, words):
    assert word_errors([prediction], [references]).tolist() == [[errors, words]]


def test_wer_divides_the_sum_of_errors_by_the_sum_of_words():
    predictions = ["a b x", "red cat", "yes"]
    references = [["a b", "a b c d"], ["a red cat"], ["yes"]]
    assert caption_metrics(predictions, references)["wer"] == pytest.approx((2 + 1 + 0) / (4 + 3 + 1))


def test_wer_can_exceed_one():
    assert caption_metrics(["a b c d e"], [["x y"]])["wer"] == pytest.approx(5 / 2)


@pytest.mark.parametrize(
    ("prediction", "references", "best"),
    [
        ("a b c d", ["a c d e f"], 2 * 3 / (4 + 5)),
        ("a b c d", ["x", "a c d e f"], 2 * 3 / (4 + 5)),
        ("d c b a", ["a b c d"], 2 * 1 / (4 + 4)),
        ("a red cat", ["a red cat"], 1),
        ("", ["a red cat"], 0),
        (KOREAN, [KOREAN], 1),
        (KOREAN, ["빨간 개가 잔다"], 1 / 3),
    ],
)
def test_rouge_l_by_hand(prediction, references, best):
    assert rouge_l([prediction], [references]) == pytest.approx([best])


@pytest.mark.parametrize(
    ("prediction", "same"),
    [("A  Red, cat.", True), ("a red-cat", True), (" a red cat\n", True), ("a red cats", False), ("red cat", False)],
)
def test_exact_match_ignores_case_punctuation_and_spaces(prediction, same):
    assert exact_matches([prediction], [["something else", "a red cat"]]).tolist() == [same]


def test_normalize_keeps_letters_of_every_language():
    assert normalize(f" {KOREAN}!  ÉTÉ, 3½ ") == f"{KOREAN} été 3½"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ａ　ｃａｔ，１", "a cat 1"),
        ("ﬁve ﬂags", "five flags"),
        ("\ufedb\ufee0\ufe90", "\u0643\u0644\u0628"),
        ("\u0643\u0640\u0640\u0644\u0628", "\u0643\u0644\u0628"),
        ("ｶﾞｽ", "ガス"),
        ("it’s it\u02bcs it`s it\u00b4s", "it's it's it's it's"),
        ("t\u2011shirt t\u2212shirt t–shirt", "t-shirt t-shirt t-shirt"),
        ("five\u00a0cats\u2800sit\u202fthere", "five cats sit there"),
        ("STRASSE İstanbul", "Straße istanbul"),
        ("a\u202b red\ufeff but\u00adter\u200bfly\u200f \u2764\ufe0f", "a red butterfly \u2764"),
        ("a dog\u200d but\u200cterfly", "a dog butterfly"),
    ],
)
def test_what_looks_the_same_scores_the_same(one, other):
    assert normalize(one) == normalize(other)
    assert caption_metrics([one, "so"], [[other], ["so"]])["wer"] == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("👍🏽", "👍"),
        ("می\u200cخواهم", "میخواهم"),
        ("👩\u200d🚒", "👩🚒"),
        ("ı", "i"),
        ("а", "a"),
        ("3½", "31⁄2"),
        ("m²", "m2"),
    ],
)
def test_what_looks_different_stays_different(one, other):
    assert normalize(one) != normalize(other)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't!", ["don", "t"]),
        ("¿Qué? «Un gato»", ["qué", "un", "gato"]),
        (f"{ARABIC}، قطة؟", [*ARABIC.split(), "قطة"]),
        ("一只猫，坐着。", list("一只猫坐着")),
        ("ネコがTシャツ", ["ネ", "コ", "が", "t", "シ", "ャ", "ツ"]),
        ("แมวดำ 2 ที่", [*"แมวดำ", "2", "ที่"]),
        ("人々々は", list("人々々は")),
        (KOREAN, KOREAN.split()),
        ("cafe\u0301", ["caf\u00e9"]),
        ("".join(map(chr, (0x1107, 0x1161, 0x11AF))), ["발"]),
        ("a\u3000cat\xa0\tsits\n", ["a", "cat", "sits"]),
        ("a 🐱 👩‍🚀❤️!", ["a", "🐱", "👩‍🚀❤"]),
        ("5 + 3 = $8", ["5", "+", "3", "=", "$8"]),
        (" ?! … — ", []),
        ("", []),
    ],
)
def test_white_space_and_punctuation_separate_words(text, words):
    assert normalize(text).split() == words
    assert normalize(normalize(text)) == normalize(text)


@pytest.mark.parametrize("text", [ARABIC, CHINESE, f"{KOREAN} 🐱", "🐱 🐶 🐭 🐹"])
def test_every_script_is_perfect_against_itself(text):
    found = caption_metrics([text, "a red dog sits down"], [[text.upper()], ["A red dog: sits down."]])
    assert found == pytest.approx({"wer": 0, "rouge_l": 1, "bleu_4": 1, "cider_d": 10, "exact_match": 1})


def test_chinese_is_counted_by_characters_with_spaces_or_without():
    for said in (CHINESE, " ".join(CHINESE)):
        assert word_errors([said], [[CHINESE[:-1]]]).tolist() == [[1, len(CHINESE) - 1]]
        assert exact_matches([said], [[CHINESE]]).all()


@pytest.mark.parametrize(
    ("prediction", "reference", "wer", "exact"),
    [("", "a red cat sits", 1, 0), ("a red cat sits", "?!", 4, 0), ("  ", "。", 0, 1)],
)
def test_texts_without_words_are_scored(prediction, reference, wer, exact):
    found = caption_metrics([prediction], [[reference]])
    assert found == {"wer": wer, "rouge_l": 0, "bleu_4": 0, "cider_d": 0, "exact_match": exact}


def test_one_picture_is_scored_by_all_metrics_but_cider_d():
    found = score(["a red cat sits"], [["a red cat sits", "a cat"]])
    values = {"wer": 0, "rouge_l": 1, "bleu_4": 1, "cider_d": 0}
    for name, value in values.items():
        assert found[name] == pytest.approx({"value": value, "low": value, "high": value})
    low, high = wilson_interval(1, 1)
    assert found["exact_match"] == {"value": 1, "low": low, "high": high}


def test_scores_are_those_of_the_whole_set():
    found = caption_metrics(["a b c d", "x y z"], [["a b c d"], ["k l m"]])
    assert {name: found[name] for name in ("wer", "rouge_l", "exact_match")} == {
        "wer": 3 / 7,
        "rouge_l": 0.5,
        "exact_match": 0.5,
    }
    assert found["cider_d"] == pytest.approx(5)
    # 4 of 7 words, 3 of 5 pairs, 2 of 3 triples and 1 of 1 fours, none longer or shorter than the references
    assert found["bleu_4"] == pytest.approx((4 / 7 * 3 / 5 * 2 / 3 * 1) ** 0.25)


def test_bleu_counts_by_hand():
    counts = bleu_counts(["a a cat sits", ""], [["a cat sits down here", "a cat"], ["a dog"]])
    assert counts.tolist() == [[4, 5, 3, 2, 1, 0, 4, 3, 2, 1], [0, 2, 0, 0, 0, 0, 0, 0, 0, 0]]


def test_bleu_takes_the_words_as_they_are():
    assert bleu_counts(["costs $8 or a+b"], [["costs $8"]]).tolist() == [[4, 2, 2, 1, 0, 0, 4, 3, 2, 1]]


def test_a_perfect_bleu_is_one_and_never_more():
    found = score(SAID, [[text] for text in SAID])["bleu_4"]
    assert found == pytest.approx({"value": 1, "low": 1, "high": 1})
    assert max(found.values()) <= 1


@pytest.mark.parametrize("seed", range(3))
def test_bleu_is_sacrebleus(seed):
    predictions, references = corpus(seed, pictures=14 * seed + 1)
    streams = list(zip_longest(*references))  # one list a reference; None where a picture has no more
    expected = sacrebleu.corpus_bleu(predictions, streams, tokenize="none", force=True).score / 100
    assert caption_metrics(predictions, references)["bleu_4"] == pytest.approx(expected, abs=1e-12)


def test_bleu_smooths_like_sacrebleu_where_no_four_words_match():
    predictions, references = ["a red cat here", "one dog and a bird"], [["a red dog here"], ["the dog and a cow"]]
    expected = sacrebleu.corpus_bleu(predictions, [["a red dog here", "the dog and a cow"]], tokenize="none").score
    assert expected > 0
    assert caption_metrics(predictions, references)["bleu_4"] == pytest.approx(expected / 100)


@pytest.mark.parametrize("seed", range(2))
def test_word_errors_are_jiwers(seed):
    predictions, references = corpus(seed)
    nearest = []
    for said, group in zip(predictions, references, strict=True):
        # the fewest errors per word; then the longer
        rates = [(jiwer.wer(text, said), -len(text.split()), text) for text in group]
        nearest.append(min(rates)[2])
    expected = jiwer.wer(nearest, predictions)
    assert caption_metrics(predictions, references)["wer"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(2))
def test_rouge_l_is_rouge_scores(seed):
    predictions, references = corpus(seed)
    scorer = rouge_scorer.RougeScorer(["rougeL"])  # its own words: the captions are Latin letters
    pairs = zip(predictions, references, strict=True)
    expected = [scorer.score_multi(group, said)["rougeL"].fmeasure for said, group in pairs]
    assert rouge_l(predictions, references) == pytest.approx(expected, abs=1e-12)
    assert caption_metrics(predictions, references)["rouge_l"] == pytest.approx(np.mean(expected))


def test_cider_d_is_that_of_the_normalised_words():
    loud = cider_d(["A red cat!", "Two  dogs."], [["a red, cat", "A cat"], ["TWO dogs"]])
    assert loud == pytest.approx(cider.per_picture(["a red cat", "two dogs"], [["a red cat", "a cat"], ["two dogs"]]))
    assert loud.min() > 0


@pytest.mark.parametrize(
    ("predictions", "references", "told"),
    [
        (["a", "b"], [["a"]], r"2.*1"),
        ([], [], r"0 predictions"),
        (["a", None], [["a"], ["b"]], r"1.*None"),
        (["a"], [["a", None]], r"0.*None"),
        (["a"], ["a"], r"0.*'a'"),
        (["a"], [[]], r"0"),
        (["a"], [None], r"0.*None"),
        (None, [["a"]], r"predictions.*None"),
        (["a"], None, r"references.*None"),
        ("a", [["a"]], r"predictions.*'a'"),
    ],
)
def test_unusable_captions_raise_and_are_named(predictions, references, told):
    with pytest.raises(ValueError, match=told):
        caption_metrics(predictions, references)


@pytest.mark.parametrize("statistic", [word_errors, rouge_l, bleu_counts, cider_d, exact_matches])
def test_each_statistic_takes_raw_texts_and_checks_them(statistic):
    assert (
        statistic(["A cat!", "dog"], [["a cat"], ["Dog."]]).tolist()
        == statistic(["a cat", "dog"], [["a cat"], ["dog"]]).tolist()
    )
    with pytest.raises(ValueError, match=r"1.*None"):
        statistic(["a", None], [["a"], ["b"]])


@pytest.mark.parametrize(("minus", "times"), [(None, 40 + 50), (SAID[::-1], 2 * 40 + 50)])
def test_all_metrics_normalise_each_text_once(monkeypatch, minus, times):
    calls = []
    monkeypatch.setattr(words, "normalize", lambda text: calls.append(text) or normalize(text))
    assert score(SAID, REFERENCES, minus=minus)
    assert len(calls) == times
    calls.clear()
    assert caption_metrics(SAID, REFERENCES)
    assert len(calls) == 40 + 50


def test_a_row_of_the_table_is_all_that_a_new_metric_takes(monkeypatch):
    """Scores with intervals, figures, the report, the model card and the README's table follow the table."""

    def missing(predictions, references):
        return np.array([6.0 - len(text.split()) for text, _ in zip(*normalized(predictions, references), strict=True)])

    monkeypatch.setitem(METRICS, "missing", Metric("words missing", "lengths", "lower", 0, 6, missing, mean))
    mean_missing = np.mean([6 - len(text.split()) for text in SAID])
    assert caption_metrics(SAID, REFERENCES)["missing"] == mean_missing
    trained, shorter = score(SAID, REFERENCES), score(SAID, REFERENCES, minus=["one"] * 40)
    assert trained["missing"]["low"] < trained["missing"]["value"] == mean_missing < trained["missing"]["high"]
    assert shorter["missing"]["value"] == mean_missing - 5

    ax = plot_scores({"trained": trained}).axes[-1]
    assert ax.get_title(loc="left") + ax.get_title() == "missing\nlower is better"
    assert ax.get_xticks()[-1] == 6

    evaluation = {"dataset": {"name": "some/set", "split": "test", "pictures": 40}, "systems": {"trained": trained}}
    card = model_card("me/captioner", None, evaluation=evaluation)
    assert f"| words missing | {mean_missing:.3f} |" in card.text
    assert ("lengths", "words missing") in {(r.metric_type, r.metric_name) for r in card.data.eval_results}
    history = [{"step": 1, "eval_wer": 0.5, "eval_missing": 2.0}, {"step": 1, "train_runtime": 1.0}]
    assert validation_scores(history) == {"wer": 0.5, "missing": 2.0}

    assert "missing (words missing): lower is better, 0 is perfect" in report.how_to_read({"trained": trained})[1]
    assert list(report.score_rows({"trained": trained})[0])[-1] == "missing"

    results = json.loads((ROOT / "docs" / "results.json").read_text(encoding="utf-8"))
    for scores in results["fresh"]["systems"].values():
        scores["missing"] = {"value": 0.125, "low": 0.0, "high": 1.0}
    header, _, first, *_ = blocks(results)["scores"].splitlines()
    assert header.endswith("| words missing |")
    assert first.endswith("| 0.125 |")


def test_alignment_counts_each_kind_of_error():
    found = align_words("a red cat with wings", "A blue cat with two")
    assert (found.hits, found.substitutions, found.deletions, found.insertions) == (3, 2, 0, 0)


def test_a_score_is_each_metric_with_its_interval():
    found = score(SAID, REFERENCES)
    assert {name: entry["value"] for name, entry in found.items()} == caption_metrics(SAID, REFERENCES)
    for entry in found.values():
        assert entry["low"] < entry["value"] < entry["high"]
    for name in found:
        row = METRICS[name]
        statistic = row.per_picture(SAID, REFERENCES)
        interval = (
            wilson_interval(statistic.sum(), len(SAID))
            if row.of_sums is share
            else bootstrap_interval(statistic, of_sums=row.of_sums)
        )
        assert (found[name]["low"], found[name]["high"]) == interval
    assert bootstrap_interval(word_errors(SAID, REFERENCES)) == (found["wer"]["low"], found["wer"]["high"])


def test_a_difference_is_one_score_minus_the_other():
    worse = ["a cat"] * len(SAID)
    found, ours, theirs = score(SAID, REFERENCES, minus=worse), score(SAID, REFERENCES), score(worse, REFERENCES)
    for name, entry in found.items():
        assert entry["value"] == ours[name]["value"] - theirs[name]["value"]
        assert entry["low"] < entry["value"] < entry["high"]
    assert found["wer"]["high"] < 0 < found["rouge_l"]["low"]


def test_a_system_does_not_differ_from_itself():
    found = score(SAID, REFERENCES, minus=list(SAID))
    exact = found.pop("exact_match")
    for entry in found.values():
        assert entry == {"value": 0, "low": 0, "high": 0}
    assert exact["low"] < exact["value"] == 0 < exact["high"]
    assert exact["p"] == 1


@pytest.mark.parametrize(("caption", "kind"), TELLING.items())
def test_each_kind_of_fact_is_counted_per_caption(caption, kind):
    found = caption_metrics([caption, next(iter(TELLING))], [["a"], ["a"]], columns(2))
    expected = {"right": 1.0 if kind == "right" else 0.5, "wrong": 0, "left_out": 0, "invented": 0}
    if kind in FACTS[1:]:
        expected[kind] = 0.5
    assert {name: found[name] for name in FACTS} == expected
    assert list(found) == list(METRICS)
    assert list(found)[:4] == FACTS


@pytest.mark.parametrize("attributes", [None, {}, {"color": ["red"] * 40, "body": ["round"] * 40}])
def test_facts_are_counted_only_where_all_attributes_are_known(attributes):
    for found in (caption_metrics(SAID, REFERENCES, attributes), score(SAID, REFERENCES, attributes=attributes)):
        assert list(found) == [name for name, row in METRICS.items() if row.needs == "references"]
    assert not set(FACTS) & set(found)


def test_attributes_of_other_pictures_are_refused():
    with pytest.raises(ValueError, match=r"40 predictions.*attributes"):
        score(SAID, REFERENCES, attributes=columns(39))


def test_facts_are_read_from_the_caption_as_it_was_written():
    right = next(iter(TELLING))
    for caption, expected in ((right.upper(), 1), (right.replace("a red", "a_red"), 0)):
        assert caption_metrics([caption], [[right]], columns(1))["right"] == expected
        assert exact_matches([caption], [[right]]).all()


def test_captions_right_have_the_intervals_of_shares():
    captions = [*TELLING] * 4
    references = [[text] for text in captions]
    found = score(captions, references, attributes=columns(20))
    low, high = wilson_interval(4, 20)
    assert found["right"] == {"value": 0.2, "low": low, "high": high}
    assert found["wrong"]["low"] < found["wrong"]["value"] == 0.2 < found["wrong"]["high"]

    same, perfect = np.array([*TELLING.values()] * 4) == "right", np.ones(20, dtype=bool)
    low, high, p = paired_difference(perfect, same)
    better = score([captions[0]] * 20, references, attributes=columns(20), minus=captions)
    assert better["right"] == pytest.approx({"value": 0.8, "low": low, "high": high, "p": p})
    assert low > 0.5
    assert p < 0.001
    assert "p" in better["exact_match"]
    assert not {"p"} & {*better["wrong"], *better["wer"]}


def test_a_difference_needs_as_many_captions():
    with pytest.raises(ValueError, match=r"39.*40"):
        score(SAID, REFERENCES, minus=SAID[1:])


def test_decoding_skips_the_padding_of_ragged_batches(processor):
    ids = processor.tokenizer(["a red cat", "a dog"], padding=True).input_ids
    ragged = np.array(ids)
    ragged[ragged == 0] = -100
    assert (ragged == -100).any()
    assert decode(processor, ragged) == ["a red cat", "a dog"]


def test_compute_metrics_scores_generated_ids_against_all_captions(processor):
    references = [["a blue dog", "a red cat"], ["a dog", "it is a dog"]]
    ids = np.array(processor.tokenizer(["a red cat", "a cat"], padding=True).input_ids)
    found = make_compute_metrics(processor, references)(EvalPrediction(ids, ids))
    assert found == caption_metrics(["a red cat", "a cat"], references)
    assert found["wer"] == pytest.approx(1 / 5)


def test_compute_metrics_counts_facts_where_there_are_attributes(processor):
    ids = np.array(processor.tokenizer(list(TELLING), padding=True).input_ids)
    ids[ids == 0] = -100
    references, attributes = [["a red cat"]] * len(ids), columns(len(ids))
    found = make_compute_metrics(processor, references, attributes)(EvalPrediction(ids, ids))
    assert found == caption_metrics(decode(processor, ids), references, attributes)
    assert found["wrong"] == 1 / len(ids)


def test_compute_metrics_refuses_another_number_of_pictures(processor):
    ids = np.array(processor.tokenizer(["a red cat"]).input_ids)
    with pytest.raises(ValueError, match=r"1.*2"):
        make_compute_metrics(processor, [["a cat"], ["a dog"]])(EvalPrediction(ids, ids))


def test_evaluates_metric_equals_ours_and_jiwers():
    predictions, references = ["a red cat", "a dog with wings"], [["a blue cat"], ["the dog with horns"]]
    metric = load_wer()
    assert metric.compute(predictions=predictions, references=references)["wer"] == pytest.approx(
        jiwer.wer([group[0] for group in references], predictions)
    )
    several = [["a blue cat", "a red cat"], ["the dog with horns", "a dog"]]
    assert metric.compute(predictions=predictions, references=several) == {
        "wer": caption_metrics(predictions, several)["wer"]
    }


def test_evaluates_metric_does_not_see_what_ours_picks(monkeypatch):
    """What compares the two has to show a mistake in picking the nearest reference."""
    right = caption_metrics(*corpus(0))["wer"]

    def first_references(predictions, references):
        pairs = zip(predictions, references, strict=True)
        return ((0, align_words(group[0], prediction)) for prediction, group in pairs)

    monkeypatch.setattr("helpers.metrics.scores.nearest_alignments", first_references)
    predictions, references = corpus(0)
    assert caption_metrics(predictions, references)["wer"] > 1.1 * right
    assert load_wer().compute(predictions=predictions, references=references)["wer"] == pytest.approx(right)
