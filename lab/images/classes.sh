#!/usr/bin/env bash
# Spark's classes as Java maps them into memory, for the program `java` of this folder, with the class path that they are
# of: those that a cluster and a job of Spark's load in one process.
#
# Runs inside the image under construction, over al2023_packages.sh's layer, of which it changes nothing: what it adds may
# lie over each image of that family. /files/spark has the release's archive.
set -Eeuo pipefail

readonly JOB='
from pyspark.sql import SparkSession
for master in ("local-cluster[1,1,1024]", "local[2]"):
    spark = SparkSession.builder.master(master).getOrCreate()
    spark.range(100).groupBy("id").count().write.mode("overwrite").parquet("/tmp/classes/table")
    spark.read.parquet("/tmp/classes/table").createOrReplaceTempView("t")
    print(spark.sql("select sum(count), max(id) from t").collect())
    pairs = spark.sparkContext.parallelize(range(100), 4).map(lambda number: (number % 4, number))
    print(pairs.reduceByKey(lambda one, other: one + other).collect())
    spark.stop()
'

main() {
  local archive name folder
  archive=$(echo /files/spark/*.tgz)
  name=${archive##*/} name=${name%-bin-hadoop3.tgz}
  folder=/usr/share/lab-java/$name
  mkdir -p "/tmp/$name" /tmp/classes "$folder"
  tar -xzf "$archive" -C "/tmp/$name" --strip-components=1 --no-same-owner
  ln -s "/tmp/$name" /opt/spark
  printf '%s\n' /opt/spark/jars/*.jar | paste -sd : >"$folder/class-path"
  echo "$JOB" >/tmp/classes/job.py
  cd /tmp/classes
  export JAVA_HOME SPARK_LOCAL_IP=127.0.0.1 PYSPARK_PYTHON=python3.11
  JAVA_HOME=$(dirname "$(dirname "$(readlink -f "$(command -v java)")")")
  SPARK_SUBMIT_OPTS="-XX:ArchiveClassesAtExit=$folder/classes.jsa" /opt/spark/bin/spark-submit job.py >said 2>&1 ||
    { tail -n 50 said && exit 1; }
  [[ -s $folder/classes.jsa ]]
  rm -rf /opt/spark "/tmp/$name" /tmp/classes
}

main "$@"
