/**
 * Infinity before it runs: finding its files, its model.json, what memory and arithmetic it takes,
 * importing it, and random ones.
 */
@NullMarked
package io.heatkv.infinity.load;

import org.jspecify.annotations.NullMarked;
