"""What a snapshot can do without: trailing bits of its numbers, and the finest grid of its fields."""

import numpy as np

MANTISSA = 23  # bits of a float32 after the leading one
# netCDF's name for it: https://docs.unidata.ucar.edu/netcdf-c/current/group__quantize.html
BITS = "_QuantizeBitRoundNumberOfSignificantBits"


def rounded(values: np.ndarray, bits: int) -> np.ndarray:
    """float32 values to `bits` (1 to 23) bits of mantissa, half to even: a relative error ≤ 2^−(bits+1).

    The other bits are zero and pack to nothing.  Infinities and nan stay what they are.
    Kouznetsov 2021, doi:10.5194/gmd-14-377-2021.
    """
    drop = MANTISSA - bits
    if drop == 0:
        return values
    pattern = np.ascontiguousarray(values).view(np.uint32)
    odd = (pattern >> np.uint32(drop)) & np.uint32(1)
    kept = (pattern + odd + np.uint32((1 << (drop - 1)) - 1)) & np.uint32(~((1 << drop) - 1) & 0xFFFFFFFF)
    return np.where(np.isfinite(values), kept.view(np.float32), values)


def coarse(values: np.ndarray, factor: int) -> np.ndarray:
    """Means over cubes of `factor` voxels along each axis longer than one; the last may be smaller."""
    for axis, length in enumerate(values.shape):
        if length > 1 and factor > 1:
            starts = np.arange(0, length, factor)
            sums = np.add.reduceat(values, starts, axis=axis, dtype=np.float64)
            shape = [1] * values.ndim
            shape[axis] = -1
            values = sums / np.diff([*starts, length]).reshape(shape)
    return values
