/**
 * Makes model folders: a checkpoint of any format, or random weights, written as safetensors shards
 * that the engine maps. Tensors pass through one after another in small pieces, so memory does not
 * grow with the model.
 */
@NullMarked
package io.heatkv.convert;

import org.jspecify.annotations.NullMarked;
