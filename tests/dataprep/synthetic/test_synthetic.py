"""The made-up data set: the layout of BioVid, a label where it is said to be and nowhere else, one face in every frame."""

import json
from pathlib import Path

import av
import numpy as np
import pytest

from dataprep.datasets import biovid, recognise
from dataprep.datasets.synthetic import HOLDOUT, LOW_EXPRESSIVE, SUBJECTS
from dataprep.records import InputError, SampleIndex
from dataprep.signals.files import prepare_signals
from dataprep.synthetic import dataset, face
from dataprep.synthetic.dataset import write_synthetic
from dataprep.video.retinaface import detector

SMALL = (160, 120)


def pixels(file: str | Path) -> np.ndarray:
    with av.open(str(file)) as video:
        return np.stack([f.to_ndarray(format="gray") for f in video.decode(video=0)])


def late_maximum_accuracy(root: Path) -> float:
    """How often "the maximum of EDA falls after 2 s" is right about severe pain."""
    d = recognise(root)
    trials, _ = d.read_trials(root)
    x_NTC, ids, _ = prepare_signals(trials, d)
    labels = SampleIndex.of(trials, classes=(d.negative, d.positive)).labels
    assert len(ids) == len(labels)
    return float(np.mean((x_NTC[:, :, 0].argmax(axis=1) > 2 * d.clock_hz) == np.array(labels)))


@pytest.fixture(scope="module")
def eda_set(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("synthetic") / "eda"
    write_synthetic(root, subjects=12, trials=1, signal="eda", size=SMALL, jobs=1)
    return root


def test_it_is_recognised_as_made_up_and_read_without_a_defect(eda_set):
    d = recognise(eda_set)
    trials, defects = d.read_trials(eda_set)
    assert (d.name, d.synthetic, defects) == ("synthetic", True, ())
    index = SampleIndex.of(trials, classes=(d.negative, d.positive))
    assert len(index) == 24
    assert sum(index.labels) == 12
    first = trials[0]
    with av.open(first.video) as video:
        stream = video.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate, stream.width, stream.height) == ("h264", 25, *SMALL)
    assert pixels(first.video).shape == (138, 120, 160)
    lines = Path(first.signals).read_text().splitlines()
    assert lines[0] == "time\tgsr\tecg\temg_trapezius\temg_corrugator\temg_zygomaticus"
    assert len(lines) == 1 + 2816
    x_NTC, _, defects = prepare_signals(trials, d)
    assert (x_NTC.shape, defects) == ((24, 138, 3), ())
    assert json.loads((eda_set / "synthetic.json").read_text())["signal"] == "eda"


def test_its_people_are_made_up_and_its_lists_are_its_own():
    assert len(set(SUBJECTS)) == 87
    assert not set(SUBJECTS) & set(biovid.SUBJECTS)
    assert (len(LOW_EXPRESSIVE), len(HOLDOUT)) == (20, 26)
    assert set(SUBJECTS) >= LOW_EXPRESSIVE | HOLDOUT
    people = [biovid.person(name) for name in SUBJECTS]
    assert {p.sex for p in people} == {"m", "w"}
    assert min(p.age for p in people) >= 20
    assert max(p.age for p in people) <= 65
    assert biovid.person("subject-7") is None


def test_made_up_data_cannot_be_read_as_biovid(eda_set):
    assert not biovid.DATASET.recognise(eda_set)
    with pytest.raises(InputError, match="the data are synthetic"):
        biovid.DATASET.read_trials(eda_set)


@pytest.mark.parametrize(
    ("text", "words"), [('{"version": 1}', "found version 1, whose people bear names of real ones.*again"), ("{", "read")]
)
def test_data_of_an_older_generator_are_refused_with_what_to_do(tmp_path, text, words):
    dataset.write_layout(tmp_path / "old", subjects=2, trials=1)
    (tmp_path / "old" / "synthetic.json").write_text(text)
    reader = recognise(tmp_path / "old")
    assert reader.name == "synthetic"
    with pytest.raises(InputError, match=words):
        reader.read_trials(tmp_path / "old")


