"""Units of signals as people write them: which are one, and by how much one is larger than another."""

from __future__ import annotations

PREFIXES = {"": 0, "k": 3, "m": -3, "u": -6, "n": -9}
BASES = {"S": "S", "siemens": "S", "V": "V", "volt": "V", "volts": "V"}
WORDS = {"micro": "u", "milli": "m", "nano": "n", "kilo": "k"}
ALIKE = {"°c": "°C", "degc": "°C", "celsius": "°C", "%": "%", "percent": "%"}


def factor(unit: str, other: str) -> float | None:
    """What a value in `unit` is multiplied with to be in `other`; None where the two are not of one kind, or not known."""
    if unit.strip() == other.strip():
        return 1.0
    (base, power), (other_base, other_power) = _read(unit), _read(other)
    return 10.0 ** (power - other_power) if base and base == other_base else None


def _read(unit: str) -> tuple[str, int]:
    """The base of a unit and its power of ten; an empty base where it is not known."""
    text = unit.strip().replace("µ", "u").replace("μ", "u")
    if text.lower() in ALIKE:
        return ALIKE[text.lower()], 0
    for word, prefix in WORDS.items():
        if text.lower().startswith(word):
            text = prefix + text[len(word) :].lower()
    for prefix, power in PREFIXES.items():
        if text.startswith(prefix) and text[len(prefix) :] in BASES:
            return BASES[text[len(prefix) :]], power
    return "", 0
