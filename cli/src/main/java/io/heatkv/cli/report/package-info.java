/** What commands tell of pictures, models and this machine. */
@NullMarked
package io.heatkv.cli.report;

import org.jspecify.annotations.NullMarked;
