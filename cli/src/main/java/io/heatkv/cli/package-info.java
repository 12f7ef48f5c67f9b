/**
 * The {@code heatkv} command: one class a command, shared options as mixins.
 *
 * <p>What a user can mend is one line on standard error and exit status 2; what failed inside is
 * one line and status 1; an interrupted command ends with 130.
 */
@NullMarked
package io.heatkv.cli;

import org.jspecify.annotations.NullMarked;
