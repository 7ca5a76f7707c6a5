"""Videos as streams of frames: two decoders under one contract, the clock, windows, colours, broken files."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dataprep.records import RecordingError
from dataprep.video.decode import DECODERS, Frame, open_video, steps
from tests.dataprep.video import makers

CLIPS = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "videos"
both = pytest.mark.parametrize("decoder", list(DECODERS))


def write(
    path: Path, n: int, *, rate: int | Fraction = 25, skip: Sequence[int] = (), start: int = 0, **options: str
) -> Path:
    """A clip of 128x96 whose frame t shows the number t as eight bars, a bit each, the highest on the left; without `skip`."""
    with av.open(str(path), "w", options={k: v for k, v in options.items() if k == "movflags"}) as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.codec_context.gop_size = 12
        for t in range(start, start + n):
            bars = np.repeat([40 + 170 * (t >> bit & 1) for bit in range(7, -1, -1)], 16).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.tile(bars[None, :, None], (96, 1, 3)), format="rgb24")
            frame.pts = t - start
            if t not in skip:
                container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def number(frame: Frame) -> int:
    """Which frame of `write` this is."""
    bars = frame.window((0, 0, frame.width, frame.height), width=8, height=8).mean(axis=(0, 2))
    return int(sum(1 << (7 - n) for n, bar in enumerate(bars) if bar > 125))


def numbers(path: Path, decoder: str, n_steps: int | None, clock_hz: float = 25.0) -> list[int]:
    return [number(frame) for frame in steps(open_video(path, decoder=decoder), clock_hz=clock_hz, n_steps=n_steps)]


@both
def test_step_k_is_frame_k(tmp_path: Path, decoder: str) -> None:
    assert numbers(write(tmp_path / "a.mp4", 138), decoder, 138) == list(range(138))


@both
def test_one_missing_frame_at_the_end_is_held_and_two_are_refused(tmp_path: Path, decoder: str) -> None:
    assert numbers(write(tmp_path / "a.mp4", 137), decoder, 138) == [*range(137), 136]
    with pytest.raises(RecordingError, match=r"b\.mp4: found 136 frames, expected 138"):
        numbers(write(tmp_path / "b.mp4", 136), decoder, 138)


@both
def test_steps_follow_the_clock_where_a_frame_was_dropped(tmp_path: Path, decoder: str) -> None:
    assert numbers(write(tmp_path / "a.mp4", 60, skip=[20]), decoder, 60) == [*range(20), 19, *range(21, 60)]
    with pytest.raises(RecordingError, match="found no frame between"):
        numbers(write(tmp_path / "b.mp4", 170, skip=[20, 21, 22]), decoder, 170)


@pytest.mark.slow
@both
def test_a_video_of_another_rate_is_taken_by_the_times_of_its_frames(tmp_path: Path, decoder: str) -> None:
    """Step k is the frame on screen at k / 25 s; a frame that comes within a quarter of a step is on screen already."""
    for rate in (
        Fraction(30),
        Fraction(30000, 1001),
        Fraction(50),
        Fraction(60000, 1001),
        Fraction(24000, 1001),
        Fraction(12),
        Fraction(10),
    ):
        path = write(tmp_path / f"{float(rate):g}.mp4", round(3.2 * rate), rate=rate)
        expected = [int((k + 0.25) / 25 * float(rate) + 1e-6) for k in range(75)]
        assert numbers(path, decoder, 75) == expected, rate
    assert numbers(tmp_path / "30.mp4", decoder, None) == list(range(96))
    assert numbers(tmp_path / "30.mp4", decoder, 40, clock_hz=30.0) == list(range(40))
    with pytest.raises(RecordingError, match=r"8\.mp4: found 8\.00 f.*too few: expected at least 10"):
        numbers(write(tmp_path / "8.mp4", 40, rate=8), decoder, 75)


@pytest.mark.slow
@both
@pytest.mark.parametrize("rate", [15, 30])
def test_one_frame_of_another_rate_may_be_missing_and_two_not(tmp_path: Path, decoder: str, rate: int) -> None:
    many = 4 * rate
    assert len(numbers(write(tmp_path / "one.mp4", many, rate=rate, skip=[20]), decoder, 75)) == 75
    with pytest.raises(RecordingError, match="found no frame between"):
        numbers(write(tmp_path / "three.mp4", many, rate=rate, skip=[20, 21, 22]), decoder, 75)
    with pytest.raises(RecordingError, match=r"75 steps of 25 a second"):
        numbers(write(tmp_path / "short.mp4", round(2.7 * rate), rate=rate), decoder, 75)


@both
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.mp4", b"", "empty"),
        ("text.mp4", b"no video\n" * 50, "cannot be opened"),
    ],
)
def test_files_that_are_no_video(tmp_path: Path, decoder: str, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=f"{name}.*{message}"):
        numbers(path, decoder, None)


@both
def test_a_file_that_is_not_there_is_not_the_recordings_fault(tmp_path: Path, decoder: str) -> None:
    with pytest.raises(FileNotFoundError, match="no such file; expected a video"):
        numbers(tmp_path / "absent.mp4", decoder, None)


@both
@pytest.mark.parametrize(("name", "share"), [("cut.mp4", 0.6), ("cut.mkv", 0.4)])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, decoder: str, name: str, share: float) -> None:
    whole = write(tmp_path / f"whole{Path(name).suffix}", 100, movflags="faststart").read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(RecordingError, match=name):
        numbers(tmp_path / name, decoder, None)


def test_an_avi_that_lost_its_last_fifth_is_refused(tmp_path: Path) -> None:
    kind = makers.Kind(codec="mjpeg", pixels="yuvj420p")
    whole = makers.write(tmp_path / "whole.avi", kind).read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: int(len(whole) * 0.8)])
    with pytest.raises(RecordingError, match="expected 20 by its header: it was cut off"):
        list(steps(open_video(tmp_path / "cut.avi")))


def test_a_file_without_pictures_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        stream.layout = "mono"
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(RecordingError, match="no video stream"):
        open_video(tmp_path / "sound.mkv")


def test_an_unknown_decoder_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'ffmpeg'.*pyav, decord"):
        open_video(tmp_path / "a.mp4", decoder="ffmpeg")


@pytest.mark.slow
def test_without_decord_the_default_decoder_works_and_decord_is_refused_by_name(tmp_path: Path) -> None:
    from dataprep.synthetic.dataset import write_synthetic

    write_synthetic(tmp_path / "data", subjects=1, trials=1, size=(160, 120), classes=("BL1",))
    clip = next((tmp_path / "data").rglob("*.mp4"))
    code = f"""
