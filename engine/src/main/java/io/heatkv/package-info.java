/** From a prompt to a picture: the entry point of the engine. */
@NullMarked
package io.heatkv;

import org.jspecify.annotations.NullMarked;
