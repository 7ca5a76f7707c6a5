import base64
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dashboards.report import write_report
from dashboards.results import read_results
from grid.experiment.cells import PAPER_ROWS
from grid.results.tables import table2

pytestmark = pytest.mark.slow

MakeFolder = Callable[..., Path]
Predict = Callable[..., pd.DataFrame]
RunRecord = Callable[..., dict[str, Any]]
SUBJECTS = [f"071309_{'mw'[i % 2]}_{20 + 4 * i}" for i in range(10)]
FEW = {"all87": SUBJECTS, "expressive67": SUBJECTS[:6]}


class Page(HTMLParser):
    """Text, tags, ids and addresses of a page; raises for tags that are closed out of order."""

    VOID = frozenset({"meta", "br", "link", "img", "input"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.addresses += [value for name, value in attrs if name in ("href", "src", "xlink:href") and value]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] not in (["script"], ["style"]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def page_of(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


def test_full_grid_in_one_self_contained_page(make_folder: MakeFolder, predict: Predict) -> None:
    folder = make_folder(predict())
    page = page_of(folder)
    assert all(f"Table {n}" in page.text for n in (2, 3))
    assert all(row in page.text for row in PAPER_ROWS)
    assert "82.69" in page.text  # the paper's EDA accuracy
    inside = [address[1:] for address in page.addresses if address.startswith("#")]
    assert all(address.startswith(("#", "data:image/png", "data:text/csv", "tripod-ai.md")) for address in page.addresses)
    assert page.tags.count("script") == 1
    assert len(page.ids) == len(set(page.ids))
    assert set(inside) <= set(page.ids)
    assert (folder / "figure3.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "figure3.svg").read_text()
    assert not (folder / "table2.csv").exists()  # the run writes it, with the other tables
    results = read_results(folder)
    table = table2(results.scores, results.predictions, results.marks, results.run).set_index(["modality", "scenario"])
    assert len(table) == 18  # the paper's sixteen, and frame:mean
    assert table.loc[("frame:mean", "all87"), "n_trials"] == table.loc[("video", "all87"), "n_trials"] == 3480
    assert table.loc[("frame:mean", "all87"), "accuracy_mean"] > table.loc[("frame", "all87"), "accuracy_mean"]
    assert "160 of 160 cells" in page.text
    assert "video was more accurate than frame:mean by" in page.text
    assert "Synthetic" not in page.text
    assert "random no" in page.text  # a plain yes or no for a truth value
    assert "eda+video was more accurate than video by" in page.text  # a pair that the experiment names
    assert "eda was more accurate than video" not in page.text  # any other pair is a number
    assert "eda was more accurate than always naming the more frequent class by" in page.text
    assert "the baselines were not run" in page.text
    assert "expressive67 are also younger" in page.text


def test_the_page_shows_the_numbers_of_the_predictions(
    make_folder: MakeFolder, predict: Predict, run_record: RunRecord
) -> None:
    predictions = predict(rows=("eda",), scenarios={"all87": FEW["all87"]}, folds=5)
    right = (predictions["p_pain"] > 0.5) == (predictions["y_true"] == 1)
    by_fold = 100 * right.groupby(predictions["fold"]).mean()
    run = run_record(scenarios={"all87": {"subjects": 10, "folds": 5, "not_the_papers": ""}})
    page = page_of(make_folder(predictions, run=run))
    assert f"{by_fold.mean():.2f} ± {by_fold.std():.2f}" in page.text
    assert f"{by_fold.mean() - 82.69:+.2f}".replace("-", "−") in page.text


def test_the_same_folder_gives_the_same_page(make_folder: MakeFolder, predict: Predict) -> None:
    folder = make_folder(predict(rows=("frame", "eda"), scenarios=FEW))
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first


def test_warnings_that_nobody_may_miss(make_folder: MakeFolder, predict: Predict, run_record: RunRecord) -> None:
    run = run_record(trunk={"name": "a", "random": True}, signals={"normalise": "subject"}, notes=["Room was hot."])
    run["data"]["synthetic"] = True
    wanted = [("video", "all87", "sample", fold) for fold in range(10)]
    predictions = predict(rows=("video",), scenarios={"all87": FEW["all87"]}, folds=9, protocol="sample")
    failures = pd.DataFrame([("video", "all87", "sample", 9, "failed", "out of memory")])
    failures.columns = pd.Index(["modality", "scenario", "protocol", "fold", "status", "reason"])
    text = page_of(make_folder(predictions, run=run, cells=wanted, failures=failures)).text
    head = text[: text.index("Research software, not a medical device")]
    for sentence in (
        "say nothing about pain",
        "Identity leaks",
        "Transductive scaling",
        "Random face network",
        "Room was hot.",
    ):
        assert sentence in head
    assert "1 cell of 10 without scores" in head
    assert "9 of 10" in text
    assert "out of memory" in text


def test_scores_that_differ_from_the_predictions_are_told(make_folder: MakeFolder, predict: Predict) -> None:
    folder = make_folder(predict(rows=("eda",), scenarios={"all87": FEW["all87"]}, folds=5))
    scores = pd.read_csv(folder / "scores.csv")
    scores.loc[2, "accuracy"] = 0.999
    scores.to_csv(folder / "scores.csv", index=False)
    assert "differs from the predictions in 1 cell" in page_of(folder).text


def test_nothing_from_outside_becomes_markup(make_folder: MakeFolder, predict: Predict, run_record: RunRecord) -> None:
    evil = "<script>alert('x')</script>$\\frac{1}{&\"'><b>"
    scenarios = {evil: [f"{evil}{i}" for i in range(4)]}
    run = run_record(
        notes=[evil], command=evil, hardware={evil: evil}, stages=[{"stage": evil, "count": 1}], scenarios={evil: {evil: 1}}
    )
    run["data"] |= {"title": evil, "class_names": [evil, f"{evil}2"]}
    run["experiment"] = {"name": evil}
    quarantine = pd.DataFrame([[evil] * 5], columns=["trial_id", "subject", "part", "file", "reason"])
    failures = pd.DataFrame([["eda", evil, "subject", 0, evil, evil]])
    failures.columns = pd.Index(["modality", "scenario", "protocol", "fold", "status", "reason"])
    curves = pd.DataFrame({"stage": evil, "scenario": evil, "fold": 0, "epoch": [0, 1], "loss": 0.5, "accuracy": [0.5, 0.6]})
    predictions = predict(rows=("eda", evil), scenarios=scenarios, folds=2)
    folder = make_folder(predictions, run=run, quarantine=quarantine, failures=failures, curves=curves)
    html = write_report(folder).read_text(encoding="utf-8")
    page = Page(html)
    assert page.tags.count("script") == 1  # the page's own, and the policy lets no other run
    digest = base64.b64encode(hashlib.sha256(html.split("<script>")[1].split("</script>")[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    assert "b" not in page.tags
    assert evil in page.text


def test_other_data_sets_have_their_own_class_names_and_no_published_numbers(
    make_folder: MakeFolder, predict: Predict, run_record: RunRecord
) -> None:
    run = run_record(data={"name": "stress-predict", "class_names": ["rest", "stress"], "synthetic": False})
    predictions = predict(rows=("eda",), scenarios={"all": [f"S{i:02d}" for i in range(12)]}, folds=4)
    uneven = predictions[(predictions["y_true"] == 1) | (predictions.index % 3 > 0)]
    text = page_of(make_folder(uneven, run=run)).text
    assert "tell rest from stress on stress-predict" in text
    assert "Table 3" not in text
    assert "the paper's folds" not in text
    assert "data set tells neither sex nor age" in text
    assert f"always naming the more frequent class: {100 * uneven['y_true'].mean():.1f} %" in text
    assert "(not due)" in text


def test_a_report_on_stress_speaks_of_stress_and_says_whose_data_they_are(
    make_folder: MakeFolder, predict: Predict, run_record: RunRecord
) -> None:
    data = {"name": "stress-predict", "class_names": ["rest", "stress"], "synthetic": False, "pain": False}
    data |= {
        "subjects": 12,
        "trials": 480,
        "source": "Somebody, “Stress at a desk”, 2022.",
        "trial": "a window of 60 s inside one phase of the session",
    }
    found = predict(rows=("eda",), scenarios={"all": [f"S{i:02d}" for i in range(12)]}, folds=4)
    defects = [
        ("", f"S{n}", "index", f"/d/S{n}", f"/d/S{n}/tags: found tags at {n}, 9 s, expected 7 of them", "") for n in (90, 91)
    ]
    quarantine = pd.DataFrame(defects, columns=["trial_id", "subject", "part", "file", "reason", "channels"])
    facts = {"all": {"subjects": 12, "folds": 4, "not_the_papers": "the data are not BioVid Part A"}}
    folder = make_folder(found, run=run_record(data=data, scenarios=facts), quarantine=quarantine)
    text = page_of(folder).text
    assert (
        "Found: 14 people. Left out altogether: 2 (S90, S91; 2 × found tags at N … s, expected 7 of them): no number here "
        "speaks of "
        "such people. Tested: 12 people, 480 trials (rest 240, stress 240). A trial is a window of 60 s inside one phase of "
        "the session."
    ) in text
    assert "Data: Somebody, “Stress at a desk”, 2022." in text
    allowed = (
        "No pain in these data",
        "nobody was in pain",
        "how well pain is recognised",
        "acute pain recognition",
        "pain no ",
    )
    for words in allowed:
        text = text.replace(words, "")
    assert "pain" not in text.lower().replace("pain-grid", "")
    checklist = (folder / "tripod-ai.md").read_text()
    assert "Somebody, “Stress at a desk”, 2022." in checklist
    assert "pain" not in checklist.replace("pain-grid", "").replace("painmodels", "")


def test_leave_one_subject_out_with_folds_of_one_class(make_folder: MakeFolder, predict: Predict) -> None:
    predictions = predict(rows=("eda", "ecg"), scenarios={"all87": FEW["all87"]}, folds=10, protocol="loso")
    one_class = predictions[~((predictions["fold"] == 3) & (predictions["y_true"] == 1))]
    text = page_of(make_folder(one_class)).text
    assert "one subject left out at a time" in text
    assert "nan" not in text.lower().split()
    assert "AUROC" in text


def test_two_protocols_are_kept_apart(make_folder: MakeFolder, predict: Predict) -> None:
    both = [
        predict(rows=("eda",), scenarios={"all87": FEW["all87"]}, folds=5, protocol=name) for name in ("subject", "sample")
    ]
    text = page_of(make_folder(pd.concat(both, ignore_index=True))).text
    assert "all87, protocol subject" in text
    assert "all87, protocol sample" in text


@pytest.mark.parametrize(
    "run", [{}, {"data": None, "trunk": "x", "stages": None, "notes": "x", "scenarios": [], "experiment": 3}]
)
def test_a_bare_run_record_is_enough(make_folder: MakeFolder, predict: Predict, run: dict[str, Any]) -> None:
    text = page_of(make_folder(predict(rows=("eda",), scenarios=FEW), run=run)).text
    assert "not recorded" in text
    assert "Origin not recorded" in text


def test_a_grid_in_which_every_cell_failed(make_folder: MakeFolder, predict: Predict) -> None:
    folder = make_folder(predict(rows=("eda",)).head(0), cells=[("eda", "all87", "subject", 0)])
    text = page_of(folder).text
    assert "No cell has predictions" in text
    assert "1 cell of 1 without scores" in text


def test_quarantine_is_counted_by_reason(make_folder: MakeFolder, predict: Predict) -> None:
    rows = [(f"t{i}", "s", "video", f"/v/{i}.mp4", "no face") for i in range(700)] + [
        ("u", "s", "signals", "/b.csv", "too short")
    ]
    quarantine = pd.DataFrame(rows, columns=["trial_id", "subject", "part", "file", "reason"])
    text = page_of(make_folder(predict(rows=("eda",), scenarios=FEW), quarantine=quarantine)).text
    assert text.index("700 × video: no face") < text.index("1 × signals: too short")
    assert "the first 500" in text
