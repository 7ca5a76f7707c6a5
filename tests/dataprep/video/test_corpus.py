"""One face in every container, codec, orientation, shape of pixels, format, rate and clock that PyAV writes here.

Each clip is compared with the plain one (MP4, H.264, 4:2:0, square pixels, upright): crops of the face at the same place within
3 grey levels on average in every frame (3.5 where columns or rows were given up), times within a millisecond of those
written. What is refused is refused with its reason.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest

from dataprep.faces import FaceSettings, crop, prepare_video
from dataprep.records import RecordingError
from dataprep.video.decode import open_video, steps
from dataprep.video.face_tracking import FaceTrack
from tests.dataprep.video.makers import RATE, SIZE, Kind, N, write

pytestmark = pytest.mark.slow

LEVELS, SQUEEZED, SECONDS = 3.0, 3.5, 1e-3
FINE = {
    "mpeg4": {"b": "6M"},
    "mpeg2video": {"b": "6M"},
    "mpeg1video": {"b": "6M"},
    "wmv2": {"b": "6M"},
    "msmpeg4": {"b": "6M"},
}
FINE |= {"mjpeg": {"qmin": "1", "qmax": "2"}, "libsvtav1": {"preset": "12", "crf": "15"}, "libx264": {"crf": "12"}}
FINE |= {"libx265": {"preset": "ultrafast", "crf": "12"}, "libvpx-vp9": {"crf": "10", "b": "0", "cpu-used": "8"}}
FINE |= {"libvpx": {"crf": "4", "b": "6M", "cpu-used": "8"}, "libx264rgb": {"crf": "12"}}
PIXELS = {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le", "huffyuv": "yuv422p", "rawvideo": "yuyv422"}
CODECS = {
    "mp4": ["libx264", "libx265", "libvpx-vp9", "libsvtav1", "mpeg4", "mpeg2video", "mjpeg"],
    "mov": ["libx264", "libx265", "mpeg4", "mjpeg", "prores_ks"],
    "mkv": ["libx264", "libx265", "libvpx-vp9", "libvpx", "libsvtav1", "mpeg4", "mpeg2video", "mjpeg", "ffv1"],
    "webm": ["libvpx-vp9", "libvpx", "libsvtav1"],
    "avi": ["libx264", "mpeg4", "mpeg2video", "mjpeg", "libvpx", "msmpeg4", "huffyuv", "rawvideo"],
    "ts": ["libx264", "libx265", "mpeg2video"],
    "mpg": ["mpeg2video", "mpeg1video"],
    "vob": ["mpeg2video"],
    "3gp": ["libx264"],
    "flv": ["libx264"],
    "wmv": ["wmv2", "libx264"],
}
WRITTEN = [(container, codec) for container, codecs in CODECS.items() for codec in codecs]
TURNED = ["mirrored", "flipped", "turned right", "transposed"]
# PyAV passes the shape of pixels on in the codec's own headers, or in MOV's; these have none, and their containers get none.
NO_SHAPE = {"libvpx-vp9", "libvpx", "libsvtav1", "ffv1", "huffyuv", "rawvideo", "msmpeg4", "wmv2"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("corpus")


@cache
def reference(folder: Path) -> tuple[FaceTrack, np.ndarray]:
    path = write(folder / "plain.mp4", kind("libx264"))
    return prepare_video(path, FaceSettings()), crops(path, folder, boxes=prepare_video(path, FaceSettings()).boxes_T4)[0]


def crops(
    path: Path, folder: Path, *, decoder: str = "pyav", boxes: np.ndarray | None = None
) -> tuple[np.ndarray, list[float]]:
    """The crops where the plain clip's face is, and the times."""
    boxes_T4 = reference(folder)[0].boxes_T4 if boxes is None else boxes
    found, times_s = [], []
    for n, frame in enumerate(steps(open_video(path, decoder=decoder))):
        assert abs(frame.width / frame.height / (SIZE[0] / SIZE[1]) - 1) < 0.02
        scale = np.array([frame.width, frame.height] * 2) / (SIZE * 2)
        found.append(crop(frame, boxes_T4[n] * scale, FaceSettings()).astype(int))
        times_s.append(frame.time_s)
    return np.stack(found), times_s


