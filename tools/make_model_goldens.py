"""Records a tiny Infinity in every supported variant with the official classes: engine/src/test/resources/golden-extra.

    python make_model_goldens.py --ref INFINITY_CHECKOUT --out FOLDER

Needs numpy, torch, einops, safetensors, tqdm. Everything runs in float32 on the CPU.
"""
import argparse
import json
import math
import os
import sys
import types

os.environ['TORCHDYNAMO_DISABLE'] = '1'
import numpy as np
import torch
from safetensors.torch import save_file

DEPTH, CHUNKS, WIDTH, HEADS, HIDDEN, TEXT, MAXLEN, BITS = 4, 2, 32, 2, 256, 128, 16, 4
LENGTHS = (5, 9, 3)
SAMPLED_TOKENS = 24
NEAR = 1e-3
FACTORS = {'word_embed.weight': 4, 'lvl_embed.weight': 0.2, 'shared_ada_lin.1.weight': 0.3, 'head_nm.ada_lin.1.weight': 0.15,
           'head_nm.ada_lin.1.bias': 0.5, 'head.weight': 3}


class Anything:
    def __init__(self, *a, **k): pass
    def __call__(self, *a, **k): return self
    def __getattr__(self, name): return Anything()


def stub(name, **attributes):
    module = types.ModuleType(name)
    module.__path__ = []
    vars(module).update(attributes)
    sys.modules[name] = module


def varlen_attention(q, kv, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, dropout_p, softmax_scale):
    """What flash_attn_varlen_kvpacked_func computes: every sequence by itself."""
    out = []
    for i in range(len(cu_seqlens_q) - 1):
        a = q[cu_seqlens_q[i]:cu_seqlens_q[i + 1]].transpose(0, 1)
        k, v = kv[cu_seqlens_k[i]:cu_seqlens_k[i + 1]].unbind(1)
        p = (a @ k.permute(1, 2, 0) * softmax_scale).softmax(-1)
        out.append((p @ v.transpose(0, 1)).transpose(0, 1))
    return torch.cat(out)


def flash_attn_func(q, k, v):
    raise NotImplementedError


def import_official(ref):
    sys.path.insert(0, ref)
    for name in ('pytz', 'imageio', 'cv2', 'wandb', 'tap', 'colorama', 'seaborn', 'PIL', 'transformers', 'torchvision', 'matplotlib'):
        stub(name, Tap=object, Image=Anything(), timezone=Anything())
    stub('timm')
    stub('timm.models', register_model=lambda f: f)
    stub('timm.models.layers', DropPath=type('DropPath', (torch.nn.Identity,), {}), drop_path=None)
    stub('timm.loss', SoftTargetCrossEntropy=type('SoftTargetCrossEntropy', (torch.nn.Module,), {}))
    stub('flash_attn', flash_attn_func=flash_attn_func, flash_attn_varlen_kvpacked_func=varlen_attention)
    # The official cross-attention rounds to bf16 for the flash kernel; the goldens are float32.
    source = open(os.path.join(ref, 'infinity/models/basic.py')).read().replace('.to(dtype=torch.bfloat16)', '')
    basic = types.ModuleType('infinity.models.basic')
    exec(compile(source, 'basic.py', 'exec'), vars(basic))
    sys.modules[basic.__name__] = basic
    import infinity.models.infinity as infinity
    from infinity.models.bsq_vae.multiscale_bsq import MultiScaleBSQ
    return infinity, basic, MultiScaleBSQ


class Vae:
    """The parts of the official VAE that the transformer's inference touches; `decode` keeps the summed codes."""

    def __init__(self, quantizer):
        self.quantizer, self.embed_dim, self.codebook_dim, self.vocab_size = quantizer, BITS, BITS, 2 ** BITS

    def decode(self, codes):
        self.codes = codes.clone()
        return torch.zeros(len(codes), 3, 1, 1)


def random_weights(model, generator):
    state = {}
    for name, value in model.state_dict().items():
        draw = torch.randn(value.shape, generator=generator)
        if name.endswith('zero_k_bias'):
            draw = torch.zeros_like(value)
        elif name.endswith('scale_mul_1H11'):
            draw = math.log(4) + 2.5 * draw
        elif name.endswith('norm.weight'):
            draw = 1 + 0.2 * draw
        elif name.endswith('bias') or name.endswith('ada_gss'):
            draw = 0.2 * draw
        elif value.dim() == 2 and name not in ('cfg_uncond', 'lvl_embed.weight'):
            draw = draw / math.sqrt(value.shape[1])
        # Tokens must differ by more than their condition shifts them all, or every token draws the same bits.
        if name in FACTORS:
            draw = FACTORS[name] * draw
        state[name] = draw.bfloat16()
    return state


