"""Data and store in a bucket: a real S3 server on loopback, the same bytes as in folders, and errors that name the URI."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dataprep import storage
from dataprep.check.command import main as check_main
from dataprep.datasets import recognise
from dataprep.storage import Remote, place
from dataprep.video.decode import open_video
from grid.launch import main
from grid.monitor.status import snapshot
from grid.removal.forget import main as store_main
from grid.store.artefacts import Store
from grid.store.content_hashes import fingerprints
from grid.store.identity import Stage
from grid.store.leases import remove_stale
from painmodels.export import from_run
from tests.dataprep.datasets.trees import unbc

pytestmark = pytest.mark.slow

BUCKET = "pain-grid-test"


@pytest.fixture(scope="module")
def s3() -> Iterator[Remote]:
    """An empty bucket, reached as any other: by the usual variables of the environment."""
    from moto.server import ThreadedMotoServer
    from pyarrow import fs

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "eu-central-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            patch.setenv(name, value)
        storage.s3_file_system.cache_clear()
        fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"], allow_bucket_creation=True).create_dir(BUCKET)
        yield Remote(f"s3://{BUCKET}")
        server.stop()
    storage.s3_file_system.cache_clear()


@pytest.fixture(scope="module")
def s3_data(s3: Remote, tiny_data: Path) -> Remote:
    """The tiny data set in the bucket."""
    for file in tiny_data.rglob("*"):
        if file.is_file():
            (s3 / "tiny" / file.relative_to(tiny_data)).write_bytes(file.read_bytes())
    return s3 / "tiny"


def test_folders_of_pictures_in_a_bucket_are_the_videos_that_they_are_in_folders(s3: Remote, tmp_path: Path) -> None:
    unbc(tmp_path / "unbc", people={"042-ll042": [0, 3]}, frames=3)
    for file in (tmp_path / "unbc").rglob("*.*"):
        (s3 / "unbc" / file.relative_to(tmp_path / "unbc")).write_bytes(file.read_bytes())
    data, memory = recognise(s3 / "unbc"), tmp_path / "memory.json"
    found = [data.read_trials(where) for where in (s3 / "unbc", tmp_path / "unbc")]
    remote, local = ([(t.trial_id, t.columns) for t in trials] for trials, _ in found)
    assert remote == local
    videos = [[str(t.video) for t in trials] for trials, _ in found]
    marks = [list(fingerprints(files, memory).values()) for files in videos]
    assert marks[0] == marks[1]
    assert len({*marks[0]}) == 2
    pictures = [[f.planes[0] for f in open_video(v[1], frames_hz=25.0).frames] for v in videos]
    np.testing.assert_array_equal(*pictures)


def test_an_artefact_in_a_bucket_is_there_once_it_is_complete(s3: Remote) -> None:
    store, stage = Store(s3 / "one"), Stage("x", 1, {"p": 1})
    arrays = {"a": np.arange(6, dtype=np.float16).reshape(2, 3), "b": np.array([True, False]), "c": np.array(7)}
    assert store.keys("x") == set()
    (store.folder("x", stage.key) / "arrays.safetensors").write_bytes(b"the first half of what a killed writer put")
    assert not store.has(stage)
    assert store.keys("x") == set()
    store.write(stage, arrays, {"seconds": 1.5, "subject": "s"})
    assert store.has(stage)
    for name, array in store.arrays(stage).items():
        assert (array.dtype, array.tobytes()) == (arrays[name].dtype, arrays[name].tobytes())
    store.write(stage, {"a": np.zeros(1)}, {})  # a second writer changes nothing
    assert store.facts_of([stage]) == [{"seconds": 1.5, "subject": "s"}]
    assert (store.keys("x"), store.stages()) == ({stage.key}, ["x"])
    with store.marked(stage):
        assert store.running() == {f"x-{stage.key}"}
    assert store.running() == set()
    (store.root / ".running" / "left-behind").touch()
    remove_stale(store)
    assert store.running() == set()
    assert store.has(stage)
    assert store.size() > 0
    with store.scratch() as folder:
        assert Path(folder).is_dir()
    store.remove("x", stage.key)
    assert not store.has(stage)


ON_RAY = pytest.param([], marks=[pytest.mark.ray, pytest.mark.chaos])


@pytest.mark.parametrize("how", [["--in-process"], ON_RAY], ids=["one-process", "ray"])
def test_data_and_store_in_a_bucket_give_the_same_bytes_also_after_a_kill(
    how: list[str],
    s3_data: Remote,
    s3: Remote,
    tiny_grid: Path,
    tiny_experiment: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    out, store = tmp_path / "out", Store(s3 / f"grid{len(how)}" / "store")
    arguments = ["--all", "--data", str(s3_data), "--experiment", str(tiny_experiment), "--out", str(out), *how]
    command = [sys.executable, "-m", "grid.launch", *arguments, "--store", str(store.root)]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and run.poll() is None and len(store.keys("features")) < 4:
        time.sleep(0.1)
    assert run.poll() is None
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    kept = {key: (store.folder("features", key) / "manifest.json").stat().st_mtime for key in store.keys("features")}
    assert len(kept) >= 4
    assert main(arguments) == 0, capsys.readouterr().err  # the folder knows where its store is
    assert kept == {key: (store.folder("features", key) / "manifest.json").stat().st_mtime for key in kept}
    assert (out / "predictions.parquet").read_bytes() == (tiny_grid / "predictions.parquet").read_bytes()
    here = Store(tiny_grid / "store")
    for name in here.stages():
        assert store.keys(name) == here.keys(name), name  # what is in a bucket has the keys that it has in a folder
    assert (out / "store").is_file()
    assert set(snapshot(out).cells.values()) == {"done"}
    from_run(out, "eda/all87/fold0")  # the weights are found from the result folder
    subject = pd.read_parquet(out / "predictions.parquet").subject_name[0]
    assert store_main(["forget", subject, "--out", str(out)]) == 0
    assert len(store.keys("features")) == len(here.keys("features")) * 4 // 5
    assert subject not in {f.get("subject") for f in [_facts(store, key) for key in store.keys("features")]}
    assert (store.root / "stale.csv").is_file()


def _facts(store: Store, key: str) -> dict:
    return json.loads((store.folder("features", key) / "manifest.json").read_text())["facts"]


@pytest.mark.parametrize("decoder", ["pyav", "decord"])
def test_a_clip_in_a_bucket_is_the_clip_and_a_missing_one_is_named(s3_data: Remote, tiny_data: Path, decoder: str) -> None:
    from dataprep.video.decode import open_video

    clip = next(tiny_data.rglob("*.mp4"))
    there = s3_data / clip.relative_to(tiny_data)
    for mine, other in zip(
        open_video(clip, decoder=decoder).frames, open_video(str(there), decoder=decoder).frames, strict=True
    ):
        assert all(np.array_equal(a, b) for a, b in zip(mine.planes, other.planes, strict=True))
    with pytest.raises(FileNotFoundError, match=rf"no such file.*{there.parent}/absent.mp4"):
        open_video(str(there.parent / "absent.mp4"))


def test_what_is_missing_from_a_bucket_is_said_with_its_uri(
    s3: Remote, s3_data: Remote, tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    file = next(tiny_data.rglob("*_bio.csv"))
    (s3 / "part" / "starting_point" / "samples.csv").write_bytes((tiny_data / "starting_point" / "samples.csv").read_bytes())
    for other in tiny_data.rglob("*_bio.csv"):
        if other != file:
            (s3 / "part" / other.relative_to(tiny_data)).write_bytes(other.read_bytes())
    arguments = ["--modalities", "eda", "--experiment", str(tiny_experiment), "--out", str(tmp_path / "out"), "--in-process"]
    for data, said in (
        (str(s3 / "part"), f"{s3}/part/{file.relative_to(tiny_data)}: the file is missing"),
        (str(s3 / "nowhere"), f"{s3}/nowhere: there is no such folder"),
        ("s3://no-such-bucket/x", "s3://no-such-bucket/x"),
        ("gs://bucket/x", "gs://bucket/x: expected a path, file:///path or s3://bucket/prefix"),
    ):
        with contextlib.suppress(SystemExit):  # an argument that cannot be one
            main([*arguments, "--data", data, "--strict"])
        captured = capsys.readouterr()
        assert said in captured.out + captured.err
    with pytest.raises(SystemExit):
        main([*arguments, "--data", str(s3_data), "--out", f"{s3}/out"])
    assert f"--store {s3}/out" in capsys.readouterr().err
    assert main([*arguments, "--data", str(s3_data), "--store", "s3://no-such-bucket/store"]) == 1
    assert "s3://no-such-bucket/store" in capsys.readouterr().err


def test_wrong_credentials_are_an_error_that_names_the_uri(s3: Remote) -> None:
    def free_requests(count: str) -> None:
        """After so many requests, the server looks at the credentials; nobody has any here."""
        url, kind = f"{os.environ['AWS_ENDPOINT_URL']}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(url, data=count.encode(), headers=kind, method="POST")).close()

    free_requests("0")
    try:
        with pytest.raises(OSError, match=rf"{s3}/x: cannot be reached .*(ACCESS_DENIED|INVALID_ACCESS_KEY_ID|403)"):
            list((s3 / "x").iterdir())
    finally:
        free_requests("inf")


def test_a_census_of_a_bucket_is_that_of_the_folder(
    s3_data: Remote, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """With a twin and an orphan, in both."""
    folder = Path(shutil.copytree(tiny_data, tmp_path / "tiny"))
    video = min((folder / "video").rglob("*.mp4"))
    other = max(video.parent.glob("*.mp4"))
    stray = video.with_name(f"{video.parent.name}-BL1-099.mp4")
    changed = {other: other.read_bytes()}
    try:
        for file in (other, stray):
            file.write_bytes(video.read_bytes())
            (s3_data / file.relative_to(folder)).write_bytes(video.read_bytes())
        found = []
        for at in (folder, s3_data):
            assert check_main([str(at), "--json", "--out", str(tmp_path / "look")]) == 1
            found.append(json.loads(capsys.readouterr().out.replace(str(at), "AT")))
        assert found[0] == found[1]
        assert found[0]["counts"]["findings"] == {"duplicate": 1, "orphan": 1}
    finally:
        for file, content in changed.items():
            (s3_data / file.relative_to(folder)).write_bytes(content)
        (s3_data / stray.relative_to(folder)).unlink()


def test_places_are_told_apart(tmp_path: Path) -> None:
    assert place("/data/x") == Path("/data/x")
    assert place("file:///data/a%20b") == Path("/data/a b")
    assert place("s3://bucket/x/") / "y" == Remote("s3://bucket/x/y")
    (tmp_path / "store").write_text("s3://bucket/x\n")
    assert Store(tmp_path / "store").root == Remote("s3://bucket/x")
    for wrong in ("gs://b/x", "s3:///x", "s3://key:secret@bucket/x", "file://host/x"):
        with pytest.raises(ValueError, match="expected a path"):
            place(wrong)
