/** Metrics that a network computes, from ONNX files that the user points to; docs/metrics.md. */
@NullMarked
package io.heatkv.eval.learned;

import org.jspecify.annotations.NullMarked;
