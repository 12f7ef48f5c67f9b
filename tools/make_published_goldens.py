"""Records tiny models in the forms in which Infinity is published: engine/src/test/resources/golden-published.

    python make_published_goldens.py --ref INFINITY_CHECKOUT --out FOLDER

Needs torch, numpy, einops, safetensors, tqdm, transformers, sentencepiece. Everything runs in float32 on the CPU.
"""
import argparse
import json
import math
import os
import re
import shutil

os.environ['TORCHDYNAMO_DISABLE'] = '1'
import numpy as np
import torch
from safetensors.torch import save_file

TEXT = 128
DEPTH, CHUNKS, WIDTH, HEADS, HIDDEN, MAXLEN = 2, 2, 32, 2, 256, 16
PROMPT = 'a red apple, noto style emoji'
NEGATIVE = 'blurry'
SAMPLED_TOKENS, SAMPLED_PIXELS = 24, 5
NEAR = 1e-4
CORPUS = '''a red apple, noto style emoji
two green apples on a wooden table, fluent style
a photograph of a cat wearing a hat, looking at the camera
the quick brown fox jumps over the lazy dog
an astronaut riding a horse on the moon, oil painting
portrait of an old man with a white beard, soft light
a yellow submarine under the sea, flat style emoji
mountains at sunset, highly detailed, wide angle
a bowl of soup with steam, noto style emoji, top view'''
TEXTS = [
    PROMPT, NEGATIVE, 'apple', '', ' ', 'a', 'two  green   apples', ' leading and trailing ', 'tab\tand\nnewline', 'CAPITALS Are Rare',
    'caf\u00e9 na\u00efve \u00dcber', 'cafe\u0301', '\uff21\uff50\uff50\uff4c\uff45 \uff11\uff12', '\ufb01ne \u2460 \u00bd \u2122', 'a\u00a0b\u2003c\u3000d', 'emoji \U0001f34e \U0001f469\u200d\U0001f680 end',
    '\u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8', '\u0417\u0434\u0440\u0430\u0432\u0441\u0442\u0432\u0443\u0439', '\u200bzero\u200bwidth\ufeff', 'soft\u00adhyphen', 'ctrl\x01\x7fchars', '\u2581marked \u2581words', 'a\u2581b',
    'end </s> middle', '</s>', '<pad>', '<unk> known', '<extra_id_0> and <extra_id_99>', 'x<extra_id_7>y', '<extra_id_100>', 'quotes "q" \'s', '1,234.5%', '...', 'a' * 40,
    'the quick brown fox jumps over the lazy dog', 'portrait of an old man', 'a,b;c:d', 'mixed \U0001f34eapple', '\u1e9b\u0323', 'I\u0307', 'ﷺ',
]


def random_weights(model, generator, factors):
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
        elif value.dim() in (2, 4) and name not in ('cfg_uncond', 'lvl_embed.weight'):
            draw = draw / math.sqrt(value[0].numel())
        state[name] = (factors.get(name, 1) * draw).bfloat16()
    return state


def hash64(name):
    """FNV-1a."""
    h = 0xcbf29ce484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001b3 & 0xFFFFFFFFFFFFFFFF
    return h


def philox(counter, key):
    """Philox4x32-10 of uint32 arrays."""
    counter = [np.asarray(c, np.uint64) for c in counter]
    k0, k1 = key
    for _ in range(10):
        a, b = counter[0] * np.uint64(0xD2511F53), counter[2] * np.uint64(0xCD9E8D57)
        low, high = np.uint64(0xFFFFFFFF), np.uint64(32)
        counter = [(b >> high) ^ counter[1] ^ np.uint64(k0), b & low, (a >> high) ^ counter[3] ^ np.uint64(k1), a & low]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return counter


