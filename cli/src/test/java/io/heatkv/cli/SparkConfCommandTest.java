package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.StringReader;
import java.util.Properties;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The configuration of Spark that a plan needs. */
class SparkConfCommandTest {
  private static Properties properties(String line) throws IOException {
    Run run = run(line);
    assertThat(run.status()).as(run.err()).isZero();
    Properties properties = new Properties();
    properties.load(new StringReader(run.out()));
    return properties;
  }

  private static Run run(String line) {
    return Run.of(("spark-conf " + line).strip().split(" "));
  }

  private static long mib(Properties properties, String name) {
    String text = properties.getProperty(name);
    assertThat(text).endsWith("m");
    return Long.parseLong(text.replace("m", ""));
  }

  @Test
  void anExecutorHasItsWeightsOnceAndAPassForEachTask() throws IOException {
    Properties one = properties("--executor-cores 1");
    Properties four = properties("--executor-cores 4");
    Properties wide = properties("--executor-cores 4 --batch 8");
    long single = mib(one, "spark.executor.memoryOverhead");
    long several = mib(four, "spark.executor.memoryOverhead");
    assertThat(several).isGreaterThan(single).isLessThan(4 * single);
    assertThat(mib(wide, "spark.executor.memoryOverhead")).isGreaterThan(several);
    assertThat(four)
        .containsEntry("spark.executor.cores", "4")
        .containsEntry("spark.task.cpus", "1")
        .containsEntry("spark.executor.memory", "1024m")
        .doesNotContainKeys("spark.archives", "spark.executor.resource.gpu.amount");
    assertThat(properties("--executor-cores 4 --kv-budget 10%").getProperty("spark.task.cpus"))
        .isEqualTo("1");
  }

  @Test
  void whatIsAllowedIsSharedOut() throws IOException {
    Properties large = properties("--executor-cores 4 --executor-memory 16GiB");
    assertThat(mib(large, "spark.executor.memory") + mib(large, "spark.executor.memoryOverhead"))
        .isEqualTo(16L << 10);
    // As much memory as one core needs: one task at a time has all four.
    Properties one = properties("--executor-cores 1");
    long least = mib(one, "spark.executor.memory") + mib(one, "spark.executor.memoryOverhead") + 1;
    assertThat(properties("--executor-cores 4 --executor-memory " + least + "MiB"))
        .containsEntry("spark.task.cpus", "4");
  }

  @Test
  void aGpuHasATaskAndALibtorch() throws IOException {
    assertThat(
            properties(
                "--executor-gpus 2 --executor-cores 8 --libtorch /opt/torch/lib --gpu-memory 80GiB"))
        .containsEntry("spark.executor.resource.gpu.amount", "2")
        .containsEntry("spark.task.resource.gpu.amount", "1")
        .containsEntry("spark.task.cpus", "4")
        .containsEntry("spark.executorEnv.HEATKV_LIBTORCH", "/opt/torch/lib")
        .containsEntry(
            "spark.executorEnv.GLIBC_TUNABLES",
            "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1:glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--executor-memory 1GiB | an executor of 1.0 GiB can't hold it",
        "--executor-memory 10% | executor-memory 10% is no size",
        "--executor-memory=-3 | executor-memory -3 is no size",
        "--executor-memory 8 | executor-memory 8 is no size",
        "--executor-gpus 8 --libtorch /opt | 8 GPUs need as many cores",
        "--executor-cores 0 | executor-cores 0 is out of range",
        "--executor-gpus 65 | executor-gpus 65 is out of range",
        "--gpu-memory 80GiB | --gpu-memory has no GPU",
        "--executor-gpus 1 --libtorch /opt --gpu-memory 100MiB | not enough memory",
        "--batch 2000 | batch 2000 is out of range",
        "--kv-budget much | 'much'",
        "--model nothing | model 'nothing'",
      })
  void whatCantFitIsRefused(String options, String message) {
    run(options).assertRefused(message);
  }
}
