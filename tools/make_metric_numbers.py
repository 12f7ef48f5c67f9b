#!/usr/bin/env python3
"""Prints PSNR and SSIM of made-up pictures by scikit-image, which MetricsTest repeats in Java.

    pip install numpy scikit-image && python tools/make_metric_numbers.py
"""
import numpy as np
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