def build(infinity, vae, options):
    return infinity.Infinity(
        vae_local=vae, text_channels=TEXT, text_maxlen=MAXLEN, embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS,
        mlp_ratio=HIDDEN / WIDTH, block_chunks=CHUNKS, shared_aln=True, head_aln=True, cos_attn=options['cosine'],
        fused_norm=True, checkpointing=None, pad_to_multiplier=128, use_flex_attn=False, customized_flash_attn=False,
        add_lvl_embeding_only_first_block=options['level_once'], use_bit_label=1, rope2d_each_sa_layer=1,
        rope2d_normalized_by_hw=options['rope'], pn='1M', apply_spatial_patchify=options['patchify'],
        inference_mode=True, raw_scale_schedule=None).eval()


def compact(texts):
    lengths = [len(t) for t in texts]
    ends = torch.tensor([0] + lengths).cumsum(0).int()
    return torch.cat(texts), lengths, ends, max(lengths)


def width(options):
    """Bits of a token."""
    return BITS * (4 if options['patchify'] else 1)


@torch.no_grad()
def run(infinity, model, vae, texts, options, scales):
    """Bits and logits of every scale, and the summed codes."""
    seen = []
    logits_of = model.get_logits
    uniforms = None
    if options['top_p']:
        generator = torch.Generator().manual_seed(7)
        uniforms = [torch.rand(len(options['texts']), h * w, width(options), generator=generator) for _, h, w in scales]
    filtered = infinity.sample_with_top_k_top_p_also_inplace_modifying_logits_

    def choose(logits, rng=None, top_k=0, top_p=0.0, num_samples=1):
        guided = logits.clone()
        if uniforms is None:
            bits = (guided[..., 1] > guided[..., 0]).long()
        else:
            # The official filter, then bit 1 where the recorded uniform is below its probability.
            kept = {}
            multinomial = torch.multinomial

            def recorded(p, **_):
                kept['p'] = p
                return torch.zeros(len(p), 1, dtype=torch.long)
            torch.multinomial = recorded
            filtered(logits, rng=None, top_k=top_k, top_p=top_p, num_samples=1)
            torch.multinomial = multinomial
            u = uniforms[len(seen)].reshape(-1)
            bits = (u < kept['p'][:, 1]).long().reshape(guided.shape[:2])
        seen.append((guided, bits))
        return bits[..., None]

    infinity.sample_with_top_k_top_p_also_inplace_modifying_logits_ = choose
    chosen = [texts[i] for i in options['texts']]
    negative = None if options['negative'] is None else compact([texts[options['negative']]] * len(chosen))
    extend = lambda values: (values + [values[-1]] * len(scales))[:len(scales)]
    model.autoregressive_infer_cfg(
        vae=vae, scale_schedule=scales, label_B_or_BLT=compact(chosen), B=len(chosen), negative_label_B_or_BLT=negative,
        g_seed=0, cfg_list=extend(options['cfg']), tau_list=extend(options['tau']), top_k=900, top_p=options['top_p'],
        returns_vemb=1, cfg_insertion_layer=options['guided'], vae_type=BITS, ret_img=True, inference_mode=True)
    infinity.sample_with_top_k_top_p_also_inplace_modifying_logits_ = filtered
    return seen, vae.codes, uniforms


