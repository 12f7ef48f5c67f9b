/** The commands, a class each. */
@NullMarked
package io.heatkv.cli.commands;

import org.jspecify.annotations.NullMarked;
