"""Writes the checkpoint fixtures of the engine's tests with the real PyTorch.

    python3 -m venv venv && venv/bin/pip install torch==2.13.0 numpy safetensors
    venv/bin/python tools/make_checkpoint_fixtures.py engine/src/test/resources/checkpoint

Each NAME.pth has its expected tensors in NAME.safetensors, written by the safetensors library from
contiguous copies; the files under refused/ must be refused by name.
"""

import argparse
import collections
import datetime
import decimal
import fractions
import json
import pathlib
import sys

import numpy
import torch
from safetensors.torch import save_file

OUT = pathlib.Path(sys.argv[1])
LEGACY = dict(_use_new_zipfile_serialization=False)


def expect(name, tensors):
    """The names and values that a reader must give."""
    copies = {k: v.detach().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()}
    save_file(copies, OUT / f"{name}.safetensors")


def dtypes():
    values = torch.tensor([0.0, -0.0, 1.5, -2.75, float("inf"), float("nan")])
    result = {str(d)[6:]: values.to(d) for d in (torch.float64, torch.float32, torch.float16, torch.bfloat16)}
    for d in (torch.int64, torch.int32, torch.int16, torch.int8):
        result[str(d)[6:]] = torch.tensor([torch.iinfo(d).min, -1, 0, 1, torch.iinfo(d).max], dtype=d)
    result["uint8"] = torch.arange(250, 256, dtype=torch.uint8)
    result["bool"] = torch.tensor([[True, False, True], [False, True, True]])
    result["scalar"] = torch.tensor(0.1, dtype=torch.float64)
    result["empty"] = torch.zeros(3, 0, 2)
    result["no.elements"] = torch.zeros(0, dtype=torch.bfloat16)
    return result


def views():
    base = torch.arange(120.0).reshape(2, 3, 4, 5)
    flat = torch.arange(40, dtype=torch.int16)
    bits = torch.arange(64, dtype=torch.float64).to(torch.bfloat16)
    return {
        "whole": base,
        "permuted": base.permute(3, 1, 0, 2),
        "transposed": base[1, 2].t(),
        "narrow": base[:, 1:3],
        "inner": base[:, :, 2, 1:4],
        "stepped": flat[3::7],
        "offset": flat[5:9],
        "last": flat[39],
        "expanded": bits[7:8].expand(6, 5),
        "expanded.outer": bits[8:12].expand(3, 4),
        "channels_last": base.contiguous(memory_format=torch.channels_last),
        "odd.stride.of.one": flat.as_strided((4, 1, 2), (2, 77, 1), 6),
        "overlapping": flat.as_strided((5, 4), (2, 1), 1),
        "diagonal": bits.reshape(8, 8).diagonal(),
        "bytes": torch.arange(12, dtype=torch.uint8).reshape(3, 4).t(),
        "doubles": torch.arange(12, dtype=torch.float64).reshape(3, 4).t(),
        "no.rows": base[:, :, 2:2].permute(2, 0, 1, 3),
    }


def module():
    torch.manual_seed(3)
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    state = net.state_dict()
    assert isinstance(state, collections.OrderedDict) and state._metadata
    return state


def plain():
    """Plain Python values as training notes hold them, and the tensors beside them."""
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    weight.sharded = True
    buffer = torch.nn.Buffer(torch.arange(3))
    buffer.note = {"why": b"an attribute"}
    nowhere = torch.ones(1)
    notes = {
        "bytes": b"\x00\xffabc", "no bytes": b"", "bytearray": bytearray(b"ab\x80"), "no bytearray": bytearray(),
        "complex": 1 - 2j, "set": {1, "a"}, "no set": set(), "frozenset": frozenset({(1, 2)}), "range": range(1, 9, 2),
        "slice": slice(None, 3), "ellipsis": ..., "big": -(2**200), "half": "\udce9t\u00e9", "float": float("nan"), "type": float,
        "counter": collections.Counter("abca"), "default": collections.defaultdict(list, {"a": [1]}),
        "deque": collections.deque([1.5, None], maxlen=4), "ordered": collections.OrderedDict(b=1, a=2),
        "when": datetime.datetime(2026, 1, 2, 3, 4, 5, 6, datetime.timezone.utc), "date": datetime.date(2026, 1, 2),
        "time": datetime.time(3, 4), "took": datetime.timedelta(days=1, seconds=2), "money": decimal.Decimal("1.10"),
        "fraction": fractions.Fraction(1, 2), "path": pathlib.PurePosixPath("a/b"), "device": torch.device("cpu"),
        "dtypes": [torch.float32, torch.float8_e5m2, torch.complex128, torch.uint32, torch.quint8, torch.int4],
        (1, "by a tuple"): nowhere, None: [nowhere], 1.5: {"deep": nowhere}, b"by bytes": nowhere,
    }
    return notes, {"weight": weight, "buffer": buffer}


