/** Finds a model's files and reads what it is: the embedded model, or a folder with model.json. */
@NullMarked
package io.heatkv.load;

import org.jspecify.annotations.NullMarked;
