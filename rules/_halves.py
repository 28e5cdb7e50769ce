"""The floating formats of 16 bits."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Format:
    """What a reduced dtype can hold."""

    name: str
    largest: float

    @property
    def exponent(self) -> float:
        """The largest number whose exponential is finite."""
        return math.log(self.largest)

    def rounded(self, value: float) -> float:
        """Return the nearest number of the format, ties to even; overflow as infinity."""
        try:
            if self.name == "float16":
                return float(struct.unpack("<e", struct.pack("<e", value))[0])
            (bits,) = struct.unpack("<I", struct.pack("<f", value))
        except OverflowError:
            return math.copysign(math.inf, value)
        bits += 0x7FFF + (bits >> 16 & 1)
        return float(struct.unpack("<f", struct.pack("<I", bits & 0xFFFF0000))[0])


# IEEE 754 binary16, and the upper half of binary32.
FORMATS: Final[Mapping[str, Format]] = {
    "float16": Format("float16", 65504.0),
    "bfloat16": Format("bfloat16", float.fromhex("0x1.fep127")),
}
