"""A made-up face that shows pain: one public-domain portrait, turned into many people and set in motion.

The portrait is NASA's of Eileen Collins (public domain), which ships inside scikit-image. A person is that portrait with
another shape, colour, size and side; a trial adds light, position, slow head motion, blinks and chance movements. Pain
moves what pain is known to move (Prkachin & Solomon 2008): brows down, eyes narrow, cheeks and upper lip up, mouth open.
Every movement is a smooth displacement field of `ACTIONS`; a frame is the portrait pulled by their weighted sum.

Coordinates in the tables are pixels of the 512 x 512 portrait, x to the right and y down, "left" as seen in the picture.
Frames are (height, width, 3) uint8, RGB. Shapes: K actions, T frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import skimage.data

RATE_HZ = 25
N_FRAMES = 138
CENTRE = (225.0, 118.0)  # of the face in the portrait
FACE_BOX = (165, 72, 285, 190)  # left, top, right, bottom: nothing outside it is moved by an action
MARGIN = 0.08  # of the canvas around the frame, so that head motion uncovers no border
# action: (x, y, spread in x, spread in y, shift in x, shift in y) a row; the shift at full strength, in pixels
PUSHES: dict[str, tuple[tuple[float, ...], ...]] = {
    "brows": ((211, 91, 10, 6, 1.5, 4.6), (238, 93, 10, 6, -1.5, 4.6), (194, 91, 9, 6, 0, 3), (255, 94, 9, 6, 0, 3)),
    "eyes": ((203, 109, 13, 6, 0, -2.6), (246, 111, 13, 6, 0, -2.6), (203, 96, 11, 5, 0, 2.2), (246, 98, 11, 5, 0, 2.2)),
    "cheeks": ((196, 124, 11, 8, 0, -3.5), (252, 126, 11, 8, 0, -3.5), (213, 133, 9, 6, 0, -3.2), (235, 133, 9, 6, 0, -3.2)),
    "mouth": ((224, 156, 18, 9, 0, 6.5), (202, 142, 9, 8, -3, 1.5), (246, 141, 9, 8, 3, 1.5)),
    "blink": ((203, 96, 12, 5, 0, 6), (246, 98, 12, 5, 0, 6)),
    "smile": ((202, 142, 10, 9, -2.5, -3.5), (246, 141, 10, 9, 2.5, -3.5)),
}
ACTIONS = tuple(PUSHES)
PAIN = np.array([1.0, 1.0, 1.0, 0.9, 0.0, -0.3])  # strength of each action in severe pain


@dataclass(frozen=True)
class Person:
    """The properties of a subject that are equal in all trials. `expression` scales how much pain the face shows (1: clearly)."""

    expression: float
    stretch: tuple[float, float]
    zoom: float
    mirrored: bool
    tone: tuple[float, float, float]
    gamma: float
    shade: float
    shape_seed: int
    blinks_per_s: float


def draw_person(rng: np.random.Generator, *, expressive: bool) -> Person:
    """A person; one who is not expressive shows almost nothing."""
    light = rng.uniform(0.72, 1.08)
    return Person(
        expression=float(rng.uniform(0.75, 1.1) if expressive else rng.uniform(0.05, 0.2)),
        stretch=(float(rng.uniform(0.92, 1.1)), float(rng.uniform(0.94, 1.08))),
        zoom=float(rng.uniform(1.5, 1.9)),
        mirrored=bool(rng.random() < 0.5),
        tone=tuple(light * rng.uniform(0.9, 1.08, 3)),
        gamma=float(rng.uniform(0.8, 1.3)),
        shade=float(rng.uniform(-0.5, 0.5)),
        shape_seed=int(rng.integers(2**31)),
        blinks_per_s=float(rng.uniform(0.1, 0.4)),
    )


@cache
def _portrait() -> np.ndarray:
    """(512, 512, 3) float32 in [0, 1]: head and shoulders before a plain wall of the colour that surrounds the head."""
    rgb = skimage.data.astronaut().astype(np.float32) / 255
    mask = np.zeros(rgb.shape[:2], np.float32)
    cv2.ellipse(mask, (228, 88), (80, 84), 0, 0, 360, 1.0, -1)
    cv2.fillPoly(mask, [np.array([(170, 140), (285, 140), (345, 250), (400, 512), (20, 512), (80, 240)], np.int32)], 1.0)
    mask = cv2.GaussianBlur(mask, (0, 0), 7)[..., None]
    wall = np.median(rgb[20:100, 310:350], axis=(0, 1))
    return rgb * mask + wall.astype(np.float32) * (1 - mask)


def _displacement(pushes: Iterable[tuple[float, ...]], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Sum of Gaussian pushes at the points (x, y) of the portrait: (..., 2) float32, in its pixels."""
    d = np.zeros((*x.shape, 2), np.float32)
    for px, py, sx, sy, dx, dy in pushes:
        g = np.exp(-0.5 * (((x - px) / sx) ** 2 + ((y - py) / sy) ** 2))
        d += g[..., None] * np.array([dx, dy], np.float32)
    return d


