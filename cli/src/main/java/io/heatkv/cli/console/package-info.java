/** What the command prints and writes. */
@NullMarked
package io.heatkv.cli.console;

import org.jspecify.annotations.NullMarked;
