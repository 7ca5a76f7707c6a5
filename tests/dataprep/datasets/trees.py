"""Small trees of data sets in the layouts that their makers publish, byte by byte; every number is made up."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import cv2
import numpy as np
from scipy.io import savemat

from dataprep.synthetic import face


def _comma(*values: float) -> str:
    return ";".join(f"{v:.5f}".replace(".", ",") for v in values)


def painmonit(root: Path, *, people: int, rounds: int, cue: float = 0.0, seed: int = 0) -> None:
    """raw-data/S_NN-synchronised-data.csv: `rounds` stimuli of each temperature, 10 s long, 16 s of 32 °C before each.

    Breathing is the time in s, the wrist's EDA the temperature; the slider is 0 for warm, then 10 to 40. `cue`: how many µS the
    chest's EDA rises under the hottest.
    """
    folder = root / "raw-data"
    folder.mkdir(parents=True)
    for person in range(1, people + 1):
        rng = np.random.default_rng([seed, person])
        heater, slider = [], []
        order = [level for _ in range(rounds) for level in rng.permutation(5)]
        for level in order:
            heater += [32.0] * (16 * 250) + [38.0 + 0.25 * person + 2 * level] * (10 * 250)
            slider += [0.0] * (16 * 250) + [10.0 * level] * (10 * 250)
        heater_T, slider_T = np.array(heater + [32.0] * 250), np.array(slider + [0.0] * 250)
        n = len(heater_T)
        time_T = np.arange(n) / 250
        hot_T = heater_T == heater_T.max()
        eda_T = 3 + 0.2 * person + cue * np.convolve(hot_T, np.ones(1250) / 1250)[:n] + rng.normal(0, 0.01, n)
        lines = ["Seconds;Heater_cleaned;COVAS;Bvp;Eda_E4;Resp;Eda_RB;Ecg;Emg"]
        columns = (
            time_T,
            heater_T,
            slider_T,
            np.sin(7 * time_T),
            heater_T,
            time_T,
            eda_T,
            np.sin(9 * time_T),
            np.cos(time_T * 40),
        )
        heater_noise = columns[4] + 0.001 * np.sin(time_T)
        rows = zip(*columns[:4], heater_noise, *columns[5:], strict=True)
        lines += [_comma(*row) for row in rows]
        (folder / f"S_{person:02d}-synchronised-data.csv").write_text("\n".join(lines) + "\n")


def painmonit_clinical(root: Path) -> None:
    """Two people with two sessions: 12 s of rest before, then 4 s windows rated 0, 1, none, 2 and 1."""
    for person in (1, 2):
        for session in (1, 2):
            folder = root / "raw-data" / f"P{person:02d}_{session}"
            folder.mkdir(parents=True)
            for name, ratings in ((f"{folder.name}_runUp", ["", "", ""]), (folder.name, ["0", "1", "", "2", "1"])):
                sensors = ["Bvp", "Eda_E4", "Tmp", "Resp", "Eda_RB", "Bvp_RB", "Emg"]
                lines = [";".join(["Seconds", *sensors, "Pain rates", "Pain labels"])]
                for i in range(len(ratings) * 1000):
                    t = i / 250
                    lines.append(_comma(t, *(np.sin(t + k) for k in range(7))) + f";;{ratings[i // 1000]}")
                (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
            (folder / "noPainThreshold.txt").write_text("10")
            (folder / "severePainThreshold.txt").write_text("60")


def ai4pain(root: Path, *, people: tuple[int, int, int] = (2, 1, 1), pairs: int = 2) -> None:
    """<side>/<Signal>/<n>.csv: 25 s of Baseline, then HIGH, REST and LOW segments of 10.2 and 20 s, ragged. Each value tells the
    number of its segment and its time: 100 x segment + seconds."""
    number = 0
    for side, n in zip(("train", "validation", "test"), people, strict=True):
        for _ in range(n):
            number += 1
            segments = [("Baseline", 2500)]
            for k in range(1, pairs + 1):
                segments += [(f"HIGH_{k}", 1022), (f"REST_{2 * k - 1}", 2000), (f"LOW_{k}", 1022), (f"REST_{2 * k}", 2000)]
            longest = max(rows for _, rows in segments)
            for name in ("Bvp", "Eda", "Resp", "SpO2"):
                folder = root / side / name
                folder.mkdir(parents=True, exist_ok=True)
                lines = [",".join(f"{number}_{segment}" for segment, _ in segments)]
                for i in range(longest):
                    lines.append(
                        ",".join(f"{100 * s + i / 100:.3f}" if i < rows else "" for s, (_, rows) in enumerate(segments))
                    )
                (folder / f"{number}.csv").write_text("\n".join(lines) + "\n")


def wesad(root: Path, *, people: tuple[int, ...], minutes: float = 6.5, watch_late_s: float = 20.0) -> None:
    """S<n>: a chest recording, a watch that begins `watch_late_s` later, three phases of 2 min. EDA at chest and wrist is the
    time since the recorder began, in s (at the chest times 0.05, in raw values); all else is the phase of a sine."""
    sensors = ["ECG", "EDA", "EMG", "TEMP", "XYZ", "XYZ", "XYZ", "RESPIRATION"]
    t = np.arange(int(minutes * 60 * 700)) / 700
    wave = np.round(30000 + 900 * np.sin(t)).astype(int).tolist()
    eda = (t * 0.05 * 0.12 / 3 * 65536).tolist()
    rows = "\n".join(
        f"{i}\t0\t{w}\t{e:.2f}\t{w}\t{w}\t1\t2\t3\t{w}\t" for i, (w, e) in enumerate(zip(wave, eda, strict=True))
    )
    began = datetime(2017, 5, 22, 9, 3, 36, tzinfo=ZoneInfo("Europe/Berlin"))
    header = {"00:07:80:D8:AB:58": {"sensor": sensors, "date": "2017-5-22", "time": "9:3:36.0", "sampling rate": 700}}
    schedule = "# ORDER;Base;TSST;Fun;sRead;\n# START;0.05;2.1;4.2;6.25;\n# END;2.05;4.1;6.2;6.3;\n"
    for person in people:
        folder = root / f"S{person}"
        (folder / f"S{person}_E4_Data").mkdir(parents=True)
        (folder / f"S{person}_quest.csv").write_text(f"# Subj;S{person};;;;\n\n{schedule}\n# PANAS;1;2;\n")
        text = "# OpenSignals Text File Format\n# " + json.dumps(header) + "\n# EndOfHeader\n"
        (folder / f"S{person}_respiban.txt").write_text(text + rows + "\n")
        unix = began.timestamp() + watch_late_s
        for name, rate in (("EDA", 4), ("BVP", 64), ("TEMP", 4)):
            times = np.arange(int(max(0, minutes * 60 - watch_late_s) * rate)) / rate + watch_late_s
            lines = [f"{unix:.6f}", f"{rate:.6f}", *(f"{v:.6f}" for v in times)]
            (folder / f"S{person}_E4_Data" / f"{name}.csv").write_text("\n".join(lines) + "\n")
        (folder / f"S{person}.pkl").write_bytes(b"cos\nsystem\n(S'touch a-pickle-was-opened'\ntR.")


def unbc(root: Path, *, people: dict[str, list[int]], frames: int = 12, faces: bool = False) -> None:
    """Images/<subject>/<sequence>/*.png with labels beside: a sequence for each OPR of a person, a frame longer than the last.

    Frame k has a PSPI of k % 5. `faces`: pictures of a made-up face that shows the level, else of one colour.
    """
    for subject, levels in people.items():
        for n, level in enumerate(levels):
            sequence = f"{subject[4:]}t{n}aaff"
            images, labels = (root / where / subject / sequence for where in ("Images", "Frame_Labels/PSPI"))
            images.mkdir(parents=True)
            labels.mkdir(parents=True)
            rng = np.random.default_rng([len(people), n])
            drawn = (
                face.frames(face.draw_person(rng, expressive=True), rng, level=level / 5, size=(320, 240)) if faces else None
            )
            for k in range(frames + n):
                name = f"{sequence}{k + 1:03d}"
                x = next(drawn)[..., ::-1] if drawn else np.full((48, 64, 3), k, np.uint8)
                cv2.imwrite(str(images / f"{name}.png"), x)
                (labels / f"{name}_facs.txt").write_text(f"   {k % 5:.7e}\n")
            for scale, value in (("OPR", level), ("VAS", 2 * level), ("SEN", level), ("AFF", level)):
                folder = root / "Sequence_Labels" / scale / subject
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{sequence}.txt").write_text(f"{value:.7e}\n")


def x_ite(root: Path, *, people: int, rounds: int = 2, cue: float = 0.0, seed: int = 0) -> None:
    """Bio/S<number>.mat: `rounds` of each short stimulus (heat 4 s, electric 5 s), 11 s apart, then one long heat of a minute.

    Skin conductance rises by `cue` under the strongest heat; ECG is the time in s, the trapezius the label.
    """
    (root / "Bio").mkdir(parents=True)
    for person in range(1, people + 1):
        rng = np.random.default_rng([seed, person])
        labels = [np.zeros(15_000, np.int16)]
        for label in [label for _ in range(rounds) for label in rng.permutation([1, 2, 3, -1, -2, -3])]:
            labels += [np.full(4000 if label > 0 else 5000, label, np.int16), np.zeros(11_000, np.int16)]
        stimuli = np.concatenate([*labels, np.full(60_000, 6, np.int16), np.full(2000, -10, np.int16)])
        n = len(stimuli)
        eda = 3 + rng.normal(0, 0.01, n) + cue * np.convolve(stimuli == 3, np.ones(2000) / 2000)[:n]
        noise = rng.normal(0, 1, (n, 2))
        data = np.column_stack([noise, stimuli + 0.01 * noise[:, 0], eda, np.arange(n) / 1000]).astype(np.float32)
        savemat(root / "Bio" / f"S{person:03d}.mat", {"data": data, "stimuli": stimuli.reshape(-1, 1), "fs": 1000.0})