def others():
    """Tensors that the engine lists but doesn't compute with, beside one that it does."""
    values = torch.arange(6.0).reshape(2, 3)
    quantised = torch.quantize_per_tensor(values, 0.1, 3, torch.quint8)
    by_channel = torch.quantize_per_channel(values, torch.tensor([0.1, 0.2]), torch.tensor([0, 1]), 0, torch.qint8)
    result = {name: values.to(getattr(torch, name)) for name in (
        "complex64", "complex128", "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2",
        "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu")}
    return {
        **result, "w": values, "complex.transposed": result["complex128"].t(), "float8.row": result["float8_e5m2"][1],
        "conjugate": result["complex64"].conj(), "negated": torch._neg_view(values), "sparse": values.to_sparse(),
        "csr": values.to_sparse_csr(), "quantised": quantised, "quantised.by.channel": by_channel,
        "meta": torch.empty(2, 3, device="meta"), "nested": torch.nested.nested_tensor([values, values[0:1]]),
        "parameter": torch.nn.Parameter(result["complex64"]),
    }


def conversions():
    """Floats with PyTorch's own casts of them: ties, subnormals, the largest, infinities, NaN."""
    generator = numpy.random.default_rng(5)
    bits = generator.integers(0, 2**32, 600, dtype=numpy.uint32)
    ties = numpy.concatenate([(bits[:100] & 0xFFFF0000) | 0x8000, (bits[100:200] & 0xFFFFE000) | 0x1000])
    near = numpy.concatenate([ties + 1, ties - 1])
    halves = (generator.integers(0, 2**16, 200, dtype=numpy.uint16).view(numpy.float16)).astype(numpy.float32)
    small = (generator.standard_normal(300) * 10.0 ** generator.integers(-9, 6, 300)).astype(numpy.float32)
    edges = numpy.array(
        [0x00000000, 0x80000000, 0x7F800000, 0xFF800000, 0x7F7FFFFF, 0x7F7F7FFF, 0x7F7F8000, 0x477FE000,
         0x477FEFFF, 0x477FF000, 0x33000000, 0x33000001, 0x32FFFFFF, 0x00000001, 0x007FFFFF, 0x387FE000],
        dtype=numpy.uint32)
    f32 = torch.from_numpy(numpy.concatenate([n.view(numpy.float32) for n in (bits, ties, near, edges)] + [halves, small]))
    f32 = f32[~f32.isnan()]
    f32 = torch.cat([f32, torch.tensor([float("nan")])])
    f64 = torch.from_numpy(generator.standard_normal(200) * 10.0 ** generator.integers(-40, 40, 200))
    result = {"f32": f32, "f64": f64, "f16": f32.half(), "bf16": f32.bfloat16()}
    targets = dict(F32=torch.float32, F16=torch.float16, BF16=torch.bfloat16)
    for name in list(result):
        for target, dtype in targets.items():
            result[f"{name}.{target}"] = result[name].to(dtype, copy=True)
    save_file({k: v.contiguous() for k, v in result.items()}, OUT / "conversions.safetensors")


