package io.heatkv.spark;

import io.heatkv.testkit.toy.ToyConfig;
import io.heatkv.testkit.toy.ToyFiles;
import java.nio.file.Path;
import org.apache.spark.sql.SparkSession;

/** Spark inside this process, and the smallest model. */
final class LocalSpark {
  private LocalSpark() {}

  /** Two tasks at once, and a second try of each. */
  static SparkSession start() {
    return configured(SparkSession.builder().master("local[2,2]"));
  }

  static SparkSession configured(SparkSession.Builder builder) {
    return builder
        .appName("heatkv")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.warehouse.dir", System.getProperty("java.io.tmpdir"))
        .getOrCreate();
  }

  /** A model in a folder that draws circles, squares and crosses of 28 x 20 pixels. */
  static SparkModel toy(Path folder) {
    ToyFiles.write(folder, new ToyConfig(2), 1);
    return SparkModel.of(folder.toString());
  }
}
