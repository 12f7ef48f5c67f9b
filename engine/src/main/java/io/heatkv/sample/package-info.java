/**
 * From logits to tokens: options, top-k and nucleus filters, and a counter-based generator.
 *
 * <p>The same seed gives the same uniforms on every device and for every batch.
 */
@NullMarked
package io.heatkv.sample;

import org.jspecify.annotations.NullMarked;