def main():
    (OUT / "refused").mkdir(parents=True, exist_ok=True)
    conversions()
    for name, make in dict(dtypes=dtypes, views=views, module=module).items():
        tensors = make()
        torch.save(tensors, OUT / f"{name}.pth")
        torch.save(tensors, OUT / f"{name}_legacy.pth", **LEGACY)
        expect(name, tensors)

    small = {"a": torch.arange(6.0).reshape(2, 3), "b.c": torch.arange(3, dtype=torch.int64)}
    expect("small", small)
    for protocol in (3, 4, 5):
        torch.save(small, OUT / f"small_protocol{protocol}.pth", pickle_protocol=protocol)
        torch.save(small, OUT / f"small_protocol{protocol}_legacy.pth", pickle_protocol=protocol, **LEGACY)
    torch.serialization.set_crc32_options(False)
    torch.save(small, OUT / "small_no_checksums.pth")
    torch.serialization.set_crc32_options(True)

    parameter = torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float16))
    noted = torch.tensor([3.0, 4.0])
    noted.note = "an attribute makes torch use _rebuild_from_type_v2"
    attributed = {"parameter": parameter, "noted": noted, "buffer": torch.nn.Buffer(torch.ones(2))}
    torch.save(attributed, OUT / "attributed.pth")
    expect("attributed", attributed)

    inner = {"word_embed.weight": torch.arange(8.0).reshape(2, 4), "head.bias": torch.tensor([0.5])}
    notes = {
        "epoch": 3, "iter": 2**40, "huge": 2**90, "lr": 1e-4, "name": "emoji \U0001f525", "none": None,
        "flag": True, "shape": torch.Size([2, 3]), "dtype": torch.bfloat16,
        "device": torch.device("cpu"), "list": [1, [2.5, "x"]], "by_size": {(1, 2): [3, 4]},
    }
    wrapped = {**notes, "trainer": {"config": notes, "gpt_fsdp": collections.OrderedDict(inner)}}
    torch.save(wrapped, OUT / "wrapped.pth")
    torch.save(wrapped, OUT / "wrapped_legacy.pth", **LEGACY)
    expect("wrapped", inner)

    weight = torch.nn.Parameter(torch.tensor([[0.5, -1.0]]))
    adam = torch.optim.Adam([weight], lr=0.1)
    weight.sum().backward()
    adam.step()
    torch.save({"model": {"w": weight.detach()}, "optimizer": adam.state_dict(), "epoch": 1}, OUT / "training.pth")
    state = adam.state_dict()["state"][0]
    expect("training", {"model.w": weight, **{f"optimizer.state.0.{k}": v for k, v in state.items()}})

    sharded = OUT / "sharded"
    sharded.mkdir(exist_ok=True)
    shards = [{"a.weight": torch.arange(4.0)}, {"b.weight": torch.ones(2, 2, dtype=torch.bfloat16).t()}]
    weight_map = {}
    for i, shard in enumerate(shards):
        file = f"pytorch_model-{i + 1:05d}-of-00002.bin"
        torch.save(shard, sharded / file)
        weight_map.update({k: file for k in shard})
    index = {"metadata": {"total_size": 24}, "weight_map": weight_map}
    (sharded / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=2) + "\n")
    expect("sharded", {k: v for s in shards for k, v in s.items()})

    notes, tensors = plain()
    beside = {**notes, "model": tensors}
    torch.save(beside, OUT / "plain.pth")
    torch.save(beside, OUT / "plain_legacy.pth", **LEGACY)
    torch.save(beside, OUT / "plain_protocol5.pth", pickle_protocol=5)
    expect("plain", tensors)
    torch.save(others(), OUT / "others.pth")

    refused = {
        "module": torch.nn.Linear(2, 1),
        "namespace": {"args": argparse.Namespace(lr=1), "w": torch.ones(1)},
        "numpy_scalar": {"loss": numpy.float64(0.5), "w": torch.ones(1)},
        "bare_tensor": torch.ones(2),
        "no_tensor": {"epoch": 1},
    }
    for name, value in refused.items():
        torch.save(value, OUT / "refused" / f"{name}.pth")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 1)), OUT / "refused" / "torchscript.pth")


if __name__ == "__main__":
    main()
