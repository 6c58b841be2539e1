"""Cuts the icon font down to the icons in use; for developers, after a change of the list."""

from __future__ import annotations

import logging
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.contrib.staticfiles import finders
from django.core.management.base import BaseCommand, CommandError

from apps.dashboard.icons import ICONS

WHOLE = "unfold/fonts/material-symbols/Material-Symbols-Outlined.woff2"
CUT = Path(__file__).resolve().parents[2] / "static/dashboard/fonts/icons.woff2"


class Command(BaseCommand):
    requires_system_checks = []
    help = "Cut the icon font down to the names in apps/dashboard/icons.py. Needs fonttools."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; tell what lacks")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["check"]:
            lacking = sorted(set(ICONS) - icons_in(CUT))
            if lacking:
                raise CommandError(f"The font lacks {', '.join(lacking)}: dashboard_icons adds it.")
            return
        whole = Path(str(finders.find(WHOLE)))
        unknown = sorted(set(ICONS) - icons_in(whole))
        if unknown:
            raise CommandError(f"Material Symbols has no {', '.join(unknown)}.")
        cut(whole, CUT)
        self.stdout.write(f"{len(ICONS)} icons, {CUT.stat().st_size:,} bytes")


def icons_in(path: Path) -> set[str]:
    """Return the names of the icons that a font has."""
    from fontTools.ttLib import TTFont

    return set(TTFont(path).getGlyphOrder())


def cut(whole: Path, target: Path) -> None:
    """Write a font with our icons and the letters that name them."""
    from fontTools import subset

    logging.getLogger("fontTools").setLevel(logging.ERROR)
    options = subset.Options(
        flavor="woff2", layout_closure=False, layout_features=["liga", "rlig"], glyph_names=True
    )
    font = subset.load_font(str(whole), options)
    cutter = subset.Subsetter(options)
    letters = sorted(set("".join(ICONS)))
    cutter.populate(glyphs=list(ICONS), text="".join(letters))
    cutter.subset(font)
    subset.save_font(font, str(target), options)
