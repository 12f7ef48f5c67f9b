/** Readers of what the official Infinity code was recorded to do. */
@NullMarked
package io.heatkv.verify.infinity;

import org.jspecify.annotations.NullMarked;
