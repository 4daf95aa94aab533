"""Fits the coefficients of the quality of a face (crates/dldl/src/quality.rs), and makes the
degraded pictures that they are fitted on.

    python3 tools/fit_quality.py degrade DEGRADED UTKFACE APPA-REAL OMI     (needs Pillow)
    dldl eval --dataset utkface --root UTKFACE --split val --out utkface.json
    dldl eval --dataset csv --root APPA-REAL --labels APPA-REAL/choose.csv --split all --out appa.json
    dldl eval --dataset omi --root OMI --split all --out omi.json
    dldl eval --dataset csv --root DEGRADED --split all --out degraded.json
    python3 tools/fit_quality.py fit utkface.json appa.json omi.json degraded.json   (needs NumPy)

The model: the expected absolute error is a function of the true age, times a constant of the
dataset (whose labels are noisy to a different degree), times exp(sum of coefficient * deficit).
Deficits are 0 for a good picture and grow with its faults:

    spread     log(std / clear(estimate)), where `clear` is the 10th percentile of the standard
               deviation at this estimate, interpolated between the ages in AGES
    blur       log(SHARP / sharpness)
    small      log(LARGE / size)
    unsure     log10((1 - score) / SURE)
    yaw, pitch, roll   deviations from a frontal face

each at least 0. Coefficients are found by maximum quasi-likelihood (Poisson, log link); those
that would be below 0 are set to 0 one after the other, the most negative first. The quality is
exp(-sum of coefficient * deficit): the error expected of a clear picture divided by that
expected of this one, at the same age.
"""

import csv
import json
import os
import random
import sys

SHARP, LARGE, SURE = 0.06, 100.0, 1e-5
AGES = [0, 5, 15, 25, 40, 60, 80]
KNOTS = [0, 5, 12, 18, 25, 35, 45, 55, 65, 80]
NAMES = ["spread", "blur", "small", "unsure", "yaw", "pitch", "roll"]
# Larger errors are mostly wrong labels and faces of other people.
MOST = 30.0


def degrade(out, utkface, appa, omi):
    """Writes each picture of APPA-REAL's `choose`, 400 of OMI and 800 of UTKFace's val split
    with one fault of random strength: reduced, blurred, compressed, turned, dark."""
    from PIL import Image, ImageEnhance, ImageFilter

    def rows(root, table, keep=lambda row: True):
        with open(os.path.join(root, table)) as file:
            return [(os.path.join(root, r["file"]), float(r["age"]))
                    for r in csv.DictReader(file) if keep(r)]

    random.seed(1)
    pictures = rows(appa, "choose.csv")
    pictures += random.sample(rows(omi, "labels.csv"), 400)
    val = rows(utkface, "labels.csv", lambda r: r["split"] == "val" and float(r["age"]) <= 100)
    pictures += random.sample([(p if os.path.exists(p) else os.path.join(
        utkface, "images", os.path.basename(p)), a) for p, a in val], 800)
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, "labels.csv"), "w") as table:
        table.write("file,age,fault\n")
        for i, (path, age) in enumerate(pictures):
            image = Image.open(path).convert("RGB")
            fault = random.choice(["reduced", "blurred", "compressed", "turned", "dark"])
            name, options = f"{i:04}.png", {}
            if fault == "reduced":
                by = random.uniform(0.12, 0.6)
                image = image.resize([max(24, int(n * by)) for n in image.size], Image.LANCZOS)
            elif fault == "blurred":
                sigma = random.uniform(1, 6) * image.width / 200
                image = image.filter(ImageFilter.GaussianBlur(sigma))
            elif fault == "compressed":
                name, options = f"{i:04}.jpg", {"quality": random.randint(3, 20)}
            elif fault == "turned":
                angle = random.uniform(10, 40) * random.choice([-1, 1])
                image = image.rotate(angle, expand=True, resample=Image.BICUBIC)
            else:
                image = ImageEnhance.Brightness(image).enhance(random.uniform(0.08, 0.5))
            image.save(os.path.join(out, name), **options)
            table.write(f"{name},{age},{fault}\n")
    print(f"{len(pictures)} pictures in {out}")


