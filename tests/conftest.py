"""What the tests share: real data and real models where they are there, and a cache folder of their
own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from typer.testing import CliRunner, Result

# read once, when huggingface_hub is imported: no test asks the hub
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.update(COLUMNS="120", TERM="dumb", NO_COLOR="1")

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")

REPOSITORY = Path(__file__).resolve().parents[1]
# for subprocesses
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(REPOSITORY / "src"), os.environ.get("PYTHONPATH")])
)
# where shared/tools/get_models.py puts them
LOCAL_MODELS = Path(os.path.expanduser("~/.cache/nearfield-models"))


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("../shared/data is not there; these tests read its published data sets")
    return folder


@pytest.fixture(scope="session", autouse=True)
def nearfield_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A NEARFIELD_HOME of this run's own, in which only the fetched models are the machine's."""
    from nearfield.store.home import models_folder

    models = models_folder()
    models.mkdir(parents=True, exist_ok=True)
    home = tmp_path_factory.mktemp("home")
    (home / "models").symlink_to(models, target_is_directory=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEARFIELD_HOME", str(home))
        yield home


@pytest.fixture(autouse=True)
def no_kept_splits(nearfield_home: Path) -> None:
    """No test sees the splits that another one cut of the same data."""
    shutil.rmtree(nearfield_home / "splits", ignore_errors=True)


@pytest.fixture(scope="session")
def minilm(nearfield_home: Path) -> Path:
    """The folder of the embedded default model, fetched when it is not in the cache."""
    from nearfield.catalog.fetch import fetch
    from nearfield.errors import NoSourceError

    try:
        return fetch("minilm")
    except NoSourceError as error:
        pytest.skip(f"the default model cannot be fetched here: {error}")


@pytest.fixture(scope="session")
def local_model() -> Callable[[str], Path]:
    """The folder of a model that shared/tools/get_models.py made, by its name; the test skips where
    it was not made.
    """

    def find(name: str) -> Path:
        folder = LOCAL_MODELS / name
        if not (folder / "config.json").is_file():
            pytest.skip(
                f"the model {name} is not in {LOCAL_MODELS}; "
                f"../shared/tools/get_models.py {name} makes it"
            )
        return folder

    return find


@pytest.fixture
def cli() -> Callable[..., Result]:
    """Runs the command line in this process: cli("models", "--json") gives exit_code, stdout and
    stderr.
    """
    from nearfield.cli.app import build

    def run(*arguments: str | Path, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(build(), [str(argument) for argument in arguments], input=stdin)

    return run