def test_signals_alone_are_those_beside_videos(eda_set, tmp_path):
    write_synthetic(tmp_path / "data", subjects=12, trials=1, signal="eda", size=SMALL, videos=False, jobs=1)
    trials, defects = recognise(tmp_path / "data").read_trials(tmp_path / "data")
    assert defects == ()
    assert {t.video for t in trials} == {None}
    for one, other in zip(*(sorted(r.rglob("*_bio.csv")) for r in (eda_set, tmp_path / "data")), strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_eda_tells_the_label_where_it_carries_it_and_only_there(eda_set, tmp_path):
    assert late_maximum_accuracy(eda_set) >= 0.85
    write_synthetic(tmp_path / "none", subjects=12, trials=1, signal="none", size=SMALL, jobs=1)
    assert 0.2 <= late_maximum_accuracy(tmp_path / "none") <= 0.8
    # Which channel carries the label changes that channel and nothing else.
    for one, other in zip(*(sorted(r.rglob("*_bio.csv")) for r in (eda_set, tmp_path / "none")), strict=True):
        a, b = (np.loadtxt(f, skiprows=1) for f in (one, other))
        np.testing.assert_array_equal(a[:, 2:], b[:, 2:])
    for one, other in zip(*(sorted(r.rglob("*-PA4-*.mp4")) for r in (eda_set, tmp_path / "none")), strict=True):
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("signal", list(dataset.SIGNALS))
def test_the_pain_that_a_channel_shows_follows_the_class_or_ignores_it(signal):
    picked = dataset.pick_subjects(87)
    trials = dataset.draw_recordings(picked, trials=20, seed=3, signal=signal, size=SMALL, classes=("BL1", "PA4"))
    label = np.array([r.class_name == "PA4" for r in trials], float)
    for channel in dataset.CHANNELS:
        shown = np.array([r.channel(channel)[0] for r in trials])
        assert set(shown) == {0.0, 1.0}
        r = np.corrcoef(shown, label)[0, 1]
        assert r == pytest.approx(1.0) if channel in dataset.SIGNALS[signal] else abs(r) < 4 / np.sqrt(len(trials))
    place = np.array([r.number for r in trials])
    assert abs(np.corrcoef(place, label)[0, 1]) < 4 / np.sqrt(len(trials))


def test_twenty_subjects_are_enough_for_ten_folds_of_every_subset():
    names = set(dataset.pick_subjects(20))
    assert len(names) == 20
    assert len(names & LOW_EXPRESSIVE) == 5
    assert min(len(names & HOLDOUT), len(names - HOLDOUT - LOW_EXPRESSIVE)) >= 3
    assert set(dataset.pick_subjects(87)) >= names


def test_the_same_parameters_give_the_same_signals_and_pixels_by_any_number_of_processes(tmp_path):
    common = {"subjects": 2, "trials": 1, "size": SMALL}
    write_synthetic(tmp_path / "a", seed=5, jobs=1, **common)
    write_synthetic(tmp_path / "b", seed=5, jobs=2, **common)
    write_synthetic(tmp_path / "c", seed=6, videos=False, jobs=1, **common)
    files = {r: sorted(p.relative_to(tmp_path / r) for p in (tmp_path / r).rglob("*.*") if p.is_file()) for r in "abc"}
    assert files["a"] == files["b"]
    for file in files["a"]:
        if file.suffix == ".mp4":
            np.testing.assert_array_equal(pixels(tmp_path / "a" / file), pixels(tmp_path / "b" / file))
        else:
            assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    one, other = (next((tmp_path / r).rglob("*_bio.csv")).read_bytes() for r in "ac")
    assert one != other


def test_an_interrupted_write_leaves_nothing_that_looks_like_a_data_set(tmp_path):
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_synthetic(tmp_path / "a", subjects=2, trials=1, size=SMALL, jobs=1, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="already"):
        write_synthetic(tmp_path, subjects=1, trials=1, size=SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"subjects": 88}, "subjects: found 88, expected 1 to 87"),
        ({"trials": 0}, "trials: found 0"),
        ({"seed": -1}, "seed: found -1"),
        ({"signal": "gsr"}, "signal: found 'gsr', expected one of all, eda"),
        ({"size": (161, 120)}, "size: found 161x120"),
        ({"classes": ("BL1", "PA9")}, "classes: found BL1, PA9"),
    ],
)
def test_wrong_parameters_are_named_with_what_is_allowed(tmp_path, wrong, words):
    with pytest.raises(ValueError, match=words):
        write_synthetic(tmp_path / "a", **wrong)
    assert not (tmp_path / "a").exists()


def test_the_command_line_writes_the_five_classes(tmp_path):
    out = tmp_path / "five"
    classes = ["BL1", "PA1", "PA2", "PA3", "PA4"]
    dataset.main([str(out), "--subjects", "1", "--trials", "1", "--size", "160x120", "--jobs", "1", "--classes", *classes])
    trials, defects = recognise(out).read_trials(out)
    assert defects == ()
    assert sorted(t.class_name for t in trials) == classes


@pytest.fixture(scope="module")
def people() -> list[face.Person]:
    return [face.draw_person(np.random.default_rng(i), expressive=True) for i in range(4)]


def film(person: face.Person, *, level: float, size: tuple[int, int] = (320, 240)) -> np.ndarray:
    return np.stack(list(face.frames(person, np.random.default_rng(1), level=level, size=size)))


def test_one_face_is_found_in_calm_and_in_pain(people):
    find = detector("retinaface-mobile", min_score=0.8)
    for person in people:
        shown = film(person, level=1.0)
        assert [len(found) for found in find([shown[k] for k in (0, 70, 137)])] == [1, 1, 1]


def test_pain_that_is_held_shows_in_every_frame():
    person = face.draw_person(np.random.default_rng(0), expressive=True)
    calm, pain = (face.movement(person, np.random.default_rng(1), level=level, held=True) for level in (0.0, 1.0))
    brows = (pain - calm)[face.ACTIONS.index("brows")]
    assert brows.min() > 0.3
    assert np.ptp(brows) < 0.05


@pytest.mark.slow
def test_pain_moves_the_face_after_two_seconds_and_hardly_that_of_the_low_expressive(people):
    timid = [face.draw_person(np.random.default_rng(i), expressive=False) for i in range(4)]

    def moved(persons):
        """Mean change of grey levels by pain, before and after 2 s; all else of the two films is the same."""
        change = np.stack([np.abs(film(p, level=1.0).astype(float) - film(p, level=0.0)).mean((1, 2, 3)) for p in persons])
        return change[:, :50].mean(), change[:, 90:].mean()

    early, late = moved(people)
    assert early == 0.0
    assert late > 0.5
    assert moved(timid)[1] < 0.4 * late
