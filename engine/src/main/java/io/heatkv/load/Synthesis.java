package io.heatkv.load;

import io.heatkv.checkpoint.StorageType;

/**
 * A model of random weights that is to be written.
 *
 * @param size name of the one whose shapes are taken
 * @param dtype BF16, F32 or F16, where an import would write it
 * @param seed of the weights
 * @param vae whether to write the image tokenizer
 * @param text whether to write a text encoder
 */
public record Synthesis(String size, StorageType dtype, long seed, boolean vae, boolean text) {}
