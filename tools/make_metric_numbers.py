#!/usr/bin/env python3
"""Prints PSNR and SSIM of made-up pictures by scikit-image, and MS-SSIM by SciPy's filters, which
MetricsTest and MsSsimTest repeat in Java.

    pip install numpy scipy scikit-image && python tools/make_metric_numbers.py
"""
import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity


def busy(width, height, k):
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    channels = [
        (x * x * (3 + c) + y * (7 * k + c) + x * y * k + (x // 5) * (y // 7) * 11) % 256
        for c in range(3)
    ]
    return np.stack(channels, -1).astype(np.uint8)


def calm(width, height, k):
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    channels = [(2 * x + y + 40 * c + ((x // 8 + y // 8) % 2) * k) % 256 for c in range(3)]
    return np.stack(channels, -1).astype(np.uint8)


def report(name, a, b):
    luma = [p.astype(np.float64) @ np.array([0.299, 0.587, 0.114]) for p in (a, b)]
    ssim = structural_similarity(
        *luma, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    print(name, float(peak_signal_noise_ratio(a, b, data_range=255)), float(ssim))


report("busy 37x29", busy(37, 29, 1), busy(37, 29, 2))
report("calm 64x48", calm(64, 48, 6), calm(64, 48, 30))
report("one window", calm(11, 11, 6), calm(11, 11, 9))
report("calm and busy", calm(40, 23, 0), busy(40, 23, 3))


def ms_ssim(a, b):
    """Wang, Simoncelli and Bovik 2003, for edges that halve evenly."""
    x, y = [p.astype(np.float64) @ np.array([0.299, 0.587, 0.114]) for p in (a, b)]
    result = 1.0
    for level, exponent in enumerate([0.0448, 0.2856, 0.3001, 0.2363, 0.1333]):
        if level > 0:
            x, y = [
                p.reshape(p.shape[0] // 2, 2, p.shape[1] // 2, 2).mean((1, 3)) for p in (x, y)
            ]
        # A window of 11; what reaches over the edge is cut off.
        mx, my, xx, yy, xy = [
            gaussian_filter(p, 1.5, radius=5)[5:-5, 5:-5] for p in (x, y, x * x, y * y, x * y)
        ]
        c1, c2 = 2.55**2, 7.65**2
        index = (2 * (xy - mx * my) + c2) / (xx - mx * mx + yy - my * my + c2)
        if level == 4:
            index = index * (2 * mx * my + c1) / (mx * mx + my * my + c1)
        result *= max(index.mean(), 0) ** exponent
    return float(result)


print("MS-SSIM calm 256x192", ms_ssim(calm(256, 192, 6), calm(256, 192, 30)))
print("MS-SSIM calm 176x208", ms_ssim(calm(176, 208, 2), calm(176, 208, 90)))
print("MS-SSIM busy 256x256", ms_ssim(busy(256, 256, 1), busy(256, 256, 2)))
