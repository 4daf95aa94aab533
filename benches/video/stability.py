"""How steady the ages of `dldl video` are, and how right: over synthetic clips of the people
of the London set, the age of every frame alone against that of all frames so far.

    benches/video/stability.py --dldl target/release/dldl --london ../shared/data/london

Prints, for both, the standard deviation over time (mean over clips), the largest jump from
frame to frame and the mean absolute error against the person's age."""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile

import clips


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--dldl", default="target/release/dldl")
    arguments.add_argument("--london", type=pathlib.Path, required=True)
    arguments.add_argument("--people", type=int, default=20)
    arguments.add_argument("--seconds", type=float, default=4)
    arguments.add_argument("--keep", type=pathlib.Path, help="folder for the clips")
    arguments = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = arguments.keep or pathlib.Path(folder)
        folder.mkdir(exist_ok=True)
        report(arguments, folder)


def report(arguments, folder):
    kinds = ["single frames", "averaged"]
    deviations, jumps, errors, final, numbers, seen, frames = ([[], []], [[], []], [[], []], [], [], 0, 0)
    for seed, person in enumerate(clips.people(arguments.london, arguments.people)):
        identity, age, *pictures = person
        clip = folder / f"{identity}.mp4"
        if not clip.exists():
            clips.person_clip(clip, pictures, arguments.seconds, seed)
        command = [arguments.dldl, "video", clip, "--format", "ndjson"]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        records = [json.loads(line) for line in lines.splitlines()]
        frames += len(records)
        faces = [record["faces"][0] for record in records if record["faces"]]
        seen += len(faces)
        numbers.append(len({face.get("track") for face in faces} - {None}))
        faces = [face for face in faces if "track" in face]
        ages = [[face["single"]["age"] for face in faces], [face["age"]["value"] for face in faces]]
        for i, series in enumerate(ages):
            deviations[i].append(statistics.pstdev(series))
            jumps[i].append(max(abs(a - b) for a, b in zip(series, series[1:])))
            errors[i].append(statistics.mean(abs(v - age) for v in series))
        final.append(abs(ages[1][-1] - age))
    print(f"{len(final)} people, {frames} frames, face found in {100 * seen / frames:.1f} %, "
          f"{sum(numbers)} tracks")
    print(f"{'age from':14} {'deviation over time':>20} {'largest jump':>13} {'error':>6}")
    for i, kind in enumerate(kinds):
        row = [statistics.mean(values[i]) for values in (deviations, jumps, errors)]
        print(f"{kind:14} {row[0]:20.2f} {row[1]:13.2f} {row[2]:6.2f}")
    print(f"{'whole clip':14} {'':20} {'':13} {statistics.mean(final):6.2f}")
    ratio = statistics.mean(deviations[0]) / statistics.mean(deviations[1])
    print(f"The deviation falls by a factor of {ratio:.1f}.")


if __name__ == "__main__":
    main()
