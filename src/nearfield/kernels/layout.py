"""The structures of matrix.h, model.h and train.h, as ctypes sees them."""

from __future__ import annotations

import ctypes

_INTEGER, _POINTER = ctypes.c_int32, ctypes.c_void_p


class MatrixLayout(ctypes.Structure):
    """nf_matrix"""

    _fields_ = (
        *((name, _INTEGER) for name in ("kind", "rows", "columns", "units")),
        *((name, _POINTER) for name in ("panels", "bias", "scales", "sums")),
    )


class NormLayout(ctypes.Structure):
    """nf_norm"""

    _fields_ = (("weight", _POINTER), ("bias", _POINTER))


class LayerLayout(ctypes.Structure):
    """nf_layer"""

    _fields_ = (
        *((name, MatrixLayout) for name in ("projected", "out", "up", "down")),
        *((name, NormLayout) for name in ("attended", "finished")),
    )


class ModelLayout(ctypes.Structure):
    """nf_model"""

    _fields_ = (
        *(
            (name, _INTEGER)
            for name in (
                "hidden",
                "heads",
                "intermediate",
                "layer_count",
                "activation",
                "pooling",
                "normalise",
            )
        ),
        *((name, _INTEGER) for name in ("embedded", "vocabulary", "reach", "padding")),
        ("epsilon", ctypes.c_float),
        *((name, _POINTER) for name in ("words", "positions", "type")),
        ("embedding", NormLayout),
        ("enlarge", MatrixLayout),
        ("distances", _POINTER),
        ("layers", ctypes.POINTER(LayerLayout)),
    )


class TurnedLayout(ctypes.Structure):
    """nf_turned"""

    _fields_ = tuple((name, MatrixLayout) for name in ("projected", "out", "up", "down"))


class SlopeLayout(ctypes.Structure):
    """nf_slope"""

    _fields_ = (("weight", _POINTER), ("bias", _POINTER))


class SlopesLayout(ctypes.Structure):
    """nf_slopes"""

    _fields_ = tuple(
        (name, SlopeLayout) for name in ("projected", "out", "up", "down", "attended", "finished")
    )
