"""What makes vectors of prepared images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn


class Network(nn.Module):
    """(n, 3, height, width) float32 to (n, width) float32."""

    @abstractmethod
    def save(self, folder: Path, weights: Mapping[str, Tensor]) -> None:
        """Write `weights`, those of the network's `state_dict` or in their place, into the folder
        as the network's layout has them. Raises StorageError.
        """
