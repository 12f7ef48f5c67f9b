/**
 * The {@code heatkv} command: {@code commands} has a class for each, {@code options} those that
 * several share, as mixins, {@code report} what is told, {@code console} what is printed and
 * written.
 *
 * <p>What a user can mend is one line on standard error and exit status 2; what failed inside is
 * one line and status 1; an interrupted command ends with 130.
 */
@NullMarked
package io.heatkv.cli;

import org.jspecify.annotations.NullMarked;
