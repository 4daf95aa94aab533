"""Ages of all faces in a folder or object store, to Parquet, with Daft.

    pip install dldl daft
    python daft_pictures.py "s3://bucket/pictures/**" s3://bucket/ages

On one machine as it is; on a cluster with `daft.set_runner_ray()`. A row per picture, with a
list of faces; a picture that cannot be read has an error.
"""

import argparse
from typing import Any

import daft
from daft import DataType, Series, col

import dldl

AGE = DataType.struct(
    {"value": DataType.float64(), "low": DataType.float64(), "high": DataType.float64()}
)
FACE = DataType.struct(
    {"box": DataType.list(DataType.float64()), "quality": DataType.float64(), "age": AGE}
)
RESULT = DataType.struct({"faces": DataType.list(FACE), "error": DataType.string()})


@daft.cls(max_concurrency=None)
class Ages:
    """A worker: one estimator on one thread."""

    def __init__(self) -> None:
        self.estimator = dldl.Estimator(threads=1)

    @daft.method.batch(return_dtype=RESULT, batch_size=64)
    def __call__(self, files: Series) -> list[dict[str, Any]]:
        return [result(r) for r in self.estimator.estimate_batch(files.to_pylist())]


def result(faces: dldl.Faces | Exception) -> dict[str, Any]:
    """The faces of a picture, or its error."""
    if isinstance(faces, Exception):
        return {"faces": [], "error": str(faces)}
    return {"faces": [face(record) for record in faces.to_dict()["faces"]], "error": None}


def face(record: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a face."""
    age = record["age"]
    ends = {end: age["interval"][end] for end in ("low", "high")}
    return {"box": record["box"], "quality": record["quality"], "age": age | ends}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", help="pattern of files, or of an object store")
    parser.add_argument("out", help="folder of the Parquet files")
    args = parser.parse_args()
    ages = Ages()
    pictures = daft.from_glob_path(args.pictures).select("path")
    pictures = pictures.with_column("result", ages(col("path").download(on_error="null")))
    pictures.select("path", col("result").unnest()).write_parquet(args.out)


if __name__ == "__main__":
    main()