import sys
sys.modules["decord"] = None  # an import then fails, as on ARM
from dataprep.records import InputError
from dataprep.video.decode import open_video
from grid.experiment import config
assert len(list(open_video({str(clip)!r}).frames)) == 138
config.load("demo")
for refused in (lambda: open_video({str(clip)!r}, decoder="decord"), lambda: config.load("demo", faces={{"decoder": "decord"}})):
    try:
        refused()
    except InputError as error:
        assert "not installed here" in str(error) and "expected 'pyav'" in str(error)
    else:
        raise AssertionError
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("clip", ["asl/brother.mkv", "misc/pyfeat_no_face.mp4", "misc/pyfeat_face_noface.mov"])
def test_decoders_agree_on_recordings(clip: str) -> None:
    path = CLIPS / clip
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    n = 0
    for a, b in zip(*(steps(open_video(path, decoder=d)) for d in ("pyav", "decord")), strict=True):
        whole = (0, 0, a.width, a.height)
        one, other = (f.window(whole, width=160, height=120).astype(int) for f in (a, b))
        assert abs(one - other).mean() < 3
        assert a.time_s == pytest.approx(b.time_s, abs=1e-3)
        n += 1
    assert n > 50


def test_decord_refuses_program_streams_that_it_would_shift() -> None:
    path = CLIPS / "grid" / "bbaf2n.mpg"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    assert sum(1 for _ in steps(open_video(path), n_steps=75)) == 75
    with pytest.raises(RecordingError, match=r"bbaf2n\.mpg.*'pyav'"):
        list(open_video(path, decoder="decord").frames)


