/** Tensors over a checkpoint's mapped bytes, converted and moved where a model needs them. */
@NullMarked
package io.heatkv.weights;

import org.jspecify.annotations.NullMarked;
