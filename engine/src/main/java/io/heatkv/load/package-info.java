/**
 * Finds a model's files and reads what it is: the embedded model, a folder with model.json, or the
 * files as they were published.
 */
@NullMarked
package io.heatkv.load;

import org.jspecify.annotations.NullMarked;
