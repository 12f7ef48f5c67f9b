/** The one exception that speaks to the user: its message is a line that names the wrong input. */
@NullMarked
package io.heatkv.error;

import org.jspecify.annotations.NullMarked;