def check(
    path: Path,
    folder: Path,
    *,
    decoder: str = "pyav",
    rate: Fraction | int = RATE,
    times: tuple[int, ...] = (),
    levels: float = LEVELS,
) -> None:
    found, times_s = crops(path, folder, decoder=decoder)
    expected = reference(folder)[1]
    assert len(found) == N
    assert np.abs(found - expected).mean(axis=(1, 2, 3)).max() < levels
    wanted_s = (np.array(times) - times[0]) / 1000 if times else np.arange(N) / float(rate)
    np.testing.assert_allclose(times_s, wanted_s, atol=SECONDS)


def kind(codec: str, **more: object) -> Kind:
    return Kind(**{"codec": codec, "pixels": PIXELS.get(codec, "yuv420p"), "options": FINE.get(codec, {}), **more})  # type: ignore[arg-type]


def read_by_both(path: Path, folder: Path, **more: object) -> None:
    """Right with FFmpeg; with decord right, or refused for a reason that names the other."""
    check(path, folder, **more)  # type: ignore[arg-type]
    refused = ""
    try:
        check(path, folder, decoder="decord", **more)  # type: ignore[arg-type]
    except RecordingError as error:
        refused = str(error)
    assert not refused or "which decord cannot read; expected decoder 'pyav'" in refused


@pytest.mark.parametrize(("container", "codec"), WRITTEN)
def test_every_container_and_codec(folder: Path, container: str, codec: str) -> None:
    read_by_both(write(folder / f"a.{container}", kind(codec)), folder)


@pytest.mark.parametrize(("container", "codec"), [c for c in WRITTEN if c[0] in ("mp4", "mov", "mkv")])
def test_every_orientation_where_the_container_stores_it(folder: Path, container: str, codec: str) -> None:
    for orientation in TURNED:
        read_by_both(write(folder / f"o.{container}", kind(codec, orientation=orientation)), folder)


@pytest.mark.parametrize(("container", "codec"), WRITTEN)
def test_every_shape_of_pixels_where_it_is_stored(folder: Path, container: str, codec: str) -> None:
    stored = 0
    for sar in (Fraction(64, 45), Fraction(8, 9), Fraction(2), Fraction(6, 11)):
        path = write(folder / f"s.{container}", kind(codec, sar=sar))
        with av.open(str(path)) as file:
            written = file.streams.video[0].sample_aspect_ratio
            if not written or abs(written / sar - 1) > 0.02:  # what the writer cannot write
                continue
        stored += 1
        read_by_both(path, folder, levels=SQUEEZED)
    assert stored >= (
        1 if codec == "mpeg1video" else 4 if container in ("mp4", "mov", "3gp") or codec not in NO_SHAPE else 0
    )


def test_orientation_and_shape_together(folder: Path) -> None:
    for container in ("mp4", "mov", "mkv"):
        for orientation in TURNED:
            path = write(folder / f"both.{container}", kind("libx264", orientation=orientation, sar=Fraction(64, 45)))
            read_by_both(path, folder, levels=SQUEEZED)


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_every_depth_subsampling_range_and_matrix(folder: Path, codec: str, pixels: str, full: bool) -> None:
    for matrix in (0, 1, 5, 9) if codec == "libx264" else (1, 9):
        read_by_both(write(folder / "p.mp4", kind(codec, pixels=pixels, matrix=matrix, full=full)), folder)


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("f.mov", "prores_ks", "yuva444p10le"),
        ("f.mkv", "ffv1", "yuv444p16le"),
        ("f.mkv", "libsvtav1", "yuv420p10le"),
        ("f.webm", "libvpx-vp9", "yuva420p"),
        ("f.webm", "libvpx-vp9", "gbrp"),
        ("f.mp4", "libx264rgb", "rgb24"),
        ("f.avi", "rawvideo", "bgr24"),
        ("f.mkv", "rawvideo", "nv12"),
        ("f.mov", "png", "rgb24"),
        ("f.avi", "mjpeg", "yuvj422p"),
        ("f.avi", "mjpeg", "yuvj444p"),
    ],
)
def test_other_formats_of_pictures(folder: Path, name: str, codec: str, pixels: str) -> None:
    read_by_both(write(folder / name, kind(codec, pixels=pixels)), folder)


