/** Readers of what the official VAR code was recorded to do. */
@NullMarked
package io.heatkv.verify.var;

import org.jspecify.annotations.NullMarked;
