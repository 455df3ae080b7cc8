"""Values as the ledger packs them, unpacked: `rheostat.packing` does it without NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FLOAT = np.dtype("<f8")
BITS = np.dtype("<u8")


def unpacked(planes: bytes, count: int) -> NDArray[np.float64]:
    """Return values of shape parameters × ``count`` from the bytes that were deflated."""
    ordered = np.frombuffer(planes, np.uint8).reshape(BITS.itemsize, -1)
    bits = np.ascontiguousarray(ordered.T).view(BITS).reshape(-1, count)
    for _ in range(2):
        bits = np.cumsum(bits, axis=1, dtype=BITS)  # modulo 2^64
    return bits.view(FLOAT)
