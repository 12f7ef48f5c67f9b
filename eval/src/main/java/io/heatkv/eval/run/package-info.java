/**
 * Evaluations of cache policies: batches of pictures drawn with the full cache and under every
 * policy and budget, kept batch by batch in a folder, and what follows from them.
 */
@NullMarked
package io.heatkv.eval.run;

import org.jspecify.annotations.NullMarked;
