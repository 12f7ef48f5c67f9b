/**
 * The Infinity transformer: text conditioning, blocks over the tokens of one scale, the head.
 *
 * <p>It follows the official code's arithmetic and names of weights; what it remembers of earlier
 * scales is behind {@link io.heatkv.cache.KvCache}.
 */
@NullMarked
package io.heatkv.model;

import org.jspecify.annotations.NullMarked;
