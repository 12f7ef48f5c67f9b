/**
 * Timings of a transformer of any size with random weights: no model file is needed, and the
 * arithmetic is that of a generation. What a picture looks like doesn't matter here.
 */
@NullMarked
package io.heatkv.bench;

import org.jspecify.annotations.NullMarked;