def record(out, name, options, seen, codes, uniforms):
    near = []
    for t, (logits, bits) in enumerate(seen):
        batch = len(options['texts'])
        out[f'{name}.bits.{t}'] = torch.from_numpy(np.packbits(bits.reshape(-1).numpy().astype(np.uint8)))
        by_token = logits.reshape(batch, -1, width(options) * 2)
        step = -(-by_token.shape[1] // SAMPLED_TOKENS)
        out[f'{name}.logits.{t}'] = by_token[:, ::step].contiguous()
        if uniforms is None:
            gap = (logits[..., 1] - logits[..., 0]).abs().reshape(-1)
            close = gap < NEAR
        else:
            out[f'{name}.uniform.{t}'] = uniforms[t]
            p = logits.softmax(-1)[..., 1].reshape(-1)
            edge = 1 - options['top_p']
            close = ((uniforms[t].reshape(-1) - p).abs() < NEAR) | ((p - edge).abs() < NEAR) | ((1 - p - edge).abs() < NEAR)
        near += [[t, int(i)] for i in close.nonzero()]
    if name in ('plain', 'patchify', 'batch'):
        out[f'{name}.codes'] = codes.contiguous()
    return near


def variants(ratios):
    base = dict(template=1.0, pn='0.06M', rope=2, cosine=True, level_once=1, patchify=0, cfg=[3.0], tau=[1.0], guided=[0],
                texts=[0], negative=None, top_p=0.0)
    runs = {'plain': {}}
    for ratio in ratios:
        runs[f'{ratio}_0.06M'] = dict(template=ratio)
        runs[f'{ratio}_0.25M'] = dict(template=ratio, pn='0.25M')
    del runs['1.0_0.06M']  # 'plain'
    for ratio, pn in ((1.333, '0.60M'), (0.4, '0.60M'), (0.571, '1M'), (3.0, '1M')):
        runs[f'{ratio}_{pn}'] = dict(template=ratio, pn=pn)
    for rope in (0, 1):
        for ratio in (1.5, 0.75):
            runs[f'rope{rope}_{ratio}'] = dict(rope=rope, template=ratio)
    runs['dot_product'] = dict(cosine=False)
    runs['level_each_chunk'] = dict(level_once=0, template=1.25)
    runs['patchify'] = dict(patchify=1)
    runs['patchify_wide'] = dict(patchify=1, template=0.5)
    runs['guided_last'] = dict(guided=[-1])
    runs['guided_third'] = dict(guided=[-2], cfg=[2.0, 1.0, 4.0])
    runs['guided_layers_and_logits'] = dict(guided=[0, -1, -3], cfg=[1.5])
    runs['unguided'] = dict(cfg=[1.0])
    runs['lists'] = dict(cfg=[1.0, 2.0, 5.0, 1.0, 3.0], tau=[0.5, 2.0, 1.0, 0.7])
    runs['batch'] = dict(texts=[0, 1])
    runs['negative'] = dict(negative=2)
    runs['batch_negative'] = dict(texts=[2, 0], negative=1)
    runs['sampled'] = dict(top_p=0.9, cfg=[1.5, 2.0], tau=[0.8, 1.3])
    runs['sampled_batch'] = dict(top_p=0.97, texts=[0, 1], cfg=[2.0])
    return {name: base | change for name, change in runs.items()}


@torch.no_grad()
def traced(infinity, model, vae, text, scales, cfg):
    """One run with everything between, named as in golden/README.md."""
    out = {}
    hooks = []
    scale = lambda: sum(name.startswith('logits_raw') for name in out)

    def keep(name, value):
        # Nothing is returned: what a hook returns takes the place of the output, and the model changes some in place.
        out[name] = value.clone()

    def after(module, name, every_scale=True):
        hooks.append(module.register_forward_hook(lambda m, i, result: keep(f'{name}.{scale()}' if every_scale else name, result)))
    hooks.append(model.block_chunks[0].module[0].register_forward_pre_hook(
        lambda m, i, kwargs: keep(f'x_in.{scale()}', kwargs['x'][:2 if scale() == 0 else 1]), with_kwargs=True))
    hooks.append(model.word_embed.register_forward_pre_hook(lambda m, inputs: keep(f'code_in.{scale()}', inputs[0])))
    for layer in (0, DEPTH - 1):
        after(model.unregistered_blocks[layer].sa, f'attn_out.layer{layer}')
    for name in ('text_norm', 'text_proj_for_ca', 'text_proj_for_sos', 'shared_ada_lin'):
        after(getattr(model, name), 'cond.' + name, every_scale=False)
    after(model.head, 'logits_raw')
    options = dict(texts=[0], negative=None, cfg=[cfg], tau=[1.0], guided=[0], top_p=0.0, patchify=0)
    seen, out['codes_final'], _ = run(infinity, model, vae, [text], options, scales)
    near = []
    for t, (logits, bits) in enumerate(seen):
        out[f'logits_cfg.{t}'] = logits.reshape(1, -1, 2 * BITS)
        out[f'bits.{t}'] = bits.reshape(1, -1, BITS).to(torch.uint8)
        gap = (logits[..., 1] - logits[..., 0]).abs().reshape(-1, BITS)
        near += [[t, int(a), int(b), gap[a, b].item()] for a, b in (gap < NEAR).nonzero()]
    for hook in hooks:
        hook.remove()
    # The last squeezed dimension is the image's one frame.
    out['codes_final'] = out['codes_final'].reshape(1, BITS, *scales[-1][1:])
    return {k: v.contiguous() for k, v in out.items()}, near


def second_folder(out, infinity, model, vae, texts, resolutions):
    """A golden folder of other sizes, template and guidance than golden/tiny-a; its weights and texts are those above."""
    os.makedirs(out, exist_ok=True)
    info = {'near_ties_lt_1e-3': {}}
    for ratio, cfg in ((0.666, 2.5),):
        scales = [(1, h, w) for _, h, w in resolutions[ratio]['0.06M']['scales']]
        recorded, near = traced(infinity, model, vae, texts[0], scales, cfg)
        save_file(recorded, os.path.join(out, f'full_{ratio}.safetensors'))
        info[f'full_{ratio}'] = {'schedule': scales}
        info['near_ties_lt_1e-3'][f'full_{ratio}.safetensors'] = near
    with open(os.path.join(out, 'info.json'), 'w') as file:
        json.dump(info, file)


def quantizer_goldens(out, quantizer, generator):
    scales = [(1, 1), (2, 3), (3, 4), (5, 6)]
    features = torch.randn(2, BITS, 10, 12, generator=generator)
    quantizer.eval()
    total, _, bits, *_ = quantizer(features, scale_schedule=[(1, 2 * h, 2 * w) for h, w in scales])
    out['quantizer.features'], out['quantizer.sum'] = features, total
    for t, grid in enumerate(bits):
        tokens = torch.nn.functional.pixel_unshuffle(grid.squeeze(1).permute(0, 3, 1, 2).float(), 2)
        out[f'quantizer.bits.{t}'] = tokens.flatten(2).transpose(1, 2).to(torch.uint8).contiguous()


def rotary_goldens(out, basic, resolutions, generator):
    for mode in (0, 1, 2):
        for head_dim in (16, 64):
            grids = basic.precompute_rope2d_freqs_grid(
                dim=head_dim, dynamic_resolution_h_w=resolutions, pad_to_multiplier=128, rope2d_normalized_by_hw=mode)
            for ratio, by_pn in resolutions.items():
                scales = by_pn['1M']['scales']
                table = grids[str(tuple((1, h, w) for _, h, w in scales))][:, 0, 0, 0]
                total = sum(h * w for _, h, w in scales)
                tokens = torch.randint(total, (24 if head_dim == 16 else 4,), generator=generator).sort().values
                out[f'rotary{mode}.head{head_dim}.{ratio}.tokens'] = tokens
                # [tokens, pairs, (cosine, sine)]
                out[f'rotary{mode}.head{head_dim}.{ratio}.values'] = table[:, tokens].permute(1, 2, 0).contiguous()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--ref', required=True)
    parser.add_argument('--out', required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    infinity, basic, MultiScaleBSQ = import_official(args.ref)
    from infinity.utils.dynamic_resolution import dynamic_resolution_h_w as resolutions
    os.makedirs(args.out, exist_ok=True)
    generator = torch.Generator().manual_seed(20260102)
    vae = Vae(MultiScaleBSQ(dim=BITS, codebook_size=2 ** BITS, schedule_mode='dynamic', new_quant=True))
    plain = variants(resolutions)['plain']
    base = random_weights(build(infinity, vae, plain), generator)
    # One head above the clamp at ln 100.
    base['block_chunks.0.module.1.sa.scale_mul_1H11'][0, 0] = 5.0
    patched = random_weights(build(infinity, vae, plain | dict(patchify=1)), generator)
    patched = {k: v for k, v in patched.items() if v.shape != base[k].shape}
    texts = [torch.randn(n, TEXT, generator=generator) for n in LENGTHS]
    save_file(base, os.path.join(args.out, 'infinity.safetensors'))
    save_file(patched, os.path.join(args.out, 'patchify.safetensors'))
    save_file({f'text_features.{i}': t for i, t in enumerate(texts)}, os.path.join(args.out, 'texts.safetensors'))

    model = build(infinity, vae, plain)
    torch.nn.Module.load_state_dict(model, {k: v.float() for k, v in base.items()}, strict=True)
    second_folder(os.path.join(args.out, 'tiny-b'), infinity, model, vae, texts, resolutions)

    out, description = {}, {}
    for name, options in variants(resolutions).items():
        model = build(infinity, vae, options)
        own = {k: v.float() for k, v in (base | (patched if options['patchify'] else {})).items()}
        own = {k: v for k, v in own.items() if options['cosine'] or 'scale_mul' not in k}
        torch.nn.Module.load_state_dict(model, own, strict=True)
        scales = [(1, h, w) for _, h, w in resolutions[options['template']][options['pn']]['scales']]
        seen, codes, uniforms = run(infinity, model, vae, texts, options, scales)
        near = record(out, name, options, seen, codes, uniforms)
        description[name] = options | dict(near=near)
        ones = [round(b.float().mean().item(), 2) for _, b in seen]
        print(name, 'near ties', len(near), 'ones', ones, 'logit std', round(seen[-1][0].std().item(), 2), flush=True)
    quantizer_goldens(out, vae.quantizer, generator)
    rotary_goldens(out, basic, resolutions, generator)
    save_file(out, os.path.join(args.out, 'recorded.safetensors'))
    schedules = {str(r): {pn: [list(s[1:]) for s in v['scales']] for pn, v in by_pn.items()} for r, by_pn in resolutions.items()}
    compact_json = lambda value: json.dumps(value, separators=(',', ':'))
    with open(os.path.join(args.out, 'recorded.json'), 'w') as file:
        file.write('{"runs":{\n' + ',\n'.join(f'"{k}":{compact_json(v)}' for k, v in description.items()) + '\n},\n"schedules":'
                   + compact_json(schedules) + '}\n')


if __name__ == '__main__':
    main()
