"""The structures of matrix.h, model.h and train.h, as ctypes sees them.

Fields stand in the order of the C structures.
"""

from __future__ import annotations

import ctypes

_INTEGER = ctypes.c_int32
_POINTER = ctypes.c_void_p


class MatrixLayout(ctypes.Structure):
    """nf_matrix"""

    _fields_ = (
        ("kind", _INTEGER),
        ("rows", _INTEGER),
        ("columns", _INTEGER),
        ("units", _INTEGER),
        ("panels", _POINTER),
        ("bias", _POINTER),
        ("scales", _POINTER),
        ("sums", _POINTER),
    )


class NormLayout(ctypes.Structure):
    """nf_norm"""

    _fields_ = (("weight", _POINTER), ("bias", _POINTER))


class LayerLayout(ctypes.Structure):
    """nf_layer"""

    _fields_ = (
        ("projected", MatrixLayout),
        ("out", MatrixLayout),
        ("up", MatrixLayout),
        ("down", MatrixLayout),
        ("attended", NormLayout),
        ("finished", NormLayout),
    )


class ModelLayout(ctypes.Structure):
    """nf_model"""

    _fields_ = (
        ("hidden", _INTEGER),
        ("heads", _INTEGER),
        ("intermediate", _INTEGER),
        ("layer_count", _INTEGER),
        ("activation", _INTEGER),
        ("pooling", _INTEGER),
        ("normalise", _INTEGER),
        ("embedded", _INTEGER),
        ("vocabulary", _INTEGER),
        ("reach", _INTEGER),
        ("padding", _INTEGER),
        ("epsilon", ctypes.c_float),
        ("words", _POINTER),
        ("positions", _POINTER),
        ("type", _POINTER),
        ("embedding", NormLayout),
        ("enlarge", MatrixLayout),
        ("distances", _POINTER),
        ("layers", ctypes.POINTER(LayerLayout)),
    )


class TurnedLayout(ctypes.Structure):
    """nf_turned"""

    _fields_ = (
        ("projected", MatrixLayout),
        ("out", MatrixLayout),
        ("up", MatrixLayout),
        ("down", MatrixLayout),
    )


class SlopeLayout(ctypes.Structure):
    """nf_slope"""

    _fields_ = (("weight", _POINTER), ("bias", _POINTER))


class SlopesLayout(ctypes.Structure):
    """nf_slopes"""

    _fields_ = (
        ("projected", SlopeLayout),
        ("out", SlopeLayout),
        ("up", SlopeLayout),
        ("down", SlopeLayout),
        ("attended", SlopeLayout),
        ("finished", SlopeLayout),
    )
