/** VAR's image tokenizer: a codebook, codes of several scales, pixels. */
@NullMarked
package io.heatkv.var.vae;

import org.jspecify.annotations.NullMarked;