@dataclass(frozen=True)
class _Stage:
    """A person drawn at rest on a canvas, and inside the box around the face the pixel grid
    (H, W, 2) and the displacement by every action (K, H, W, 2)."""

    canvas: np.ndarray
    box: tuple[int, int, int, int]
    grid: np.ndarray
    moves: np.ndarray


def _stage(person: Person, *, size: tuple[int, int], light: float) -> _Stage:
    """Draw the person for frames of `size` (width, height)."""
    width, height = (round(n * (1 + 2 * MARGIN)) for n in size)
    zoom_x, zoom_y = (person.zoom * s * size[1] / 480 for s in person.stretch)
    side = -1.0 if person.mirrored else 1.0
    u, v = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x = CENTRE[0] + side * (u - width / 2) / zoom_x
    y = CENTRE[1] + (v - height * 0.48) / zoom_y
    rng = np.random.default_rng(person.shape_seed)
    # Another head: smooth pushes of a few pixels all over the face, and a mouth that smiles less than the portrait's.
    shape = [(*rng.uniform(FACE_BOX[:2], FACE_BOX[2:]), *rng.uniform(16, 28, 2), *rng.normal(0, 3.2, 2)) for _ in range(10)]
    rest = [(202, 143, 11, 9, 1.5, 3.5), (246, 142, 11, 9, -1.5, 3.5)]
    d = _displacement([*shape, *rest], x, y)
    source_x, source_y = (x - d[..., 0]).astype(np.float32), (y - d[..., 1]).astype(np.float32)
    rgb = cv2.remap(_portrait(), source_x, source_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shade = 1 + person.shade * (u / width - 0.5)[..., None]  # light from one side
    canvas = (255 * np.clip(light * shade * np.array(person.tone) * rgb**person.gamma, 0, 1)).astype(np.uint8)
    inside = (x >= FACE_BOX[0]) & (x <= FACE_BOX[2]) & (y >= FACE_BOX[1]) & (y <= FACE_BOX[3])
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    cut = np.s_[box[1] : box[3], box[0] : box[2]]
    # The actions fade out at the box, so that no edge shows where the moved patch is put back.
    fade = cv2.GaussianBlur(np.pad(np.ones((box[3] - box[1] - 24, box[2] - box[0] - 24), np.float32), 12), (0, 0), 5)
    scale = np.array([side * zoom_x, zoom_y], np.float32)
    moves = [_displacement(PUSHES[a], x[cut], y[cut]) * scale * fade[..., None] for a in ACTIONS]
    grid = np.stack(np.meshgrid(np.arange(box[0], box[2]), np.arange(box[1], box[3])), axis=-1).astype(np.float32)
    return _Stage(canvas, box, grid, np.stack(moves))


def _smooth_noise(rng: np.random.Generator, *, knots: int, n_rows: int) -> np.ndarray:
    """(n_rows, T) slow random curves of about unit strength."""
    at = np.linspace(0, knots - 1, N_FRAMES)
    low = np.floor(at).astype(int).clip(max=knots - 2)
    w = (1 - np.cos(np.pi * (at - low))) / 2
    k = rng.normal(0, 1, (n_rows, knots))
    return k[:, low] * (1 - w) + k[:, low + 1] * w


def movement(person: Person, rng: np.random.Generator, *, level: float, held: bool = False) -> np.ndarray:
    """(K, T) strength of every action over a trial: chance movements, and pain of `level` that sets in after 2 s.

    `held`: pain is shown alike from the first frame to the last, so that any single frame tells it.
    """
    time_s = np.arange(N_FRAMES) / RATE_HZ
    strength = _smooth_noise(rng, knots=6, n_rows=len(ACTIONS)) * np.array([0.14, 0.1, 0.1, 0.1, 0.0, 0.25])[:, None]
    for at_s in rng.uniform(0, N_FRAMES / RATE_HZ, rng.poisson(person.blinks_per_s * N_FRAMES / RATE_HZ)):
        strength[ACTIONS.index("blink")] += np.exp(-0.5 * ((time_s - at_s) / 0.07) ** 2)
    onset_s, rise_s, shown = rng.uniform(2.0, 2.7), rng.uniform(0.5, 1.3), rng.random() > 0.08
    s = np.clip((time_s - onset_s) / rise_s, 0, 1)
    course = s * s * (3 - 2 * s) * (1 + 0.15 * _smooth_noise(rng, knots=8, n_rows=1)[0])
    if held:
        course = np.ones_like(course)
    mix = PAIN * rng.uniform(0.6, 1.25, len(PAIN))
    peak = level * person.expression * shown * np.clip(rng.lognormal(0, 0.25), 0.5, 1.4)
    strength += peak * mix[:, None] * course
    strength[ACTIONS.index("blink")] = strength[ACTIONS.index("blink")].clip(0, 1)
    return strength.clip(-0.6, 1.5)


def frames(
    person: Person, rng: np.random.Generator, *, level: float, size: tuple[int, int], held: bool = False
) -> Iterator[np.ndarray]:
    """The 138 frames of a trial in which the face shows pain of `level` (0 to 1), as `movement`; `size` is (width, height)."""
    stage = _stage(person, size=size, light=rng.uniform(0.9, 1.08))
    unit = size[1] / 480
    place = rng.normal(0, 9 * unit, 2)
    sway = _smooth_noise(rng, knots=5, n_rows=4) * np.array([4 * unit, 3 * unit, 1.2, 0.008])[:, None]
    centre = (stage.canvas.shape[1] / 2, stage.canvas.shape[0] * 0.6)
    x0, y0, x1, y1 = stage.box
    posed = stage.canvas.copy()
    for k, strength in enumerate(movement(person, rng, level=level, held=held).T.astype(np.float32)):
        source = stage.grid - np.tensordot(strength, stage.moves, 1)
        posed[y0:y1, x0:x1] = cv2.remap(stage.canvas, source[..., 0], source[..., 1], cv2.INTER_LINEAR)
        turn = cv2.getRotationMatrix2D(centre, sway[2, k], 1 + sway[3, k])
        turn[:, 2] += place + sway[:2, k] - np.array(size) * MARGIN
        yield cv2.warpAffine(posed, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def write_video(path: Path, images: Iterable[np.ndarray], *, rng: np.random.Generator, grain: float = 2.0) -> None:
    """RGB frames, even in width and height, as H.264 with 25 frames/s; `grain` is the camera noise's SD in grey levels."""
    with av.open(str(path), "w") as out:
        stream = None
        for image in images:
            height, width = image.shape[:2]
            if stream is None:
                stream = out.add_stream("libx264", rate=Fraction(RATE_HZ), options={"preset": "ultrafast", "crf": "23"})
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                stream.thread_count = 1  # the same bytes on every machine, and the other cores encode other trials
                noise = rng.normal(0, grain, (height + 64, width + 64)).round().astype(np.int8)
            yuv = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
            dy, dx = rng.integers(64, size=2)
            yuv[:height] = cv2.add(yuv[:height], noise[dy : dy + height, dx : dx + width], dtype=cv2.CV_8U)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(yuv.astype(np.uint8, copy=False), format="yuv420p")))
        if stream is not None:
            out.mux(stream.encode())
