/**
 * Key-value caches: what a self-attention layer remembers of earlier scales.
 *
 * <p>The transformer knows only {@link io.heatkv.cache.KvCache}. A policy opens one; those that
 * drop single tokens share theirs and differ by an {@link io.heatkv.cache.EvictionRule}.
 */
@NullMarked
package io.heatkv.cache;

import org.jspecify.annotations.NullMarked;
