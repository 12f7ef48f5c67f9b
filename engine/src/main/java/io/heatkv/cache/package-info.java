/**
 * Key-value caches: what a self-attention layer remembers of earlier scales.
 *
 * <p>The transformer knows only {@link io.heatkv.cache.KvCache}. The full, the planned and the
 * evicting cache are thin over one {@code KvStore} of slots, {@link io.heatkv.cache.LevelCache} has
 * granules instead; a {@link io.heatkv.cache.CachePolicy} says which of them a generation gets, and
 * what it takes.
 */
@NullMarked
package io.heatkv.cache;

import org.jspecify.annotations.NullMarked;
