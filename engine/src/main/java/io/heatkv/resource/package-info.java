/**
 * Class-path resources as files.
 *
 * <p>Native libraries and embedded weights must be files to be loaded or mapped. They are unpacked
 * once into a content-addressed cache folder, beside and then moved, so that processes may start at
 * the same time; a file that was cut or changed since is written again.
 */
@NullMarked
package io.heatkv.resource;

import org.jspecify.annotations.NullMarked;
