/**
 * The family VAR (FoundationVision/VAR): class-conditional next-scale prediction over a codebook.
 *
 * <p>Reference: models/var.py, basic_var.py, quant.py, vqvae.py and helpers.py of the official
 * code.
 */
@NullMarked
package io.heatkv.var;

import org.jspecify.annotations.NullMarked;
