"""Times the official VAR code with random weights, as `heatkv bench` times this engine.

    python var.py --ref VAR_CHECKOUT [--depth 30] [--images 1,8,64] [--repeats 5]

VAR_CHECKOUT is a checkout of the public VAR code. Needs PyTorch; numpy and huggingface_hub aren't used.
The weights are those that training begins with, in fp32 under fp16 autocast with TF32 allowed, guidance
4, top-k 900 and top-p 0.95, as the official demo runs it. A scale's time ends when its tokens are drawn;
the image tokenizer's decoder isn't run. flash-attn, if not installed, is PyTorch's own copy of the same
kernel. A line of JSON for each number of pictures, the smallest first; one that doesn't fit says so.
Without CUDA it runs in fp32, which is of use to try the script alone.
"""
import argparse
import json
import statistics
import sys
import time

import torch

from bench import stub

GRIDS = {256: (1, 2, 3, 4, 5, 6, 8, 10, 13, 16), 512: (1, 2, 3, 4, 6, 9, 13, 18, 24, 32)}


def install_stubs(cuda):
    for name in ('numpy', 'huggingface_hub'):
        try:
            __import__(name)
        except ImportError:
            stub(name, PyTorchModelHubMixin=type('PyTorchModelHubMixin', (), {}))
    try:
        import flash_attn  # noqa: F401
    except ImportError:
        def flash_attn_func(q, k, v, dropout_p, softmax_scale):
            return torch.ops.aten._flash_attention_forward(
                q, k, v, None, None, q.shape[1], k.shape[1], dropout_p, False, False, scale=softmax_scale)[0]
        if cuda:
            stub('flash_attn', flash_attn_func=flash_attn_func)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--ref', required=True)
    parser.add_argument('--depth', type=int, default=30)
    parser.add_argument('--images', type=lambda text: sorted(map(int, text.split(','))), default=[1, 8, 64])
    parser.add_argument('--repeats', type=int, default=5)
    args = parser.parse_args()
    cuda = torch.cuda if torch.cuda.is_available() else None
    device = 'cuda' if cuda else 'cpu'
    sys.path.insert(0, args.ref)
    install_stubs(cuda)
    if cuda:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
        torch.set_float32_matmul_precision('high')
    import models
    import models.var as official
    torch.manual_seed(0)
    large = args.depth == 36
    sides = GRIDS[512 if large else 256]
    vae, model = models.build_vae_var(device=device, patch_nums=sides, depth=args.depth, shared_aln=large)
    # The official code leaves what it would load uninitialised.
    for parameter in vae.parameters():
        parameter.data.uniform_(-0.04, 0.04)
    model = model.eval().requires_grad_(False)
    model.vae_proxy[0].fhat_to_img = lambda canvas: canvas
    weights = cuda.memory_allocated() if cuda else 0

    times = []
    sample = official.sample_with_top_k_top_p_

    def done():
        if cuda:
            cuda.synchronize()
        times[-1].append(time.perf_counter())

    def timed_sample(*a, **k):
        drawn = sample(*a, **k)
        done()
        return drawn
    official.sample_with_top_k_top_p_ = timed_sample
    for images in args.images:
        labels = torch.arange(images, device=device) % model.num_classes
        times.clear()
        if cuda:
            cuda.empty_cache()
            cuda.reset_peak_memory_stats()
        report = {'torch': torch.__version__, 'device': cuda.get_device_name() if cuda else device,
                  'depth': args.depth, 'images': images, 'weights_mib': weights >> 20}
        try:
            for _ in range(args.repeats + 1):
                times.append([])
                done()
                with torch.inference_mode(), torch.autocast('cuda', enabled=cuda is not None, dtype=torch.float16):
                    model.autoregressive_infer_cfg(
                        B=images, label_B=labels, cfg=4, top_k=900, top_p=0.95, g_seed=0, more_smooth=False)
            runs = [[(b - a) * 1e3 for a, b in zip(t, t[1:])] for t in times]
            scales = [statistics.median(r[i] for r in runs[1:]) for i in range(len(sides))]
            report |= {'first_ms': sum(runs[0]), 'scale_ms': [round(s, 2) for s in scales],
                       'ms': round(sum(scales), 2)}
        except torch.OutOfMemoryError as e:
            report |= {'failed': str(e).split('.')[0]}
        if cuda:
            report |= {'peak_allocated_mib': cuda.max_memory_allocated() >> 20,
                       'peak_reserved_mib': cuda.max_memory_reserved() >> 20}
        print(json.dumps(report), flush=True)
        for block in model.blocks:
            block.attn.kv_caching(False)


if __name__ == '__main__':
    main()
