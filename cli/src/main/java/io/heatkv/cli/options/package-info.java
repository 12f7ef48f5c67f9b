/** Options that several commands have, and what they name. */
@NullMarked
package io.heatkv.cli.options;

import org.jspecify.annotations.NullMarked;
