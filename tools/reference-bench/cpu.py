"""Times the official Infinity code on the CPU, with the embedded model, beside `heatkv bench`, by turns.

    python cpu.py --ref INFINITY_CHECKOUT [--turns 5] [--only REGEX]

INFINITY_CHECKOUT is a checkout of the public Infinity code. Needs PyTorch and safetensors, and a built
checkout around this file. A turn starts each contender anew: the official classes in fp32 and under bf16
autocast, heatkv in its default type, fp32 and bf16, with its own natives and with PyTorch's. Times are
transformer and decoder of one 256 x 256 picture, the least of a turn's three; then the median of turns.
Ratios are medians of each turn's own, which a machine's phases touch less.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve()
ROOT = HERE.parents[2]
MODEL = ROOT / 'models/emoji/src/main/resources/io/heatkv/models/emoji'
REPEATS = 3
TEXT_TOKENS = 9


def draw(ref, half):
    """Milliseconds of pictures that the official code draws."""
    import torch
    from safetensors.torch import load_file
    sys.path.insert(0, str(ROOT / 'training'))
    import official_reference as official
    config = json.loads((MODEL / 'model.json').read_text())
    vae, model = official.build_official(ref, config)

    def load(module, name):
        module.load_state_dict({k: v.float() for k, v in load_file(MODEL / f'{name}.safetensors').items()})
    load(vae, 'vae')
    load(model, 'transformer')
    features = torch.randn(1, TEXT_TOKENS, config['transformer']['text_channels'])
    sampling = config['sampling']
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=half):
            official.run_official(vae, model, features, sampling['cfg'], sampling['tau'],
                                  lambda _, logits: torch.multinomial(logits.float().softmax(-1)[0], 1)[:, 0][None])
        times.append((time.perf_counter() - start) * 1e3)
    return times[1:]


def ours(libtorch, *options):
    environment = {**os.environ, **({'HEATKV_LIBTORCH': libtorch} if libtorch else {})}
    output = subprocess.run([ROOT / 'heatkv', 'bench', '--json', '--repeats', str(REPEATS), *options],
                            env=environment, check=True, stdout=subprocess.PIPE).stdout
    run = json.loads(output)['runs'][0]
    return run['total_ms'] - run['text_ms']


def theirs(ref, kind):
    output = subprocess.run([sys.executable, HERE, '--ref', ref, '--draw', kind], check=True, stdout=subprocess.PIPE).stdout
    return min(json.loads(output.splitlines()[-1]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--ref', required=True)
    parser.add_argument('--turns', type=int, default=5)
    parser.add_argument('--only', default='', metavar='REGEX', help='only the contenders whose names match')
    parser.add_argument('--draw', choices=('fp32', 'bf16'), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.draw:
        print(json.dumps(draw(args.ref, args.draw == 'bf16')))
        return
    import torch
    own = os.path.join(torch.__path__[0], 'lib')
    contenders = {f'official {kind}': lambda kind=kind: theirs(args.ref, kind) for kind in ('fp32', 'bf16')}
    for natives, libtorch in (('', None), (", PyTorch's libtorch", own)):
        for kind in ('default', 'fp32', 'bf16'):
            options = [] if kind == 'default' else ['--dtype', kind]
            contenders[f'heatkv {kind}{natives}'] = lambda o=options, lib=libtorch: ours(lib, *o)
    contenders = {name: run for name, run in contenders.items() if re.search(args.only, name)}
    turns = []
    for turn in range(args.turns):
        # Every other turn runs backwards, so that none always follows the same one.
        names = list(contenders) if turn % 2 == 0 else list(reversed(contenders))
        turns.append({name: contenders[name]() for name in names})
        print(' '.join(f'{name}: {turns[-1][name]:.0f}' for name in contenders), file=sys.stderr)
    official = [name for name in contenders if name.startswith('official')]
    print(f'torch {torch.__version__}, {torch.get_num_threads()} threads, {args.turns} turns')
    for name in contenders:
        ratios = [f'{statistics.median(t[name] / t[o] for t in turns):.2f} x {o}' for o in official]
        print(f'{name:38} {statistics.median(t[name] for t in turns):7.0f} ms  {"  ".join(ratios)}')


if __name__ == '__main__':
    main()
