/** One self-contained page about an evaluation: curves, tables, heat maps, pictures, settings. */
@NullMarked
package io.heatkv.eval.report;

import org.jspecify.annotations.NullMarked;
