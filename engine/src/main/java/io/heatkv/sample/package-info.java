/**
 * From bit logits to bits: guidance, temperature, nucleus filter and a counter-based generator.
 *
 * <p>The same seed gives the same uniforms on every device and for every batch.
 */
@NullMarked
package io.heatkv.sample;

import org.jspecify.annotations.NullMarked;
