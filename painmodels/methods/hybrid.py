"""The paper's method (section 3): CNN, LSTM and attention on the face; an LSTM on the signals; a fusion of both.

Each sub-network is trained alone and frozen before it feeds the next. Which networks these are, the experiment says ([spatial],
[temporal], [attention], [physiological], [fusion]).
"""

from __future__ import annotations

from painmodels.methods.graph import Choice, Input, Method, Part

SPATIAL = Part("spatial", (Input("features"),), pretrained=True)
TEMPORAL = Part("temporal", (Input(part="spatial"),))
ATTENTION = Part("attention", (Input(part="temporal"), Input("mask")), keeps="attention")
PHYSIOLOGICAL = Part("physiological", (Input("signals"),))
FUSION = Part("fusion", (Input(part="attention"), Input(part="physiological")))
STEPWISE = Part("fusion", (Input(part="temporal"), Input(part="physiological", output="sequence")))
"""A fusion that compares the streams step by step: the attention's sum would hide the steps."""


def parts(words: tuple[str, ...], choice: Choice) -> tuple[Part, ...]:
    """`frame` is the CNN alone, `video` ends in the attention, signals in the LSTM, both in the fusion."""
    if words == ("frame",):
        return (SPATIAL,)
    if "video" not in words:
        return (PHYSIOLOGICAL,)
    if words == ("video",):
        return (SPATIAL, TEMPORAL, ATTENTION)
    if choice("fusion").sequences:
        return (SPATIAL, TEMPORAL, PHYSIOLOGICAL, STEPWISE)
    return (SPATIAL, TEMPORAL, ATTENTION, PHYSIOLOGICAL, FUSION)


METHOD = Method("hybrid", on=("frame", "eda", "ecg", "emg", "video"), parts=parts, several=True)
