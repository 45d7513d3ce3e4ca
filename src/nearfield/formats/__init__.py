"""What the files of each model folder layout say, read without torch; one file for each layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfield.registry import Registry

if TYPE_CHECKING:
    from nearfield.formats.layout import Layout

LAYOUTS: Registry[Layout] = Registry(
    "model layout",
    {
        "late-interaction": "nearfield.formats.late_folder:LAYOUT",
        "static": "nearfield.formats.static_folder:LAYOUT",
        "splade": "nearfield.formats.splade_folder:LAYOUT",
        "three": "nearfield.formats.pooled_folder:THREE",
        # recognises whatever has a transformer, so that it comes last
        "pooled": "nearfield.formats.pooled_folder:LAYOUT",
    },
)
"""The layouts of encoders' folders, in the order in which a folder is tried by them."""
