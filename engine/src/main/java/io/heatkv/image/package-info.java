/**
 * Pictures as PNG files that carry how they were made: written whole or not at all, the same bytes
 * for the same picture and text, and the text read back from any PNG, however broken. Pure Java.
 */
@NullMarked
package io.heatkv.image;

import org.jspecify.annotations.NullMarked;
