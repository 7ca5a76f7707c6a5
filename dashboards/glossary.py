"""The terms of the report, each with its definition, in one block: those that a page uses."""

from __future__ import annotations

from dashboards import marks
from dashboards.results import Results
from grid.results.inference import SIMULATED_PEOPLE
from painmodels.tasks import Task

GRID = (
    ("Trial", "One stimulus, or one stretch without, of one person: what is predicted."),
    (
        "Row",
        "What a model sees and the method that learns from it: eda+video, or eda:rf of another method than the paper's.",
    ),
    ("Baseline", "A rule or a simple learner beside the rows, which rows are compared with; not tested itself."),
    ("Scenario", "Which people are in, and which part of a trial is used, such as all87 and expressive67."),
    ("Protocol", "How people are dealt to training and test, such as one subject left out at a time."),
    ("Fold", "A group of people who are tested together by models that the others trained."),
    ("Partition", "One way to deal the people to folds; a repeat is another partition."),
    (
        "Fit, fit seed",
        "A network or learner that was trained once; the seed decides its initial weights and the order of batches.",
    ),
    ("Cell", "One row in one scenario, fold, partition and fit seed."),
    ("Subject, person", "The same: somebody who was recorded."),
)
STATISTICS = (
    ("SD over folds", "How far the folds' values spread. It is no measure of how sure their mean is."),
    (
        "95 % interval",
        "Made by a rule whose intervals hold the expected value, on a new person, in about 95 of 100 such studies.",
    ),
    (
        "Standard error, correction",
        "How sure a mean over people is; raised since people train the models that others are tested with.",
    ),
    ("Chance", "The best constant guess for the tested trials, such as always naming the more frequent class."),
    ("Trivial rule", "What a row's recordings give without learning much: eda:argmax where it sees the EDA, else majority."),
    (
        "p; Holm",
        "How often a difference this large would be found if there were none; corrected after Holm: for a family of tests.",
    ),
    (
        "Claim, *",
        f"The interval leaves out zero and the corrected p is below 0.05, of at least {SIMULATED_PEOPLE} people, of a row "
        f"without † or ‡.",
    ),
    ("Points", "A difference of two percentages."),
    ("d", "Mean difference of people's values over the SD of these differences."),
    ("Detectable", "The difference that would be claimed with a probability of 80 %."),
)
MARKS = (
    ("† ‡", "A fit behind the row did not learn in its epochs (†), or lost what it had learned in the last one (‡)."),
    (
        "§ ¶",
        "The people were selected by what the row sees (§); the row saw other recordings of the tested side before (¶).",
    ),
)
METRICS = {
    "accuracy": "Share of trials decided rightly.",
    "f1": "Harmonic mean of precision and sensitivity.",
    "sensitivity": "Share of the second class's trials that are called so (recall).",
    "specificity": "Share of the first class's trials that are called so.",
    "auroc": "How often a trial of the second class is given a higher probability than one of the first; 50 % is chance.",
    "balanced_accuracy": "Mean of sensitivity and specificity.",
    "brier": "Mean squared error of the probability; 0 is best, 0.25 is what always saying one half has.",
}
OF_SECTIONS = {
    "calibration": (
        ("ECE", "Expected calibration error: how far said probabilities lie from what happened, a mean over bins."),
    ),
    "roc": (
        ("ROC", "Sensitivity against false alarms, over all thresholds."),
        ("Net benefit", "Right alarms less false ones, which are weighed by the odds of the threshold."),
    ),
    "confusion": (("Confusion table", "True class by called class, in counts and shares."),),
}
OF_MANY = (
    ("Mixed model", "Trials in persons: separates how far people differ from the chance in their few trials."),
    ("Calibration line", "Slope and intercept of what happened on what was said, in log odds: 1 and 0 are right."),
)
"""Of what is given where a scenario has enough people."""


def glossary(results: Results) -> list[tuple[str, str]]:
    """Term and definition, in the order in which a reader meets them."""
    task: Task = results.task
    metrics = [(m.title[:1].upper() + m.title[1:], METRICS[m.name]) for m in task.metrics if m.name in METRICS]
    rest = [term for section, terms in OF_SECTIONS.items() if section in task.sections for term in terms]
    many = any(len(panel.by_subject) >= SIMULATED_PEOPLE for panel in results.panels)
    used = "".join(marks.every(results).values())
    rest += [(name, text) for name, text in MARKS if any(symbol in used for symbol in name.split())]
    return [*GRID, *metrics, *STATISTICS, *rest, *(OF_MANY if many and "roc" in task.sections else ())]