def synthetic(name, shape, seed):
    """The weights of SyntheticCheckpoint in float32: sums of four uniform 16-bit numbers."""
    count = int(np.prod(shape))
    n = np.arange((count + 1) // 2, dtype=np.uint64)
    h = hash64(name)
    full = lambda value: np.full(len(n), value, np.uint64)
    words = philox((n & np.uint64(0xFFFFFFFF), n >> np.uint64(32), full(h & 0xFFFFFFFF), full(h >> 32)), (seed & 0xFFFFFFFF, seed >> 32))
    half = np.uint64(0xFFFF)
    sums = [(words[i] & half) + (words[i] >> np.uint64(16)) + (words[i + 1] & half) + (words[i + 1] >> np.uint64(16)) for i in (0, 2)]
    whole = np.stack(sums, 1).reshape(-1)[:count].astype(np.int64) - 2 * 0xFFFF
    scale = np.float32(np.float32(0.02) / math.sqrt((2.0 ** 32 - 1) / 3))
    mean = np.float32(len(shape) == 1 and re.fullmatch(r'(^|.*\.)[^.]*norm[^.]*\.(.*\.)?weight', name) is not None)
    return torch.from_numpy((mean + scale * whole.astype(np.float32)).astype(np.float32).reshape(shape))


def vae_class(ref):
    from make_model_goldens import Anything, stub
    stub('torchvision', transforms=Anything())
    import infinity.models.bsq_vae.vae as vae
    made = {}
    original = vae.AutoEncoder

    def build(dim, patchify, base, mult, blocks):
        def smaller(args):
            args.base_ch, args.num_res_blocks = base, blocks
            return original(args)
        vae.AutoEncoder = smaller
        return vae.vae_model({}, 'dynamic', dim, 2 ** dim, patch_size=8 if patchify else 16, encoder_ch_mult=mult, decoder_ch_mult=mult)
    return build


def tokenizers(out, build):
    """Decoder and encoder of every published kind, with weights that the tests make anew from seed 5."""
    recorded = {}
    generator = torch.Generator().manual_seed(1)
    for name, dim, patchify in (('d16', 16, 0), ('d24', 24, 0), ('d32', 32, 0), ('d64', 64, 0), ('d56_f8_14_patchify', 14, 1)):
        vae = build(dim, patchify, 32, [1, 2, 4, 4] if patchify else [1, 2, 4, 4, 4], 2)
        vae.load_state_dict({k: synthetic(k, tuple(v.shape), 5) for k, v in vae.state_dict().items()}, strict=True)
        edge = 4 if patchify else 2
        codes = torch.randn(1, dim, edge, edge + 1, generator=generator)
        image = vae.decode(codes)
        pixels = torch.rand(1, 3, 32, 48, generator=generator) * 2 - 1
        features, *_ = vae.encoder(pixels, return_hidden=True)
        print(name, 'image std', image.std().item(), 'features std', features.std().item())
        recorded |= {f'{name}.codes': codes, f'{name}.image': image, f'{name}.pixels': pixels, f'{name}.features': features}
    save_file({k: v.contiguous() for k, v in recorded.items()}, os.path.join(out, 'tokenizers.safetensors'))


def train_pieces(folder):
    import sentencepiece
    with open(os.path.join(folder, 'corpus'), 'w') as file:
        file.write(CORPUS)
    sentencepiece.SentencePieceTrainer.train(
        input=os.path.join(folder, 'corpus'), model_prefix=os.path.join(folder, 'spiece'), vocab_size=90, model_type='unigram',
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, pad_piece='<pad>', normalization_rule_name='nmt_nfkc', minloglevel=2)
    for name in ('corpus', 'spiece.vocab'):
        os.remove(os.path.join(folder, name))


def text_encoder(out):
    """flan-t5-xl in small, as save_pretrained stores it; ids of texts; features of the prompts."""
    from transformers import T5Config, T5EncoderModel, T5Tokenizer
    folder = os.path.join(out, 'flan-t5')
    os.makedirs(folder)
    train_pieces(folder)
    tokenizer = T5Tokenizer.from_pretrained(folder)
    with open(os.path.join(out, 'ids.json'), 'w') as file:
        json.dump([[text, tokenizer(text).input_ids] for text in TEXTS], file, indent=0)
        file.write('\n')
    torch.manual_seed(3)
    config = T5Config(d_model=TEXT, d_ff=32, d_kv=16, num_heads=2, num_layers=2, vocab_size=192, feed_forward_proj='gated-gelu',
                      tie_word_embeddings=False)
    encoder = T5EncoderModel(config).eval()
    with torch.no_grad():
        for name, value in encoder.named_parameters():
            value.normal_(1 if 'norm' in name else 0, 0.3 if 'norm' in name else 1.5 if 'shared' in name else 0.15)
            value.copy_(value.bfloat16())
    encoder.save_pretrained(folder, max_shard_size='150KB')
    # A second copy in the older form, with one of the two names of the embedding.
    older = os.path.join(out, 'flan-t5-bin')
    os.makedirs(older)
    state = {k: v.bfloat16() for k, v in encoder.state_dict().items()}
    del state['shared.weight']
    shard_bin(older, state)
    features = lambda text: encoder(input_ids=torch.tensor([tokenizer(text).input_ids])).last_hidden_state[0]
    with torch.no_grad():
        return features(PROMPT), features(NEGATIVE)


def halves(state):
    names = sorted(state)
    return {k: state[k] for k in names[:len(names) // 2]}, {k: state[k] for k in names[len(names) // 2:]}


def index(folder, name, parts, files):
    with open(os.path.join(folder, name), 'w') as file:
        json.dump({'metadata': {'total_size': sum(v.nbytes for p in parts for v in p.values())},
                   'weight_map': {k: f for p, f in zip(parts, files) for k in p}}, file, indent=1)


def shard_bin(folder, state):
    os.makedirs(folder, exist_ok=True)
    parts = halves(state)
    files = [f'pytorch_model-0000{i}-of-00002.bin' for i in (1, 2)]
    for part, name in zip(parts, files):
        torch.save(part, os.path.join(folder, name))
    index(folder, 'pytorch_model.bin.index.json', parts, files)


def shard_safetensors(folder, state):
    os.makedirs(folder, exist_ok=True)
    parts = halves(state)
    files = [f'model-0000{i}-of-00002.safetensors' for i in (1, 2)]
    for part, name in zip(parts, files):
        save_file(part, os.path.join(folder, name), metadata={'format': 'pt'})
    index(folder, 'model.safetensors.index.json', parts, files)


def transformer(infinity, vae, patchify):
    return infinity.Infinity(
        vae_local=vae, text_channels=TEXT, text_maxlen=MAXLEN, embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS,
        mlp_ratio=HIDDEN / WIDTH, block_chunks=CHUNKS, shared_aln=True, head_aln=True, fused_norm=True, checkpointing='full-block',
        pad_to_multiplier=128, use_flex_attn=False, customized_flash_attn=False, add_lvl_embeding_only_first_block=1, use_bit_label=1,
        rope2d_each_sa_layer=1, rope2d_normalized_by_hw=2, pn='1M', apply_spatial_patchify=patchify, inference_mode=True,
        raw_scale_schedule=None).eval()


def generate(infinity, model, vae, dim, texts, scales):
    seen = []

    def choose(logits, **_):
        bits = (logits[..., 1] > logits[..., 0]).long()
        seen.append((logits.clone(), bits))
        return bits[..., None]
    infinity.sample_with_top_k_top_p_also_inplace_modifying_logits_ = choose
    pack = lambda t: (t, [len(t)], torch.tensor([0, len(t)], dtype=torch.int32), len(t))
    kept = {}
    decode = vae.decode

    def keep(codes):
        kept['codes'], kept['image'] = codes.clone(), decode(codes)
        return kept['image'].clone()
    vae.decode = keep
    model.autoregressive_infer_cfg(
        vae=vae, scale_schedule=scales, label_B_or_BLT=pack(texts[0]), B=1, negative_label_B_or_BLT=pack(texts[1]), g_seed=0,
        cfg_list=[3] * len(scales), tau_list=[0.5] * len(scales), top_k=900, top_p=0.97, returns_vemb=1, cfg_insertion_layer=[0],
        vae_type=dim, ret_img=True, inference_mode=True)
    del vae.decode
    return seen, kept['codes'], kept['image']


def model_goldens(out, infinity, build, texts, resolutions, name, dim, patchify):
    """Weights without near ties, in every container, and what the official code draws with them."""
    scales = [(1, h, w) for _, h, w in resolutions[1.0]['0.06M']['scales']]
    vae = build(dim, patchify, 24, [1] * (4 if patchify else 5), 1)
    factors = {'word_embed.weight': 8, 'lvl_embed.weight': 0.2, 'shared_ada_lin.1.weight': 0.1, 'head_nm.ada_lin.1.weight': 0.05,
               'head_nm.ada_lin.1.bias': 0.2, 'head.bias': 0.1, 'head.weight': 2}
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        decoder = random_weights(vae, generator, {})
        vae.load_state_dict({k: v.float() for k, v in decoder.items()}, strict=True)
        model = transformer(infinity, vae, patchify)
        state = random_weights(model, generator, factors)
        torch.nn.Module.load_state_dict(model, {k: v.float() for k, v in state.items()}, strict=True)
        seen, codes, image = generate(infinity, model, vae, dim, texts, scales)
        gap = min((logits[..., 1] - logits[..., 0]).abs().min().item() for logits, _ in seen)
        ones = [bits.reshape(-1, dim * (4 if patchify else 1)).float().mean(0) for _, bits in seen]
        mixed = [((m > 0) & (m < 1)).float().mean().item() for m in ones]
        print(name, 'seed', seed, 'smallest gap', gap, 'mixed bits', mixed, 'image std', image.std().item(), flush=True)
        # Enough tokens must differ, or positions would not matter.
        if gap > NEAR and min(mixed[2:]) > 0.3:
            break
    recorded = {'image': image[0, :, ::SAMPLED_PIXELS, ::SAMPLED_PIXELS].contiguous()}
    for t, (logits, bits) in enumerate(seen):
        width = dim * (4 if patchify else 1)
        step = -(-logits.numel() // (2 * width) // SAMPLED_TOKENS)
        recorded[f'logits.{t}'] = logits.reshape(-1, 2 * width)[::step].contiguous()
        recorded[f'bits.{t}'] = torch.from_numpy(np.packbits(bits.reshape(-1).numpy().astype(np.uint8)))
    save_file(recorded, os.path.join(out, name + '.recorded.safetensors'))
    if patchify:
        decoder = {k: v for k, v in decoder.items() if k.startswith('decoder.')}
    # Published tokenizers lie under 'vae' beside what training left.
    torch.save({'vae': decoder, 'image_disc': {'main.0.weight': torch.zeros(2, 3)}, 'step': 7}, os.path.join(out, name + '.vae.pth'))
    torch.save(state, os.path.join(out, name + '.pth'))
    if patchify:
        shard_bin(os.path.join(out, name + '_weights'), state)
    else:
        shard_safetensors(os.path.join(out, name + '_weights'), state)
        torch.save(state, os.path.join(out, name + '.legacy.pth'), _use_new_zipfile_serialization=False)
        torch.save({'epoch': 1, 'iter': 2, 'trainer': {'gpt_fsdp': state, 'gpt_opt': {'state': {0: {'exp_avg': torch.zeros(3)}}}}},
                   os.path.join(out, name + '.training.pth'))


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--ref', required=True)
    parser.add_argument('--out', required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    readme = os.path.join(args.out, 'README.md')
    kept = open(readme).read() if os.path.exists(readme) else None
    shutil.rmtree(args.out, ignore_errors=True)
    os.makedirs(args.out)
    if kept:
        with open(readme, 'w') as file:
            file.write(kept)
    texts = text_encoder(args.out)
    from make_model_goldens import import_official
    infinity, _, _ = import_official(args.ref)
    from infinity.utils.dynamic_resolution import dynamic_resolution_h_w as resolutions
    build = vae_class(args.ref)
    tokenizers(args.out, build)
    model_goldens(args.out, infinity, build, texts, resolutions, 'tiny_2b', 16, 0)
    model_goldens(args.out, infinity, build, texts, resolutions, 'tiny_8b', 14, 1)


if __name__ == '__main__':
    main()
