"""The report is one page that holds everything it shows."""

import base64
import re
from html import escape

import pytest

from helpers.plotting import plot_loss
from helpers.report import BEFORE_USE, about, how_to_read, score_rows, write_report
from helpers.settings import Settings


def test_a_page_holds_texts_tables_and_figures(artifacts):
    figure = plot_loss([2.0, 1.0], title='Loss <falls> "fast"')
    rows = [{"a & b": "x<y", "value": 0.12345}, {"value": 1, "a & b": "größer"}]
    parts = {"What & why": ["a < b"], "Rows": [rows, []], "Seen": [figure]}
    path = write_report("artifacts/report.html", "Mine & yours", parts)
    assert path == artifacts / "report.html"
    page = path.read_text(encoding="utf-8")
    assert "<title>Mine &amp; yours</title>" in page
    assert "<h2>What &amp; why</h2>\n<p>a &lt; b</p>" in page
    assert '<meta charset="utf-8">' in page
    assert "<tr><th>a &amp; b</th><th>value</th></tr>" in page
    assert "<tr><td>x&lt;y</td><td>0.123</td></tr>\n<tr><td>größer</td><td>1</td></tr>" in page
    assert "<p>None.</p>" in page
    [(content, alt)] = re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)">', page)
    assert base64.b64decode(content).startswith(b"\x89PNG")
    assert alt == escape(figure.alt)
    assert "http" not in page
    assert page.endswith(f"<p>{BEFORE_USE}</p>\n</html>\n")


def test_an_old_page_is_replaced_as_a_whole(artifacts):
    for title in ("first", "second"):
        path = write_report("artifacts/report.html", title, {})
    assert "second" in path.read_text(encoding="utf-8")
    assert [file.name for file in artifacts.iterdir()] == ["report.html"]


@pytest.mark.parametrize("value", [0.5, 1.25])
def test_scores_stand_with_their_intervals(value):
    systems = {"trained": {"wer": {"value": value, "low": 0.1, "high": 2.0}}}
    assert score_rows(systems) == [{"system": "trained", "wer": f"{value:.3f} (0.100 to 2.000)"}]


def test_how_to_read_the_scores_that_are_there_and_no_others():
    systems, scores = how_to_read({"base": {"wer": {}}, "somebody's": {"wer": {}, "exact_match": {}}, "trained": {}})
    assert systems == "base: the model before this training; trained: the model after it."
    assert scores == (
        "With 95 % intervals. wer (word error rate): lower is better, 0 is perfect. "
        "exact_match (exact match): higher is better, 1 is perfect."
    )


def test_a_page_says_what_it_is_about(dataset):
    settings = Settings(checkpoint="models/git-tiny", dataset="/home/me/birds.csv")
    said = about(settings, dataset)
    assert said.startswith("models/git-tiny fine-tuned on birds.csv, 20")
    assert said.endswith("Pictures: 8 for train, 4 for validation, 4 for test.")
