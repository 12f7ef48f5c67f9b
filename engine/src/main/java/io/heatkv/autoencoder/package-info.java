/** The convolutional autoencoder that image tokenizers share: pixels to features and back. */
@NullMarked
package io.heatkv.autoencoder;

import org.jspecify.annotations.NullMarked;