RATES = [Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(50), Fraction(60)]
TIMED = [("mp4", "libx264"), ("mov", "libx265"), ("mkv", "libx264"), ("webm", "libvpx-vp9"), ("ts", "libx264")]


@pytest.mark.parametrize(("container", "codec"), [*TIMED, ("avi", "libx264"), ("avi", "mpeg4"), ("mpg", "mpeg2video")])
def test_every_rate(folder: Path, container: str, codec: str) -> None:
    for rate in RATES:
        read_by_both(write(folder / f"r.{container}", kind(codec, rate=rate)), folder, rate=rate)


UNEVEN = tuple(int(t) for t in np.cumsum([0, 40, 33, 47, 40, 60, 20, 40, 80, 40, 40, 41, 39, 33, 34, 33, 100, 40, 40, 40]))
SHIFTS = {
    "uneven": UNEVEN,
    "late": tuple(40 * n + 5000 for n in range(N)),
    "negative": tuple(40 * n - 200 for n in range(N)),
}


@pytest.mark.parametrize("times", list(SHIFTS))
@pytest.mark.parametrize(("container", "codec"), TIMED)
def test_variable_rates_and_other_beginnings(folder: Path, container: str, codec: str, times: str) -> None:
    path = write(folder / f"t.{container}", kind(codec, times=SHIFTS[times]))
    if times == "negative" and container in ("mp4", "mov"):  # there an edit list begins at 0: what is before is not shown
        found, times_s = crops(path, folder)
        assert np.abs(found[:, 100, 100] - reference(folder)[1][-len(found) :, 100, 100]).mean() < 2 * LEVELS
        assert len(found) in (N - 5, N)
        np.testing.assert_allclose(times_s, np.arange(len(found)) / RATE, atol=SECONDS)
        return
    read_by_both(path, folder, times=SHIFTS[times])


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("mp4", "libx264"),
        ("mkv", "libx264"),
        ("avi", "libx264"),
        ("ts", "libx264"),
        ("ts", "mpeg2video"),
        ("mpg", "mpeg2video"),
    ],
)
def test_interlaced_storage(folder: Path, container: str, codec: str) -> None:
    options = {**FINE.get(codec, {}), "flags": "+ildct+ilme"}
    read_by_both(write(folder / f"i.{container}", kind(codec, options=options)), folder)


@pytest.mark.parametrize("bf", ["0", "2", "5"])
def test_reordered_pictures_in_every_container(folder: Path, bf: str) -> None:
    for container in ("mp4", "mkv", "avi", "ts", "flv", "wmv", "3gp"):
        read_by_both(
            write(folder / f"b.{container}", kind("libx264", options={"bf": bf, "b-adapt": "0", "crf": "12"})), folder
        )


def test_a_trial_of_exact_length_loses_no_step_in_avi(folder: Path) -> None:
    path = write(folder / "clock.avi", kind("libx264", options={"bf": "3", "b-adapt": "0", "crf": "12"}))
    frames = list(steps(open_video(path), n_steps=N))
    assert [round(f.time_s * RATE) for f in frames] == list(range(N))


def test_an_avi_that_starts_late_is_whole_and_one_that_was_cut_is_not(folder: Path) -> None:
    path = write(folder / "late.avi", kind("libx264", times=SHIFTS["late"]))
    _, times_s = crops(path, folder)
    # AVI stores no time of the last of reordered pictures: FFmpeg shows it with the one before it.
    np.testing.assert_allclose(times_s[:-1], np.arange(N - 1) / RATE, atol=SECONDS)
    assert len(times_s) == N
    cut = folder / "late-cut.avi"
    with av.open(str(path)) as container:
        tenth = [packet.pos for packet in container.demux(video=0) if packet.size][10]
    cut.write_bytes(path.read_bytes()[: tenth - 8])
    with pytest.raises(RecordingError, match="cut off"):
        list(steps(open_video(cut)))
