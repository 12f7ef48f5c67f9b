/** The Infinity family: text-conditioned transformers that draw bits. */
@NullMarked
package io.heatkv.infinity;

import org.jspecify.annotations.NullMarked;
