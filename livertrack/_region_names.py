"""What the REGION codes of records mean, in words."""

from __future__ import annotations

#: sector -> words; the numbers are those of the Couinaud segments that lie about there
SECTORS = {
    "RIGHT": "right part",
    "LEFT": "left part",
    "RIGHTUP": "upper right part",
    "RIGHTLOW": "lower right part",
    "LEFTUP": "upper left part",
    "LEFTLOW": "lower left part",
    "RPOSTUP": "upper right posterior part (about segment VII)",
    "RPOSTLOW": "lower right posterior part (about segment VI)",
    "RANTUP": "upper right anterior part (about segment VIII)",
    "RANTLOW": "lower right anterior part (about segment V)",
    "LMEDUP": "upper left medial part (about segment IVa)",
    "LMEDLOW": "lower left medial part (about segment IVb)",
    "LLATUP": "upper left lateral part (about segment II)",
    "LLATLOW": "lower left lateral part (about segment III)",
}


def region_name(region: str) -> str:
    """Name a region for a reader.

    Shells are counted from the surface of the liver, bands from its vessels.
    """
    if not region:
        return "whole liver"
    for code, word in (("SHELL", "shell"), ("VESSEL", "vessel band")):
        if region.startswith(code) and region[len(code) :].isdigit():
            return f"{word} {region[len(code) :]}"
    return SECTORS.get(region, region)
