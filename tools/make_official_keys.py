"""Lists names and shapes of the published networks' weights: engine/src/test/resources/official-keys.

    python make_official_keys.py --ref INFINITY_CHECKOUT --out FOLDER

The official classes are built on the meta device, so nothing is allocated. Needs torch, einops, numpy, safetensors, tqdm,
transformers. A line is a name and its shape; {a..b} in a name stands for every number from a to b.
"""
import argparse
import itertools
import os
import re

import torch

TRANSFORMERS = {
    # name: depth, embed_dim, num_heads, block_chunks, VAE type, spatial patchify; as tools/run_infinity.py and the
    # registered models have them. The 20B class is registered without a chunk count: 2 divides its depth.
    'infinity_2b': (32, 2048, 16, 8, 32, 0),
    'infinity_8b': (40, 3584, 28, 8, 14, 1),
    'infinity_20b': (58, 4608, 36, 2, 32, 0),
    'infinity_layer12': (12, 768, 8, 4, 32, 0),
    'infinity_layer16': (16, 1152, 12, 4, 32, 0),
    'infinity_layer24': (24, 1536, 16, 4, 32, 0),
    'infinity_layer32': (32, 2080, 20, 4, 32, 0),
    'infinity_layer40': (40, 2688, 24, 4, 32, 0),
    'infinity_layer48': (48, 3360, 28, 4, 32, 0),
}
# The types that tools/run_infinity.py knows; 14 is the 8B model's, whose patches have half the stride.
TOKENIZERS = {'d16': (16, 0), 'd24': (24, 0), 'd32': (32, 0), 'd64': (64, 0), 'd56_f8_14_patchify': (14, 1)}


def shapes(module):
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def t5():
    from transformers import T5Config, T5EncoderModel
    config = T5Config(d_model=2048, d_ff=5120, d_kv=64, num_heads=32, num_layers=24, vocab_size=32128,
                      feed_forward_proj='gated-gelu', tie_word_embeddings=False)
    with torch.device('meta'):
        return shapes(T5EncoderModel(config))


def tokenizer(vae, dim, patchify):
    mult = [1, 2, 4, 4] if patchify else [1, 2, 4, 4, 4]
    with torch.device('meta'):
        return shapes(vae.vae_model({}, 'dynamic', dim, 2 ** dim, patch_size=8 if patchify else 16,
                                    encoder_ch_mult=mult, decoder_ch_mult=mult))


def transformer(infinity, depth, width, heads, chunks, dim, patchify):
    class Vae:
        embed_dim, vocab_size = dim, 2 ** dim

        class quantizer:
            class lfq:
                mask = None
    with torch.device('meta'):
        return shapes(infinity.Infinity(
            vae_local=Vae, text_channels=2048, text_maxlen=512, shared_aln=True, raw_scale_schedule=None, checkpointing='full-block',
            customized_flash_attn=False, fused_norm=True, pad_to_multiplier=128, use_flex_attn=False,
            add_lvl_embeding_only_first_block=1, use_bit_label=1, rope2d_each_sa_layer=1, rope2d_normalized_by_hw=2, pn='1M',
            apply_spatial_patchify=patchify, inference_mode=True, train_h_div_w_list=[1.0], depth=depth, embed_dim=width,
            num_heads=heads, drop_path_rate=0.1, mlp_ratio=4, block_chunks=chunks))


def folded(keys):
    """Names that differ in numbers only and fill a whole grid of them become one."""
    groups = {}
    for name, shape in keys.items():
        numbers = tuple(int(n) for n in re.findall(r'(?<=\.)\d+(?=\.)', name))
        groups.setdefault((re.sub(r'(?<=\.)\d+(?=\.)', '#', name), shape), []).append(numbers)
    lines = []
    for (pattern, shape), members in groups.items():
        ranges = [(min(axis), max(axis)) for axis in zip(*members)]
        whole = sorted(members) == sorted(itertools.product(*(range(a, b + 1) for a, b in ranges)))
        for numbers in [ranges] if whole else members:
            name = pattern
            for n in numbers:
                a, b = n if isinstance(n, tuple) else (n, n)
                name = name.replace('#', str(a) if a == b else f'{{{a}..{b}}}', 1)
            lines.append(' '.join([name, *map(str, shape)]))
    return sorted(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--ref', required=True)
    parser.add_argument('--out', required=True)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    networks = {'flan-t5-xl_encoder': t5()}
    from make_model_goldens import import_official, stub, Anything
    infinity, *_ = import_official(args.ref)
    stub('torchvision', transforms=Anything())
    import infinity.models.bsq_vae.vae as vae
    # Values that the constructors compute with must not lie on the meta device; what they only store may.
    infinity.precompute_rope2d_freqs_grid = lambda **_: None
    infinity.dist.get_device = lambda: 'cpu'
    torch.nn.init.trunc_normal_ = lambda tensor, **_: tensor
    linspace, scalar = torch.linspace, torch.tensor
    torch.linspace = lambda *a, **k: linspace(*a, **k, device='cpu')
    torch.tensor = lambda *a, **k: scalar(*a, **{'device': 'cpu', **k})
    for name, sizes in TOKENIZERS.items():
        networks['infinity_vae_' + name] = tokenizer(vae, *sizes)
    for name, sizes in TRANSFORMERS.items():
        networks[name] = transformer(infinity, *sizes)
    for name, keys in networks.items():
        with open(os.path.join(args.out, name + '.txt'), 'w') as file:
            file.write('\n'.join(folded(keys)) + '\n')
        elements = sum(torch.Size(shape).numel() for shape in keys.values())
        print(name, len(keys), 'tensors,', elements, 'elements')


if __name__ == '__main__':
    main()
