"""`faces`: the face track, float32 (T, 15): box, landmarks, score, as dataprep.video.face_tracking gives them."""

from __future__ import annotations

from dataprep.recordings.kind import VIDEO, Recording

RECORDING = Recording(name="faces", of=VIDEO, shape=lambda facts: (facts.n_steps, 15), of_track=lambda track: track.states)
