"""How a run was tested, in a line each: what is estimated, what was fixed beforehand, and which corrections were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.claims import plural
from dashboards.results import Results
from dashboards.searches import read_searches
from grid.experiment.cells import is_further
from grid.protocols import has_one_partition, tested_people_train
from grid.results.inference import FEW_PEOPLE, SIMULATED_PEOPLE, training_people

OF_PROTOCOL = {
    "loso": "Where one person is left out at a time, differences of two rows take half as much again. ",
    "holdout": "The fixed split has one training side: what another choice of people for it would change is not measured. ",
}


def tested(results: Results, panels: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences for the section “How this was tested”."""
    repeats, seeds, folds = (int(results.scores[axis].nunique()) for axis in ("repeat", "seed", "fold"))
    protocols = sorted(set(results.scores["protocol"].astype(str)))
    return [
        _estimated(results),
        ("The decision threshold is 0.5, fixed beforehand. " if "roc" in results.task.sections else "") + _epochs(results),
        _partitions(results, (repeats, seeds, folds), protocols),
        "A value in Table 2 is the mean over folds; its interval, Figure 3, the comparisons, MLflow and the model cards are "
        "about "
        "the same mean. Folds count alike, and within a fold every trial does, so a person of a smaller fold counts for "
        "more. By sex "
        "and age, and in Subjects, people count alike. ECE alone pools the folds. What is no mean over "
        "trials, such as F1 and AUROC, is of the people of a fold together, not of one person.",
        "Baselines are not tested against chance, a forest among them: the families are the rows of the experiment, whose "
        "correction would grow with every baseline, and baselines are what rows are compared with.",
        "Intervals and p values are Nadeau and Bengio's corrected t with the person as the unit: people are independent, but "
        "each trains what others are tested with, and the variance is raised for that. For these nothing is resampled or "
        "drawn at random.",
        _raised(repeats, protocols, folds),
        "p against chance is of the standard error that holds where nothing was learned; the interval beside it, of a row "
        "clearly above chance, is of a smaller one, so it may lie further from zero than p says. Where every decision is right, "
        "or every one wrong, people do not differ and there is no standard error: the interval is then Clopper and Pearson's "
        "with the person as the unit, n people all at one end (its other end is 0.025^(1/n): 63\u00a0% for 8 people, 83\u00a0% "
        "for 20). It is wide, since a person of whom not all is right counts there as if nothing were; p is twice what chance "
        "gives to the power 1/(1/n + 1/people who train). F1, AUROC and Brier score have no such interval.",
        _counts(panels),
        "A claim needs a 95\u00a0% interval that leaves out zero and a corrected p below 0.05. "
        f"{results.task.main.title.capitalize()} alone is tested; "
        "intervals of other metrics, and of groups of people, are each for itself, without a correction for their number.",
        "d is the mean difference of a person's values over the SD of these differences. Rows are paired over the trials "
        "that both tested.",
        "How often such intervals cover the truth and such claims are false was simulated on made-up grids of 20, 67 and 87 "
        "people with a linear learner of 12 features, not with these networks; the figures come with the program "
        "(grid/DECISIONS.md, section 7). With 120 features, rows clearly above chance were covered in 93.9\u00a0% instead of "
        "95\u00a0%, the one covered least in 89.8\u00a0%: the interval of a learner with more freedom than there are "
        "people may "
        "be a little too narrow. Tests take the whole correction, with which 98.3\u00a0% were covered there. "
        "Where the true accuracy is 50 to 78\u00a0%, intervals of accuracy covered 94.5 to 98.0\u00a0%, of AUROC 89 to "
        "99\u00a0%, of the Brier score 91 to 100\u00a0%, of ECE 81 to 98\u00a0%; nearer to 100\u00a0% nothing was simulated.",
        *_few(panels),
        *_recalibrated(results),
    ]


def _few(panels: Sequence[Mapping[str, Any]]) -> list[str]:
    few = [f"{panel['title']}: {panel['n_subjects']}" for panel in panels if panel["n_subjects"] < SIMULATED_PEOPLE]
    if not few:
        return []
    return [
        f"The simulation has at least {SIMULATED_PEOPLE} people, so nothing is claimed of fewer ({'; '.join(few)}): {FEW_PEOPLE}."
    ]


