"""Table 3: published studies on the same data, with this run's rows after those of their modality."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dashboards import wording
from dashboards.claims import plural, records
from dashboards.results import Results
from grid.results.tables import in_order, paper_table3


def table3(results: Results, table: pd.DataFrame) -> list[dict[str, Any]]:
    """The published studies with this run's rows after those of their modality; empty where no scenario is the paper's."""
    if table["paper_accuracy"].isna().all():
        return []
    mine = table[table["paper_accuracy"].notna()]
    rows = records(paper_table3())
    out: list[dict[str, Any]] = []
    for modality in in_order([row["modality"] for row in rows], ()):
        out += [{**row, "ours": False} for row in rows if row["modality"] == modality]
        for protocol, part in mine[mine["modality"] == modality].groupby("protocol", observed=True):
            accuracy = part.set_index("scenario")["accuracy_mean"]
            ours = {
                "study": "this run, synthetic data" if results.get("data", "synthetic") else "this run",
                "modality": modality,
                "method": wording.protocol_text(str(protocol)),
                "ours": True,
            }
            ours["validation"] = plural(int(part["folds"].max()), "fold")
            out.append(
                {**ours, "accuracy_67": accuracy.get("expressive67", np.nan), "accuracy_87": accuracy.get("all87", np.nan)}
            )
    return out
