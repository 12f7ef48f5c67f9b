/**
 * How near pictures drawn under a memory budget are to those of the full cache: metrics on pixels
 * and bits, and sheets that show them side by side.
 */
@NullMarked
package io.heatkv.eval;

import org.jspecify.annotations.NullMarked;
