"""Whether the order of trials alone tells their class: then a network may have learned the order instead of the response.

For people held out, the class is read from a table of the others: by the tenth of the session that a trial lies in, and by the
class of the stimulus before it. No recording is used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dashboards.claims import p_text
from dashboards.results import Panel, Results
from dataprep.rounding import rounded
from grid.protocols import shuffled
from grid.results.inference import ALPHA, estimate

PARTS, FOLDS = 10, 10
CHECKS = (("place", "the place in the session, in tenths,"), ("previous", "the class of the trial before"))
NOT_TOLD = (
    "These data do not tell the order of trials in time, so whether the place in the session or the class of the trial before "
    "tell its class was not checked."
)


def order_checks(results: Results, panel: Panel) -> list[dict[str, Any]]:
    """Per check: `what`, `text`, and `clear`: it tells the class of new people better than naming the more frequent class."""
    people = results.folds.loc[results.folds["scenario"] == panel.scenario, "subject"].unique()
    trials = results.trials[results.trials["subject"].isin(people)]
    if trials.empty:
        return []
    if trials["place"].isna().any() or trials["subject"].nunique() < 3:
        return [{"what": "order", "text": NOT_TOLD, "clear": False}]
    last = trials.groupby("subject")["place"].transform("max")
    cues = trials.assign(place=np.ceil(PARTS * trials["place"] / last).astype(int), previous=trials["previous"])
    return [_check(panel, cues, column, words) for column, words in CHECKS]


def _check(panel: Panel, cues: pd.DataFrame, column: str, words: str) -> dict[str, Any]:
    right, majority = read_from_others(cues, column)
    by_person = (right - majority).groupby(cues["subject"]).mean()
    n_train = len(by_person) * (1 - 1 / min(FOLDS, len(by_person)))
    found = estimate(by_person, n_train=n_train)
    alike = not found.se > 0  # the same in everybody: what remains is how many people agree
    p = min(1.0, len(CHECKS) * (2 * 0.5 ** len(by_person) if alike else found.p))
    clear = bool((found.mean if alike else found.low) > 0 and p < ALPHA)
    share, chance = (100 * float(x.groupby(cues["subject"]).mean().mean()) for x in (right, majority))
    text = (
        f"{panel.title}: {words} alone tells the class of {rounded(share, 1)} % of the {len(cues):,} trials of "
        f"{len(by_person)} people, each held out, naming the more frequent class {rounded(chance, 1)} %"
    )
    if clear:
        text += f" ({p_text(p)}, two checks): a row may have learned the order of trials instead of the response to them."
    elif not right.ne(majority).any():
        text += ": the same decisions."
    else:
        text += f" ({p_text(p)}, two checks): that it tells the class cannot be claimed."
    return {"what": column, "text": text, "clear": clear}


def read_from_others(cues: pd.DataFrame, column: str) -> tuple[pd.Series, pd.Series]:
    """Of each trial, 1 if the more frequent class among the other people's trials with its cue is its own, else 0; and the same
    of the more frequent class among all their trials. A cue that the others lack, or a tie, is decided as all their trials."""
    names = shuffled(tuple(cues["subject"].unique()), 0)
    fold = cues["subject"].map({name: i % min(FOLDS, len(names)) for i, name in enumerate(names)})
    called, usual = (pd.Series(0, index=cues.index) for _ in range(2))
    for k in sorted(fold.unique()):
        train, test = cues[fold != k], cues[fold == k]
        often = int(train["y_true"].mean() > 0.5)
        share = test[column].map(train.groupby(column)["y_true"].mean()).fillna(0.5)
        called[test.index] = np.where(share == 0.5, often, share > 0.5).astype(int)
        usual[test.index] = often
    return (called == cues["y_true"]).astype(float), (usual == cues["y_true"]).astype(float)
