/**
 * What a model family is to the rest of the engine: the loop, caches, calibration and commands know
 * only these interfaces.
 */
@NullMarked
package io.heatkv.family;

import org.jspecify.annotations.NullMarked;
