"""The report of the protocol personal: accuracy over k per row, apart from other results."""

import re

import pandas as pd

from dashboards.personal import section
from dashboards.report import write_report
from dashboards.results import read_results


def test_accuracy_over_k_per_row_with_its_change(make_folder, predict, run_record) -> None:
    people = {"all": [f"p{i:02d}" for i in range(12)]}
    by_k = [predict(rows=(row,), scenarios=people, folds=12, protocol="personal-0") for row in ("ecg", "eda")]
    more = [
        table.assign(protocol="personal-4", p_pain=table.p_pain.where(table.fold % 2 == 0, table.y_true)) for table in by_k
    ]
    run = run_record(
        protocol="personal",
        experiment={"name": "mine", "protocol": {"name": "personal", "folds": 10}},
        scenarios={"all": {"subjects": 12, "folds": 12, "not_the_papers": "trials of the tested people train"}},
    )
    folder = make_folder(pd.concat([*by_k, *more]), run=run)
    (found,) = section(read_results(folder))
    assert (found["ks"], found["people"], sorted(found["rows"])) == ([0, 4], 12, ["ecg", "eda"])
    none, four = found["rows"]["ecg"]
    assert none["change"] is None
    assert four["value"]["mean"] > none["value"]["mean"]
    assert abs(four["change"]["mean"] - (four["value"]["mean"] - none["value"]["mean"])) < 1e-9
    assert four["change"]["low"] < four["change"]["mean"] < four["change"]["high"]
    text = write_report(folder).read_text()
    assert "With a person's own calibration trials" in text
    assert re.search(r"k = 4</th>\s*<th[^>]*>change", text)
    assert "compare none of them with results where nothing is known" in text
