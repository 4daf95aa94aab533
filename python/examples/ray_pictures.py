"""Ages of all faces in a folder or object store, to Parquet, on a cluster of Ray.

    pip install dldl "ray[data]" pyarrow
    python ray_pictures.py s3://bucket/pictures s3://bucket/ages

A row per face, and one for each picture without a face; a picture that cannot be read is a
row with an error. A worker that is killed loses nothing: Ray runs its pictures again.
"""

import argparse
import pyarrow
import ray

import dldl


class Ages:
    """A worker: one estimator on one thread."""

    def __init__(self) -> None:
        self.estimator = dldl.Estimator(threads=1)

    def __call__(self, pictures: pyarrow.Table) -> pyarrow.Table:
        files = pictures["bytes"].to_pylist()
        results = self.estimator.estimate_batch(files)
        return dldl.to_arrow(results, images=pictures["path"].to_pylist(), thresholds=[18])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", help="folder, or address of an object store")
    parser.add_argument("out", help="folder of the Parquet files")
    parser.add_argument("--workers", type=int, help="default: one per processor of the cluster")
    args = parser.parse_args()
    ray.init(ignore_reinit_error=True, log_to_driver=False)
    workers = args.workers or int(ray.cluster_resources()["CPU"])
    # A worker takes most of a processor; the rest is for those that read and write.
    io = {"num_cpus": 0.1}
    pictures = ray.data.read_binary_files(args.pictures, include_paths=True, ray_remote_args=io)
    ages = pictures.map_batches(
        Ages,
        batch_format="pyarrow",
        batch_size=64,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=0.7,
        # A worker that is killed is started again, and its pictures are done again.
        max_restarts=-1,
        max_task_retries=-1,
    )
    ages.write_parquet(args.out, ray_remote_args=io)


if __name__ == "__main__":
    main()
