"""NumPy files of unknown origin: what numpy wrote is read as numpy reads it, and a header that lies
is an error.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from nearfield.errors import InputError
from nearfield.store.array import check_finite, checksum, map_array, read_array, read_header


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "uint8"])
def test_what_numpy_wrote_is_read_as_numpy_reads_it(
    tmp_path: Path, version: tuple[int, int], order: str, dtype: str
) -> None:
    array = np.asarray(np.arange(12).reshape(3, 4), dtype, order=order)  # type: ignore[call-overload]
    with open(tmp_path / "a.npy", "wb") as file:
        np.lib.format.write_array(file, array, version)
    got = map_array(tmp_path / "a.npy", [dtype], (None, 4))
    assert isinstance(got, np.memmap)
    np.testing.assert_array_equal(got, np.load(tmp_path / "a.npy"))
    assert checksum(got) == checksum(np.ascontiguousarray(array))
    header = read_header(tmp_path / "a.npy")
    assert (header.dtype, header.shape, header.nbytes) == (np.dtype(dtype), (3, 4), array.nbytes)


def npy(text: str, values: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode("latin-1") + values


def described(descr: str = "'<f4'", shape: str = "(2,)", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not a NumPy file"),
        (b"\x93NUMPY\x01\x00", "is not a NumPy file"),
        (b"\x93NUMPY\x09\x00" + bytes(100), "is not a NumPy file"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(100), "is not a NumPy file"),
        (
            npy(described(), bytes(7)),
            r"8 bytes with the header, and has \d+ bytes: it is cut "
            r"off|says that it holds",
        ),
        (npy(described(), bytes(9)), "says that it holds"),
        (npy(described(shape="(99999999999999999,)")), "says that it holds"),
        (npy(described(shape="(9999999999,9999999999,9999999999)")), "says that it holds"),
        (npy(described(shape="(-2,)"), bytes(8)), "header is damaged"),
        (npy(described(shape="(2.0,)"), bytes(8)), "header is damaged"),
        (npy(described(shape="(" * 5000 + ")" * 4000)), "header is damaged"),
        (npy(described(shape="(" + "1," * 4000 + ")"), bytes(4)), "wanted float32 of shape"),
        (npy(described(shape="(" + "1" * 9000)), "header is damaged"),
        (npy(described("'|O'")), "header is damaged"),
        (npy(described("'|O8'"), bytes(16)), "unknown type|wanted numbers"),
        (npy(described("'<U4'"), bytes(32)), "wanted numbers"),
        (npy(described("'<f9'"), bytes(18)), "unknown type"),
        (npy(described("[('a', '<f4')]"), bytes(8)), "header is damaged"),
        (npy(described("'>f4'"), bytes(8)), r"holds >f4 of shape \(2,\); wanted float32"),
        (npy(described("'<f8'"), bytes(16)), "holds float64"),
        (npy("{'descr': '<f4', 'descr': '<f4', 'descr': '<f4'}"), "header is damaged"),
        (npy("{'shape': (2,)," + " " * 9000 + "}"), "header is damaged"),
        (npy("__import__('os')" + " " * 40), "header is damaged"),
    ],
)
def test_a_header_that_lies_is_an_error(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(InputError, match=said):
        map_array(tmp_path / "a.npy", ["float32"], (None,))


def test_what_is_no_regular_file_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "nothing", Path("/dev/zero")):
        with pytest.raises(InputError):
            read_array(path, ["float32"], (None,))


def test_values_that_are_not_finite_are_named_by_their_row(tmp_path: Path) -> None:
    values = np.zeros((5, 3), np.float32)
    check_finite(values, tmp_path / "a.npy")
    values[3, 1] = np.nan
    with pytest.raises(
        InputError,
        match=r"a\.npy: holds NaN or infinite values, the first in row "
        r"3",
    ):
        check_finite(values, tmp_path / "a.npy")


def test_a_checksum_is_of_every_bit() -> None:
    values = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
    before = checksum(values)
    for place in range(values.nbytes):
        values.view(np.uint8).flat[place] ^= 1
        assert checksum(values) != before
        values.view(np.uint8).flat[place] ^= 1
    assert checksum(values) == before
    assert checksum(values[:0]) == 0