def fit(paths):
    import numpy as np

    sets, rows = [], []
    for number, path in enumerate(paths):
        with open(path) as file:
            evaluation = json.load(file)
        sets.append(f"{os.path.basename(path)} ({evaluation['model']})")
        rows += [(number, p) for p in evaluation["predictions"] if "pose" in p.get("measures", {})]
    column = lambda pick: np.array([pick(p) for _, p in rows], float)
    of = np.array([number for number, _ in rows])
    truth, estimate, std = [column(lambda p, n=n: p[n]) for n in ["truth", "fused", "std"]]
    error = abs(estimate - truth)

    # The 10th percentile in a window around the age. The degraded pictures are included; they
    # are seldom below it.
    def clear_at(age):
        near = abs(estimate - age) <= max(1.5, 0.15 * age)
        return np.quantile(std[near], 0.1)

    clear = np.array([clear_at(age) for age in AGES])
    measure = lambda name: column(lambda p: p["measures"][name])
    pose = lambda name: column(lambda p: p["measures"]["pose"][name])
    least = lambda values: np.maximum(values, 0)
    deficits = {
        "spread": least(np.log(std / np.interp(estimate, AGES, clear))),
        "blur": least(np.log(SHARP / np.maximum(measure("sharpness"), 1e-4))),
        "small": least(np.log(LARGE / np.maximum(measure("size"), 1))),
        "unsure": least(np.log10(np.maximum(1 - measure("score"), SURE) / SURE)),
        "yaw": least(abs(pose("yaw")) - 0.2),
        "pitch": abs(pose("pitch") - 0.57),
        "roll": abs(pose("roll")) / 45,
    }
    age = np.stack([np.interp(truth, KNOTS, row) for row in np.eye(len(KNOTS))], 1)
    constants = (of[:, None] == np.arange(1, len(sets))).astype(float)
    y = np.minimum(error, MOST)

    def solve(names):
        a = np.concatenate([age, constants] + [deficits[n][:, None] for n in names], 1)
        w = np.zeros(a.shape[1])
        w[: len(KNOTS)] = np.log(y.mean())
        for _ in range(50):
            mu = np.exp(a @ w)
            step = np.linalg.lstsq((a * mu[:, None]).T @ a, a.T @ (y - mu), rcond=None)[0]
            w += step
            if abs(step).max() < 1e-10:
                break
        mu = np.exp(a @ w)
        bread = np.linalg.pinv((a * mu[:, None]).T @ a)
        filling = a * (y - mu)[:, None]
        error = np.sqrt(np.diag(bread @ (filling.T @ filling) @ bread))
        return w[-len(names):], error[-len(names):]

    names, dropped = list(NAMES), []
    w, spread = solve(names)
    while w.min() < 0:
        worst = int(w.argmin())
        dropped.append(f"{names[worst]} ({w[worst]:+.3f} +/- {spread[worst]:.3f})")
        del names[worst]
        w, spread = solve(names)
    print("clear     ", ", ".join(f"({a}, {c:.2f})" for a, c in zip(AGES, clear)))
    for name, value, deviation in zip(names, w, spread):
        print(f"{name:10} {value:.3f} +/- {deviation:.3f}")
    print("set to 0:", ", ".join(dropped) or "none")

    quality = np.exp(-sum(value * deficits[n] for n, value in zip(names, w)))
    picture = [n for n in names if n != "spread"]
    alone = np.exp(-sum(value * deficits[n] for n, value in zip(picture, solve(picture)[0])))
    print(f"\n{len(rows)} faces; MAE of the rest by quality (std; sharpness, size and score alone),\n"
          "share of each age rejected at 20 %")
    for number, name in enumerate(sets):
        inside = of == number
        e, t = error[inside], truth[inside]
        print(f"{name}, quality at 1, 5, 10, 25, 50, 75 %:",
              np.round(np.quantile(quality[inside], [0.01, 0.05, 0.1, 0.25, 0.5, 0.75]), 2))
        order = {"quality": np.argsort(quality[inside]), "std": np.argsort(-std[inside]),
                 "alone": np.argsort(alone[inside])}
        for share in [0, 0.05, 0.1, 0.2, 0.3, 0.5]:
            kept = {n: e[o[int(share * len(e)):]].mean() for n, o in order.items()}
            print(f"  {share:4.0%} rejected {kept['quality']:7.3f} "
                  f"({kept['std']:.3f}; {kept['alone']:.3f})")
        gone = {n: np.isin(np.arange(len(e)), o[: int(0.2 * len(e))]) for n, o in order.items()}
        for low, high in [(0, 18), (18, 30), (30, 50), (50, 120)]:
            band = (t >= low) & (t < high)
            if band.sum() >= 20:
                print(f"  {low:3}-{high - 1:3}: {gone['quality'][band].mean():6.1%}"
                      f" ({gone['std'][band].mean():.1%})")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["degrade", out, utkface, appa, omi]:
            degrade(out, utkface, appa, omi)
        case ["fit", *paths] if paths:
            fit(paths)
        case _:
            sys.exit(__doc__)
