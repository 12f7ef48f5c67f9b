/** HeatKV on Apache Spark: pictures, calibrations and evaluations of tables of prompts. */
@NullMarked
package io.heatkv.spark;

import org.jspecify.annotations.NullMarked;
