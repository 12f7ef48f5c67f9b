"""Times the official Infinity code with random weights, as `heatkv bench` times this engine.

    python bench.py --ref INFINITY_CHECKOUT [--repeats 5] [--text-tokens 64] [--images 1]

INFINITY_CHECKOUT is a checkout of the public Infinity code. Needs PyTorch with CUDA. The weights
are random (what a picture looks like doesn't matter), the blocks bf16 under autocast and guidance 3
on the logits, as the official scripts run the 2B model at 1024 x 1024. A scale's time ends when its
bits are drawn; the image tokenizer's decoder isn't run. flash-attn's variable-length attention, if
not installed, is PyTorch's own copy of the same kernel.
"""
import argparse
import json
import statistics
import sys
import time
import types

import torch

SIDES = (1, 2, 4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 64)
BITS = 32


def stub(name, **attributes):
    module = types.ModuleType(name)
    module.__path__ = []
    module.__dict__.update(attributes)
    sys.modules[name] = module
    return module


class Anything:
    """Stands for what is imported but never used here."""
    def __init__(self, *args, **kwargs): pass
    def __call__(self, *args, **kwargs): return self
    def __getattr__(self, name): return Anything()


class DropPath(torch.nn.Module):
    def __init__(self, p=0.0): super().__init__()
    def forward(self, x): return x


def install_stubs():
    for name in ('pytz', 'imageio', 'cv2', 'wandb', 'tap', 'colorama', 'seaborn', 'PIL'):
        try:
            __import__(name)
        except Exception:
            stub(name, Tap=object, timezone=Anything(), Image=Anything())
    for name in [n for n in sys.modules if n.split('.')[0] == 'timm']:
        del sys.modules[name]
    stub('timm')
    stub('timm.models', register_model=lambda f: f)
    stub('timm.models.layers', DropPath=DropPath, drop_path=None)
    stub('timm.loss', SoftTargetCrossEntropy=type('SoftTargetCrossEntropy', (torch.nn.Module,), {}))
    try:
        import flash_attn  # noqa: F401
    except Exception:
        def flash_attn_func(q, k, v, **unused):
            raise NotImplementedError

        def varlen(q, kv, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, dropout_p, softmax_scale):
            return torch.ops.aten._flash_attention_forward(
                q, kv[:, 0], kv[:, 1], cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, 0.0, False, False,
                scale=softmax_scale)[0]
        stub('flash_attn', flash_attn_func=flash_attn_func, flash_attn_varlen_kvpacked_func=varlen)


def tokenizer():
    """What the transformer asks of an image tokenizer, without its networks."""
    def codes(bits, label_type):
        return (bits.permute(0, 4, 1, 2, 3).float() * 2 - 1) / BITS ** 0.5
    quantizer = types.SimpleNamespace(
        lfq=types.SimpleNamespace(mask=None, indices_to_codes=codes), z_interplote_up='trilinear')
    return types.SimpleNamespace(embed_dim=BITS, vocab_size=2 ** BITS, quantizer=quantizer)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--ref', required=True)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--text-tokens', type=int, default=64)
    parser.add_argument('--images', type=int, default=1)
    args = parser.parse_args()
    sys.path.insert(0, args.ref)
    install_stubs()
    import infinity.models.infinity as official
    torch.manual_seed(0)
    vae = tokenizer()
    # All weights are overwritten below; drawing billions of them twice takes minutes.
    for name in ('trunc_normal_', 'normal_', 'uniform_', 'kaiming_uniform_', 'xavier_normal_'):
        setattr(torch.nn.init, name, lambda tensor, *a, **k: tensor)
    with torch.device('cuda'), torch.no_grad(), torch.autocast('cuda', dtype=torch.bfloat16):
        model = official.Infinity(
            vae_local=vae, text_channels=2048, text_maxlen=512, shared_aln=True, raw_scale_schedule=None,
            checkpointing='full-block', customized_flash_attn=False, fused_norm=True, pad_to_multiplier=128,
            use_flex_attn=False, add_lvl_embeding_only_first_block=1, use_bit_label=1, rope2d_each_sa_layer=1,
            rope2d_normalized_by_hw=2, pn='1M', apply_spatial_patchify=0, inference_mode=True,
            train_h_div_w_list=[1.0], depth=32, embed_dim=2048, num_heads=16, drop_path_rate=0.1, mlp_ratio=4,
            block_chunks=8)
    for parameter in model.parameters():
        parameter.data.uniform_(-0.04, 0.04)
    for block in model.unregistered_blocks:
        block.bfloat16()
    model = model.eval().requires_grad_(False).cuda()
    model.rng = torch.Generator(device='cuda')
    torch.cuda.synchronize()

    times = []
    sample = official.sample_with_top_k_top_p_also_inplace_modifying_logits_

    def timed_sample(*a, **k):
        drawn = sample(*a, **k)
        torch.cuda.synchronize()
        times[-1].append(time.perf_counter())
        return drawn
    official.sample_with_top_k_top_p_also_inplace_modifying_logits_ = timed_sample
    n = args.text_tokens
    # The tool that generates keeps text features in float32.
    text = (torch.randn(n * args.images, 2048, device='cuda'), [n] * args.images,
            torch.arange(0, n * args.images + 1, n, dtype=torch.int32, device='cuda'), n)
    schedule = [(1, side, side) for side in SIDES]
    weights = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    for _ in range(args.repeats + 1):
        torch.cuda.synchronize()
        times.append([time.perf_counter()])
        with torch.no_grad(), torch.autocast('cuda', dtype=torch.bfloat16, cache_enabled=True):
            model.autoregressive_infer_cfg(
                vae=vae, scale_schedule=schedule, label_B_or_BLT=text, B=args.images, g_seed=0,
                cfg_list=[3] * len(SIDES), tau_list=[1] * len(SIDES), top_k=900, top_p=0.97, returns_vemb=1,
                cfg_insertion_layer=[0], vae_type=BITS, ret_img=False, trunk_scale=1000, inference_mode=True)
    runs = [[(b - a) * 1e3 for a, b in zip(t, t[1:])] for t in times]
    scales = [statistics.median(r[i] for r in runs[1:]) for i in range(len(SIDES))]
    print(json.dumps({
        'torch': torch.__version__, 'device': torch.cuda.get_device_name(), 'images': args.images,
        'first_ms': sum(runs[0]), 'scale_ms': [round(s, 2) for s in scales], 'ms': round(sum(scales), 2),
        'weights_mib': weights >> 20, 'peak_allocated_mib': torch.cuda.max_memory_allocated() >> 20,
        'peak_reserved_mib': torch.cuda.max_memory_reserved() >> 20}))


if __name__ == '__main__':
    main()
