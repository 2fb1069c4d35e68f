"""One colour per tissue type and one line per arm, in every figure; told apart without colour too.

The first eight colours are those of Okabe and Ito (2008), with grey for black; four more are Paul
Tol's. All are distinguishable with the common colour-vision deficiencies. Each type also has its
number, a hatch and a marker; each arm a line style and a marker.
"""

from __future__ import annotations

from dataclasses import dataclass

TYPE_COLOURS = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#6B6B6B",
    "#882255", "#332288", "#DDCC77", "#44AA99",
)  # fmt: skip
# no dots or circles: each would be a hundred kilobytes of a vector figure
_HATCHES = ("", "///", "||", "xxx", "\\\\\\", "++", "/-", "--")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
_ARM_COLOURS = ("#4D4D4D", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
_ARM_LINES = ("--", "-", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))
_ARM_MARKERS = ("o", "s", "^", "D", "v", "P")

#: what is not a tissue type: outside the liver, boxes, reference lines
INK, SOFT, LINE, TINT = "#1B1F24", "#4D5661", "#B8C0C9", "#F3F6F9"
#: diverging map of differences; zero is white
DIVERGING = "PuOr_r"


@dataclass(frozen=True)
class ArmStyle:
    """How an arm is drawn."""

    colour: str
    line: str | tuple[int, tuple[int, ...]]
    marker: str


def type_colour(number: int) -> str:
    """Colour of tissue type ``number`` (1, 2, ...); repeats after twelve."""
    return TYPE_COLOURS[(number - 1) % len(TYPE_COLOURS)]


def type_hatch(number: int) -> str:
    """Hatch of a tissue type, for print without colour."""
    return _HATCHES[(number - 1) % len(_HATCHES)]


def type_marker(number: int) -> str:
    """Marker of a tissue type."""
    return _MARKERS[(number - 1) % len(_MARKERS)]


def arm_style(place: int) -> ArmStyle:
    """Style of the arm at a place of the plan's order (0 = first)."""
    place %= len(_ARM_COLOURS)
    return ArmStyle(_ARM_COLOURS[place], _ARM_LINES[place], _ARM_MARKERS[place])


def ink_on(colour: str) -> str:
    """Black or white, whichever reads better on a background."""
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "#FFFFFF"
