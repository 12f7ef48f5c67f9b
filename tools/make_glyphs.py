#!/usr/bin/env python3
"""Writes the outlines of a font's Latin letters as text, for labels that need no font at run time.

    pip install fonttools
    npm pack roboto-fontface@0.10.0     # Roboto 2.137, Apache-2.0
    python tools/make_glyphs.py Roboto-Regular.woff > eval/src/main/resources/io/heatkv/eval/glyphs.txt

Each line is: code point, advance, then a path of M x y, L x y, Q x y x y and Z in font units, y upwards.
"""
import sys

from fontTools.pens.basePen import BasePen
from fontTools.ttLib import TTFont

EXTRA = "–—‘’“”•…€∞≈≤≥−"


class TextPen(BasePen):
    def __init__(self, glyphs):
        super().__init__(glyphs)
        self.out = []

    def add(self, letter, *points):
        self.out.append(letter + " ".join(str(round(c)) for point in points for c in point))

    def _moveTo(self, p):
        self.add("M", p)

    def _lineTo(self, p):
        self.add("L", p)

    def _qCurveToOne(self, control, p):
        self.add("Q", control, p)

    def _closePath(self):
        self.out.append("Z")


def main():
    font = TTFont(sys.argv[1])
    glyphs, names = font.getGlyphSet(), font.getBestCmap()
    print("# Outlines of Roboto Regular 2.137, Copyright 2011 Google Inc., Apache License 2.0;")
    print("# made by tools/make_glyphs.py. Units per em: %d" % font["head"].unitsPerEm)
    codes = [*range(0x20, 0x7F), *range(0xA0, 0x180), *map(ord, EXTRA)]
    for code in codes:
        if code in names:
            pen = TextPen(glyphs)
            glyphs[names[code]].draw(pen)
            print(code, round(glyphs[names[code]].width), "".join(pen.out))


main()
