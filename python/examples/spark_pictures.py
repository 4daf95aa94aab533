"""Ages of all faces in a folder or object store, to Parquet, on a cluster of Spark.

    pip install dldl pyspark pandas pyarrow
    spark-submit spark_pictures.py s3a://bucket/pictures s3a://bucket/ages

A row per face, and one for each picture without a face; a picture that cannot be read is a
row with an error.
"""

import sys
from collections.abc import Iterator

import pandas
from pyspark.sql import SparkSession

import dldl

SCHEMA = """image string, face long, box_x double, box_y double, box_w double, box_h double,
quality double, age double, age_interval_low double, age_interval_high double, error string"""


def ages(batches: Iterator[pandas.DataFrame]) -> Iterator[pandas.DataFrame]:
    """The rows of a partition: one estimator on one thread for all of it."""
    estimator = dldl.Estimator(threads=1)
    columns = [column.split()[0] for column in SCHEMA.split(",")]
    for batch in batches:
        files = [bytes(content) for content in batch["content"]]
        table = dldl.to_arrow(estimator.estimate_batch(files), images=list(batch["path"]))
        yield table.select(columns).to_pandas(integer_object_nulls=True)


def main() -> None:
    source, out = sys.argv[1:]
    spark = SparkSession.builder.appName("ages").getOrCreate()
    # The contents of the pictures in flight: keep Arrow's batches small.
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", 64)
    pictures = spark.read.format("binaryFile").option("recursiveFileLookup", True).load(source)
    pictures.select("path", "content").mapInPandas(ages, SCHEMA).write.parquet(out)


if __name__ == "__main__":
    main()