def _recalibrated(results: Results) -> list[str]:
    how = results.get("experiment", "fit", "calibrate")
    if how in (None, "off"):
        return []
    folds = results.get("experiment", "fit", "calibration_folds")
    return [
        f"The probabilities are those after a recalibration ({how}), fitted in each fold on what {folds} inner folds of its "
        "training side predict of people left out of them; decisions at 0.5, and so all other numbers, follow from these. The "
        "trivial rules are not recalibrated."
    ]


def _estimated(results: Results) -> str:
    sizes = [training_people(panel.predictions, results.people(panel)) for panel in results.panels]
    told = "; ".join(f"{panel.title}: {n:.3g}" for panel, n in zip(results.panels, sizes, strict=True) if n == n)
    return (
        "Estimated is the expected value of each metric on a new person of the kind that was tested, for the method trained on "
        f"as many people as one fold trains{f' (on average, {told})' if told else ''}."
    )


def _epochs(results: Results) -> str:
    if found := read_searches(results.folder):
        names = ", ".join(dict.fromkeys(str(search["stage"]).removeprefix("search-") for search in found))
        if any(search.get("scope") == "scenario" for search in found):
            return f"Hyperparameters of {names} were chosen by a search that saw all people, the tested ones among them."
        return (
            f"Hyperparameters of {names} were chosen by a search that saw the training side of a fold alone; all others were "
            "fixed in the experiment."
        )
    return (
        "Epochs and all other hyperparameters were fixed in the experiment before this run; none was chosen on a tested "
        "fold of "
        "it. Whether somebody chose them earlier by results on these people is known to this run only where the experiment "
        "says so ([claims] chosen_on)."
    )


def _partitions(results: Results, counts: tuple[int, int, int], protocols: Sequence[str]) -> str:
    repeats, seeds, folds = counts
    seed = results.get("experiment", "protocol", "seed")
    drawn = f" (seed {seed})" if isinstance(seed, int) else ""
    wanted = [facts.get("folds") for name, facts in results.scenarios.items() if not is_further(name)]
    in_all = max((n for n in wanted if isinstance(n, int)), default=0)
    into = (
        f"{in_all} folds, of which {folds} {'was' if folds == 1 else 'were'} tested,"
        if in_all > folds
        else plural(folds, "fold")
    )
    text = f"{plural(repeats, 'partition')}{drawn} into {into} by the protocol {', '.join(protocols)}, "
    text += f"{plural(seeds, 'fit seed')} (initial weights). "
    if repeats > 1 or seeds > 1:
        made = f"{plural(repeats, 'partition')}, {plural(seeds, 'fit seed')}"
        text += f"Every trial was predicted {repeats * seeds} times ({made}): this adds no person. "
    one = ["one partition into folds"] * (repeats == 1) + ["one fit seed (initial weights)"] * (seeds == 1)
    if not one:
        return text.strip()
    text += f"All numbers are of {' and '.join(one)}: they do not say how much another would change them"
    more = ["[protocol] repeats"] * (repeats == 1 and not all(map(has_one_partition, protocols)))
    more += ["[fit] seeds"] * (seeds == 1)
    text += f"; to speak about the method rather than about this choice, set {' and '.join(more)} higher." if more else "."
    return text


def _raised(repeats: int, protocols: Sequence[str], folds: int) -> str:
    if repeats > 1:
        text = (
            f"Each person was tested on {repeats} partitions; how far that moves the value says how much has to be added. "
        )
    else:
        text = (
            "One partition cannot tell how much that is: every test takes the most, and so do the intervals of rows that "
            "are not "
            "clearly above chance; the interval of a row that is takes less. "
        )
    if folds == 1 and "holdout" not in protocols:
        text += "One fold has one training side: what another choice of people for it would change is not measured. "
    text += "".join(OF_PROTOCOL.get(name, "") for name in protocols)
    met = ", ".join(f"“{name}”" for name in protocols if tested_people_train(name))
    return f"{text}Under {met} the new trials are of people whom the network has met." if met else text.strip()


def _counts(panels: Sequence[Mapping[str, Any]]) -> str:
    words = {"chance": "against chance", "trivial": "against the trivial rule", "named": "pairs that the experiment names"}
    parts = [
        f"{panel['title']}: " + ", ".join(f"{len(panel['families'][name])} {words[name]}" for name in words)
        for panel in panels
    ]
    return (
        "Three families of tests were fixed before there were results, each corrected by itself after Holm. How many tests "
        "each "
        f"correction covers: {'; '.join(parts) or 'none'}. A row with † or ‡, or of fewer than "
        f"{SIMULATED_PEOPLE} people, counts with p\u00a0=\u00a01."
    )
