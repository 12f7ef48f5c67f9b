/** VAR's models before they run: files, memory, conversion, random weights. */
@NullMarked
package io.heatkv.var.load;

import org.jspecify.annotations.NullMarked;
