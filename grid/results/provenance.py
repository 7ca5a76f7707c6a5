"""The versions, commits and devices that made the artefacts of a result, from their manifests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dataprep.recordings import recordings
from grid.plan.inventory import Inventory
from grid.plan.specs import Plan
from grid.store.artefacts import Store

UNKNOWN = "not recorded"


def manifests(plan: Plan, inventory: Inventory, store: Store) -> dict[str, tuple[int, list[dict[str, Any]]]]:
    """By name of stage: how many the plan has, and the manifests of those that are stored."""
    every = {name: stages for name, stages in inventory.prepared.items() if name not in ("faces", "signals")}
    every["faces"] = [v.track for v in inventory.videos]
    # a block that holds other channels beside those of these rows may have served their fits
    there = store.keys("signals")
    failed = {trial for part, trial in plan.unprepared if part == "signals"}
    every["signals"] = [
        j.stage for j in inventory.signals if j.stage.key in there or failed & {t.trial_id for t in j.trials}
    ]
    for fit in plan.fits.values():
        every.setdefault(fit.stage.name, []).append(fit.stage)
    for search in plan.decided.values():
        every.setdefault(search.stage.name, []).append(search.stage)
    every["predict"] = list({p.stage.key: p.stage for p in plan.predicts.values()}.values())
    found = {}
    for name, stages in every.items():
        stored = store.keys(name)
        found[name] = (len(stages), store.manifests_of([s for s in stages if s.key in stored]))
    return found


def stage_facts(
    found: Mapping[str, tuple[int, Sequence[Mapping[str, Any]]]], made: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Per stage that is prepared or fitted: how many, made now, reused, failed, and CPU seconds spent on all that are stored."""
    rows = []
    for name, (count, there) in found.items():
        if (name not in recordings() or name == "faces") and not name.startswith("fit-"):
            continue
        facts = [m["facts"] for m in there]
        done = made.get(name, 0)
        on_gpu = sum(f.get("seconds", 0.0) for f in facts if str(f.get("device", "")).startswith("cuda"))
        row = {"stage": name, "count": count, "done": done, "reused": len(there) - done, "failed": count - len(there)}
        seconds = sum(f.get("seconds", 0.0) for f in facts)
        rows.append({**row, "seconds": round(seconds, 1), "gpu_seconds": round(on_gpu, 1)})
    return rows


def made_with(found: Mapping[str, tuple[int, Sequence[Mapping[str, Any]]]]) -> list[dict[str, Any]]:
    """Every set of versions, commit and device, and how many artefacts of which stage it made; the most common first."""
    counts: dict[tuple[tuple[str, str], ...], Counter[str]] = {}
    for name, (_, there) in found.items():
        for manifest in there:
            maker = manifest.get("made_by") or {"version": UNKNOWN}
            counts.setdefault(tuple(maker.items()), Counter())[name] += 1
    order = sorted(counts.items(), key=lambda item: (-item[1].total(), item[0]))
    return [{**dict(maker), "artefacts": dict(sorted(stages.items()))} for maker, stages in order]


def versions(makers: Iterable[Mapping[str, Any]], of_this_run: Mapping[str, str]) -> dict[str, str]:
    """The versions that made the artefacts, several joined by 'and'; of what is in no manifest, those of this run."""
    out = dict(of_this_run)
    for name in {n for maker in makers for n in maker} - {"artefacts", "device", "commit", "version"}:
        out[name] = " and ".join(sorted({str(maker.get(name, UNKNOWN)) for maker in makers}))
    return out


def mixed(makers: Sequence[Mapping[str, Any]]) -> str:
    """A sentence that warns where artefacts of one result were made by different programs or devices; empty if they were not."""
    names = dict.fromkeys(n for maker in makers for n in maker if n not in ("artefacts", "device"))
    differ = {n: _told(makers, n) for n in names if len({str(m.get(n, UNKNOWN)) for m in makers}) > 1}
    devices: dict[str, set[str]] = {}
    for maker in makers:
        for stage in maker["artefacts"]:
            devices.setdefault(stage, set()).add(_kind(str(maker.get("device", UNKNOWN))))
    several = sorted(stage for stage, kinds in devices.items() if len(kinds - {UNKNOWN}) > 1)
    if several:
        differ["device"] = f"{' and '.join(sorted(set.union(*(devices[s] for s in several))))} within {', '.join(several)}"
    if not differ:
        return ""
    return "Mixed: these results come from artefacts that were not all made alike. " + "; ".join(
        f"{name}: {told}" for name, told in differ.items()
    )


def _kind(device: str) -> str:
    return device.partition(":")[0]


def _told(makers: Sequence[Mapping[str, Any]], name: str) -> str:
    counts: Counter[str] = Counter()
    for maker in makers:
        counts[str(maker.get(name, UNKNOWN))] += sum(maker["artefacts"].values())
    return ", ".join(f"{value} ({n} artefacts)" for value, n in counts.most_common())
