"""What the mixed model of trials in persons finds of what was planted: `python tests/benchmarks/mixed.py [--runs 400]`.

People are independent here (no training sides). Bars: mean coverage of the person in the middle 92 to 97 %, no cell below 90;
"people differ" is claimed in at most 6.5 % of runs where they do not. The figures are in grid/DECISIONS.md, section 7.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.special import expit

from grid.results.mixed import mixed

CELLS = (
    *((87, 40, 1.0, 0.8), (67, 40, 0.0, 0.0), (20, 40, 1.5, 0.5), (20, 4, 1.0, 0.8), (20, 4, 0.0, 0.0)),
    *((87, 40, 4.0, 1.0), (20, 40, 4.0, 1.0), (20, 4, 3.2, 1.0), (20, 4, 2.5, 0.0)),  # nearly everything is right
)
"""People, trials of each, log odds of the person in the middle, SD between people."""


def cell(people: int, trials: int, beta: float, sigma: float, *, runs: int) -> tuple[float, float, float, float]:
    """Mean accuracy of the person in the middle and mean sigma as found, coverage, and how often people are said to differ.

    Runs in which nothing is estimated, since every decision is right, are left out.
    """
    rng, rows = np.random.default_rng(0), []
    for _ in range(runs):
        p_S = expit(beta + sigma * rng.normal(size=people))
        found = mixed(rng.binomial(trials, p_S), np.full(people, trials))
        if found:
            rows.append((found.typical, found.sigma, float(found.low <= expit(beta) <= found.high), float(found.p < 0.05)))
    typical, found_sigma, covered, differ = np.mean(rows, axis=0)
    return float(typical), float(found_sigma), float(covered), float(differ)


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400)
    runs = parser.parse_args().runs
    print(
        "| people x trials | middle, true | found | sigma, true | found | coverage, % | people differ, % |\n"
        + "|---" * 7
        + "|"
    )
    for people, trials, beta, sigma in CELLS:
        typical, found, covered, differ = cell(people, trials, beta, sigma, runs=runs)
        line = (f"{people} x {trials}", f"{100 * expit(beta):.1f}", f"{100 * typical:.1f}", f"{sigma:g}", f"{found:.2f}")
        print("| " + " | ".join([*line, f"{100 * covered:.1f}", f"{100 * differ:.1f}"]) + " |", flush=True)


if __name__ == "__main__":
    main()
