"""A working folder full of modules that must not be imported from there."""

from __future__ import annotations

from pathlib import Path

NAMES = (
    "pip",
    "numpy",
    "json",
    "torch",
    "nearfield",
    "subprocess",
    "sitecustomize",
    "tempfile",
    "encodings",
)


def planted(folder: Path) -> Path:
    """The folder, made, with a module of each of NAMES in it that leaves a file beside it where it
    is run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        leave = (
            f"open({str(folder / name)!r} + '.ran', 'w').close()\nraise SystemExit('{name} of "
            "the working folder was run')\n"
        )
        (folder / f"{name}.py").write_text(leave, encoding="utf-8")
    return folder


def ran(folder: Path) -> list[str]:
    """Which of them were run."""
    return sorted(file.stem for file in folder.glob("*.ran"))
