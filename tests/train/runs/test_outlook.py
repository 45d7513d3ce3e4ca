"""One figure for a whole run: it never falls, every stage moves it, and what was done before says
nothing of the speed.
"""

from __future__ import annotations

from nearfield.train.runs.outlook import Outlook


def test_every_stage_moves_one_figure() -> None:
    seen: list[tuple[int, int, str]] = []
    outlook = Outlook(
        {"a": 100.0, "train": 300.0, "merge": 50.0},
        lambda done, total, note="": seen.append((done, total, note)),
    )
    with outlook.stage("a") as progress:
        for done in (0, 5, 10):
            progress(done, 10)
    with outlook.stage("train") as progress:  # of which half was done before
        for done in (8, 12, 16):
            progress(done, 16, "loss 1")
            progress(0, 0, "dev 3/4")
    with outlook.stage("merge"):  # which is not needed
        pass
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert seen[2:4] == [(50, 450, "a 5/10"), (100, 450, "a 10/10")]
    assert (175, 300, "train 12/16  loss 1") in seen
    assert (175, 300, "train  dev 3/4") in seen
    assert seen[-1] == (250, 250, "merge")