def rgb_frame(rgb: np.ndarray) -> Frame:
    return Frame(0.0, (rgb,), None)


def test_a_window_is_an_area_average_at_sub_pixel_position() -> None:
    y, x = np.mgrid[:480, :640]
    frame = rgb_frame(np.stack([x * 0.3, y * 0.4, (x + y) * 0.2], axis=-1).round().astype(np.uint8))
    box = (101.5, 60.25, 421.5, 380.25)
    found = frame.window(box, width=100, height=100).astype(float)
    centres = (np.arange(100) + 0.5) * 3.2
    np.testing.assert_allclose(found[50, :, 0], (box[0] + centres - 0.5) * 0.3, atol=1.2)
    np.testing.assert_allclose(found[:, 50, 1], (box[1] + centres - 0.5) * 0.4, atol=1.2)


def test_fine_detail_is_averaged_not_sampled() -> None:
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[:, ::2] = 200
    assert abs(rgb_frame(stripes).window((0, 0, 400, 400), width=50, height=50).astype(int) - 100).max() <= 2


@pytest.mark.parametrize("box", [(-60, -40, 40, 60), (90, 60, 190, 160), (-100, -100, 300, 300), (200, 200, 260, 260)])
def test_beyond_the_edge_the_edge_is_repeated(box: tuple[float, float, float, float]) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (100, 120, 3), np.uint8)
    padded = np.pad(rgb, ((300, 300), (300, 300), (0, 0)), mode="edge")
    x0, y0, x1, y1 = (int(v) for v in box)
    side = x1 - x0
    expected = padded[300 + y0 : 300 + y1, 300 + x0 : 300 + x1]
    found = rgb_frame(rgb).window(box, width=side, height=side)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("matrix", "full"), [(1, False), (5, False), (5, True), (1, True)])
def test_colours_are_those_of_ffmpeg(matrix: int, full: bool, tmp_path: Path) -> None:
    rgb = np.zeros((96, 128, 3), np.uint8)
    for n, colour in enumerate([(200, 40, 40), (40, 180, 60), (50, 60, 210), (230, 200, 170)]):
        rgb[:, 32 * n : 32 * n + 32] = colour
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "4"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 2 if full else 1
        native = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=matrix, dst_color_range=2 if full else 1
        )
        container.mux(stream.encode(native))
        container.mux(stream.encode())
    frame = next(iter(open_video(tmp_path / "a.mp4").frames))
    assert frame.to_rgb is not None
    found = frame.window((0, 0, 128, 96), width=128, height=96).astype(int)
    for n in range(4):
        inside = slice(32 * n + 8, 32 * n + 24)
        assert abs(found[8:-8, inside] - rgb[8:-8, inside]).max() <= 6


def test_pictures_of_another_format_are_converted(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p10le"
        picture = np.full((48, 64, 3), (180, 90, 30), np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    frame = next(iter(open_video(tmp_path / "a.mkv").frames))
    assert abs(frame.window((0, 0, 64, 48), width=64, height=48).astype(int) - picture).max() <= 4


@pytest.mark.parametrize(
    ("matrix", "expected"), [((0, 1, -1, 0), "top"), ((0, -1, 1, 0), "bottom"), ((-1, 0, 0, -1), "right")]
)
def test_a_turned_recording_is_shown_upright(tmp_path: Path, matrix: tuple[int, ...], expected: str) -> None:
    """Phones write the turn into the track header's matrix; the clip is brighter on its left before turning."""
    path = write(tmp_path / "a.mp4", 3, start=240)
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    a, b, c, d = (v << 16 for v in matrix)
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    frame = next(iter(open_video(path).frames))
    grey = frame.window((0, 0, frame.width, frame.height), width=32, height=32).mean(axis=2)
    sides: dict[str, Callable[[], float]] = {
        "top": lambda: grey[:4].mean(),
        "bottom": lambda: grey[-4:].mean(),
        "left": lambda: grey[:, :4].mean(),
        "right": lambda: grey[:, -4:].mean(),
    }
    assert (frame.width, frame.height) == ((128, 96) if expected == "right" else (96, 128))
    assert max(sides, key=lambda side: sides[side]()) == expected
