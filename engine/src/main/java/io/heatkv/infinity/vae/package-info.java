/** The BSQ image tokenizer: bits, codes of several scales, pixels. */
@NullMarked
package io.heatkv.infinity.vae;

import org.jspecify.annotations.NullMarked;
