/** JMH benchmarks of parts that are measured alone. */
@org.jspecify.annotations.NullMarked
package io.heatkv.benchmarks;
