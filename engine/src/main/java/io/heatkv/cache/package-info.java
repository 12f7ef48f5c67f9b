/**
 * Key-value caches: what a self-attention layer remembers of earlier scales.
 *
 * <p>The transformer knows only {@link io.heatkv.cache.KvCache}; each policy is one class behind
 * it.
 */
@NullMarked
package io.heatkv.cache;

import org.jspecify.annotations.NullMarked;
